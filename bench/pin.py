"""Give every library the same number of threads, and the same instructions.

Imported before any of them, because most read these once. One thread and all that the CPU has are the headline;
``GUMBELFAST_BENCH_THREADS=2`` in the environment asks for another count, ``GUMBELFAST_BENCH_AVX2=1`` for AVX2 at most.
"""

import os

THREADS = int(os.environ.get("GUMBELFAST_BENCH_THREADS", "1"))
AVX2 = os.environ.get("GUMBELFAST_BENCH_AVX2") == "1"

for _name in (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NPROC",  # the size of XLA's thread pool on a CPU
):
    os.environ[_name] = str(THREADS)
if THREADS == 1:
    os.environ["MKL_THREADING_LAYER"] = "SEQUENTIAL"
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
if AVX2:
    os.environ |= {
        "GUMBELFAST_BACKEND": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "NUMBA_CPU_NAME": "haswell",
    }
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_max_isa=AVX2"
os.environ["JAX_PLATFORMS"] = "cpu"
