"""What the world does to a process: no memory, no threads, another rounding mode, threads that share a generator."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import COMPILED, run_python

import gumbelfast as gf

CC = os.environ.get("CC") or shutil.which("cc")
LINUX = sys.platform == "linux"
needs_linux = pytest.mark.skipif(not LINUX, reason="needs Linux")
needs_cc = pytest.mark.skipif(not (LINUX and CC), reason="needs Linux and a C compiler")


def shared_object(folder: Path, source: str) -> str:
    """The path of a small library compiled from C."""
    (folder / "helper.c").write_text(source, encoding="utf-8")
    library = folder / "helper.so"
    # The compiler is not what a sanitizer that is loaded beforehand looks at.
    command = [str(CC), "-shared", "-fPIC", "-o", str(library), str(folder / "helper.c")]
    subprocess.run(command, check=True, env={**os.environ, "LD_PRELOAD": ""})
    return str(library)


NO_MEMORY = """
import resource
import numpy as np, gumbelfast as gf
x, rng, host = np.zeros((50, 100_000), np.float32), gf.Generator(3, 64), np.random.default_rng(3)
small = gf.categorical(x[:1], rng=7)
state = str(host.bit_generator.state)
with open("/proc/self/statm") as file:
    taken = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + 2**23, resource.RLIM_INFINITY))
calls = {
    "gumbel": lambda rng: gf.gumbel(size=10**8, rng=rng),
    "exponential": lambda rng: gf.exponential(size=10**8, rng=rng),
    "categorical": lambda rng: gf.categorical(x[0], size=10**8, rng=rng),
    "gumbel_softmax": lambda rng: gf.gumbel_softmax(x, rng=rng),
    "gumbel_top_k": lambda rng: gf.gumbel_top_k(x, 99_000, rng=rng),
    "conditional_gumbel": lambda rng: gf.conditional_gumbel(x, index=np.zeros(50, int), rng=rng),
}
for name, call in calls.items():
    for given in (rng, host):
        try:
            call(given)
        except MemoryError:
            assert rng.offset == 64, name
            assert str(host.bit_generator.state) == state, name
        else:
            raise AssertionError(f"{name} found room")
assert gf.categorical(x[:1], rng=7, num_threads=1) == small
print("done")
"""


@needs_linux
def test_no_memory() -> None:
    done = run_python(NO_MEMORY, OPENBLAS_NUM_THREADS="1")
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


NO_THREADS = """
#include <errno.h>
#include <pthread.h>
int refused = 0;
int pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*f)(void *), void *x) {
  (void)t, (void)a, (void)f, (void)x;
  ++refused;
  return EAGAIN;
}
"""
ALONE = """
import ctypes, hashlib
import numpy as np, gumbelfast as gf
x = np.random.default_rng(0).normal(size=(500, 3000)).astype(np.float32)
given = {{"num_threads": 4}}
parts = [gf.gumbel(size=2_000_003, rng=1, **given), gf.categorical(x, rng=2, **given), gf.softmax(x, **given)]
print(hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest())
print({refused})
"""


@needs_cc
def test_no_threads(tmp_path: Path) -> None:
    """Where the system refuses threads, the caller's own does the work."""
    library = shared_object(tmp_path, NO_THREADS)
    wanted = run_python(ALONE.format(refused=0))
    refused = f'ctypes.c_int.in_dll(ctypes.CDLL("{library}"), "refused").value > 0'
    found = run_python(
        ALONE.format(refused=refused),
        LD_PRELOAD=f"{os.environ.get('LD_PRELOAD', '')} {library}",
        OPENBLAS_NUM_THREADS="1",
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout == wanted.stdout.replace("\n0\n", "\nTrue\n")


CONTROL_WORD = """
#if defined(__x86_64__)
#include <xmmintrin.h>
unsigned long get(void) { return _mm_getcsr() & ~0x3Fu; }
void put(unsigned long word) { _mm_setcsr((unsigned)word); }
#elif defined(__aarch64__)
unsigned long get(void) { unsigned long word; __asm__ volatile("mrs %0, fpcr" : "=r"(word)); return word; }
void put(unsigned long word) { __asm__ volatile("msr fpcr, %0" : : "r"(word)); }
#endif
"""
# Rounding modes and flushing to zero: MXCSR (Intel SDM, volume 1, 10.2.3), FPCR (Arm ARM, C5.2.8).
WORDS = {
    "x86_64": {"down": 0x3F80, "up": 0x5F80, "to zero": 0x7F80, "FTZ": 0x9F80, "DAZ": 0x1FC0, "all": 0xFFC0},
    "aarch64": {"up": 0x400000, "down": 0x800000, "to zero": 0xC00000, "FZ": 0x1000000, "all": 0x1C00000},
}.get(os.uname().machine, {})
ENVIRONMENT = """
import ctypes, threading
import numpy as np, gumbelfast as gf
helper = ctypes.CDLL({library!r})
helper.get.restype = ctypes.c_ulong
helper.put.argtypes = [ctypes.c_ulong]
x = np.random.default_rng(0).normal(size=(40, 3000)).astype(np.float32)
tiny = (x * 1e-39).astype(np.float32)
table = gf.Categorical(probs=np.exp(x[0]))
out = np.empty_like(x)

def work(threads):
    given = dict(num_threads=threads)
    return b"".join(np.asarray(part).tobytes() for part in (
        gf.gumbel(size=200_003, rng=1, **given), gf.gumbel(size=1003, rng=1, dtype=np.float64, **given),
        gf.categorical(x, rng=2, temperature=0.7, **given), gf.softmax(x, temperature=0.01, **given),
        gf.softmax(tiny, **given), gf.gumbel_softmax(x, 0.05, rng=3, **given),
        gf.gumbel_top_k(x, 9, rng=4, **given).perturbed, gf.logsumexp(x, **given),
        gf.gumbel(size=3001, dtype=np.float16, rng=5, **given), table.sample(1000, rng=6),
    ))

wanted = work(1)
before = helper.get()
for word in {words}:
    helper.put(word)
    found = [work(threads) for threads in (1, 3)]
    after = helper.get()
    helper.put(before)
    assert after == word, (hex(after), hex(word))
    assert found == [wanted] * 2, hex(word)
print("done")
"""


@needs_cc
@pytest.mark.skipif(not WORDS, reason="an architecture without a backend")
@pytest.mark.parametrize("name", COMPILED)
def test_rounding_modes_and_flushed_subnormals(name: str, tmp_path: Path) -> None:
    library = shared_object(tmp_path, CONTROL_WORD)
    done = run_python(ENVIRONMENT.format(library=library, words=list(WORDS.values())), GUMBELFAST_BACKEND=name)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def run_threads(work: Any, count: int = 8) -> None:
    """`work(i)` on that many threads; what one of them raises is raised here."""
    raised: list[BaseException] = []

    def guarded(i: int) -> None:
        try:
            work(i)
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]


def test_threads_hammer_one_generator() -> None:
    """No element is given twice and every child is another, whatever mixture of calls runs at once."""
    rng = gf.default_rng(8)
    noise: list[list[Any]] = [[] for _ in range(8)]
    children: list[list[int]] = [[] for _ in range(8)]

    def work(i: int) -> None:
        for n in range(60):
            noise[i].append(rng.gumbel(size=33 + (i + n) % 70, dtype=np.float64))
            gf.categorical(np.zeros((3, 7)), rng=rng)
            children[i].extend(child.key for child in rng.spawn(2))

    run_threads(work)
    drawn = np.concatenate([part for mine in noise for part in mine])
    assert np.unique(drawn).size == drawn.size
    keys = [key for mine in children for key in mine]
    assert len({*keys, rng.key}) == 8 * 60 * 2 + 1
