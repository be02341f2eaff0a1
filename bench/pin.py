"""Give every library the same number of threads. Imported before any of them, because most read these once.

One thread is the headline; ``GUMBELFAST_BENCH_THREADS=2`` in the environment asks for another count.
"""

import os

THREADS = int(os.environ.get("GUMBELFAST_BENCH_THREADS", "1"))

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
os.environ["JAX_PLATFORMS"] = "cpu"
