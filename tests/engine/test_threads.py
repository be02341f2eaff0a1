"""How many threads, forks after threads, and Ctrl-C in a long call."""

import os
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from helpers import COMPILED, Record, run_python

import gumbelfast as gf


@pytest.fixture(autouse=True)
def default_threads() -> Iterator[None]:
    before = gf.get_num_threads()
    yield
    gf.set_num_threads(before)


def test_default() -> None:
    show = "import gumbelfast as gf; print(gf.get_num_threads())"
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert run_python(show).stdout == f"{cpus}\n"
    assert run_python(show, GUMBELFAST_NUM_THREADS="").stdout == f"{cpus}\n"
    assert run_python(show, GUMBELFAST_NUM_THREADS="5").stdout == "5\n"


@pytest.mark.parametrize("value", ["0", "-1", "4097", "two", "1.5"])
def test_bad_environment(value: str) -> None:
    done = run_python("import gumbelfast", GUMBELFAST_NUM_THREADS=value)
    text = f"ValueError: GUMBELFAST_NUM_THREADS must be an integer between 1 and 4096, got '{value}'"
    assert done.stderr.splitlines()[-1] == text


def test_set_num_threads() -> None:
    for threads in (1, 7, 4096, np.int64(3)):
        gf.set_num_threads(threads)
        assert gf.get_num_threads() == threads
        assert type(gf.get_num_threads()) is int


BAD = [
    (0, ValueError, "num_threads must be between 1 and 4096, got 0"),
    (-2, ValueError, "num_threads must be between 1 and 4096, got -2"),
    (4097, ValueError, "num_threads must be between 1 and 4096, got 4097"),
    (1.5, TypeError, "num_threads must be an integer, got 1.5"),
    ("2", TypeError, "num_threads must be an integer, got '2'"),
]


@pytest.mark.parametrize(("threads", "error", "text"), BAD)
def test_bad_numbers(threads: object, error: type[Exception], text: str) -> None:
    before, rng = gf.get_num_threads(), gf.Generator(1, 5)
    x = np.zeros((2, 3), np.float32)
    out = np.ones_like(x)
    calls = [
        lambda: gf.set_num_threads(threads),
        lambda: gf.gumbel(out=out, rng=rng, num_threads=threads),
        lambda: gf.categorical(x, rng=rng, num_threads=threads),
        lambda: gf.gumbel_top_k(x, 2, rng=rng, num_threads=threads),
        lambda: gf.gumbel_softmax(x, rng=rng, out=out, num_threads=threads),
        lambda: gf.softmax(x, out=out, num_threads=threads),
        lambda: gf.log_softmax(x, out=out, num_threads=threads),
        lambda: gf.logsumexp(x, num_threads=threads),
        lambda: gf.softmax_backward(x, x, out=out, num_threads=threads),
        lambda: gf.log_softmax_backward(x, x, out=out, num_threads=threads),
        lambda: gf.gumbel_softmax_backward(x, x, out=out, num_threads=threads),
    ]
    for call in calls:
        with pytest.raises(error) as caught:
            call()
        assert str(caught.value) == text
    assert (out == 1).all()
    assert (rng.offset, gf.get_num_threads()) == (5, before)


FORK = """
import os, warnings
import numpy as np, gumbelfast as gf
warnings.simplefilter("ignore", DeprecationWarning)
x = np.random.default_rng(0).normal(size=(2000, 999)).astype(np.float32)

def work():
    noise = gf.gumbel(size=2_000_003, rng=1, num_threads=4).tobytes()
    return hash((noise, gf.categorical(x, rng=2, num_threads=4).tobytes(), gf.softmax(x, num_threads=4).tobytes()))

before = work()
pid = os.fork()
if pid == 0:
    os._exit(0 if work() == before else 3)
here = work()
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
assert here == before
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("name", COMPILED)
def test_a_forked_child_computes_the_same(name: str) -> None:
    done = run_python(FORK, GUMBELFAST_BACKEND=name)
    assert done.returncode == 0, done.stderr


# Each call would take minutes; the interrupt comes when it has run for a while.
INTERRUPT = """
import os, signal, threading, time
import numpy as np, gumbelfast as gf
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored until here where the tests run in the background
rows, long = np.zeros(8192), np.zeros(2**24, np.float32)
given = {{"method": "gumbel", "num_threads": {threads}}}
calls = {{
    "many rows": lambda rng: gf.categorical(rows, size=10**7, rng=rng, **given),
    "long rows": lambda rng: gf.categorical(long, size=10**5, rng=rng, **given),
}}
rng = gf.Generator(3, 5)
sent = []

def send():
    sent.append(time.monotonic())
    os.kill(os.getpid(), signal.SIGINT)

threading.Timer(0.3, send).start()
try:
    calls[{name!r}](rng)
except KeyboardInterrupt:
    late = time.monotonic() - sent[0]
    assert late < 5, late
    assert rng.offset == 5
    rng.gumbel(size=10)
    print(late)
"""


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ["many rows", "long rows"])
def test_interrupt(name: str, threads: int, record_property: Record) -> None:
    done = run_python(INTERRUPT.format(name=name, threads=threads), GUMBELFAST_BACKEND="scalar")
    assert done.returncode == 0, done.stderr
    record_property("seconds after the signal", f"{float(done.stdout):.3f}")


def test_calls_at_the_same_time(compiled: str) -> None:
    x = np.random.default_rng(0).standard_normal((64, 20_000), dtype=np.float32)
    wanted = gf.categorical(x, rng=3, num_threads=1)
    found: list[bool] = []

    def work() -> None:
        with gf.use_backend(compiled):
            found.extend(np.array_equal(gf.categorical(x, rng=3, num_threads=n), wanted) for n in (2, 3, 7) * 5)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 60
    assert all(found)
