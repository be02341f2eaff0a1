"""Backends: their names, how one is chosen, and that the chosen one does the work."""

import contextvars
import sys
import threading
from typing import Any

import numpy as np
import pytest
from helpers import COMPILED, normal, run_python

import gumbelfast as gf
from gumbelfast._engine import backend

KNOWN = ["avx512", "avx2", "neon", "scalar", "reference"]


def test_names() -> None:
    names = gf.backends()
    assert names == [name for name in KNOWN if name in names]
    assert names[-2:] == ["scalar", "reference"]
    names.clear()
    assert gf.backends()


def test_context_manager() -> None:
    before = gf.backend()
    for name in gf.backends():
        with gf.use_backend(name):
            assert gf.backend() == name
            with gf.use_backend("reference"):
                assert gf.backend() == "reference"
            assert gf.backend() == name
        assert gf.backend() == before
    with pytest.raises(RuntimeError, match="inside"), gf.use_backend("reference"):
        raise RuntimeError("inside")
    assert gf.backend() == before


@pytest.mark.parametrize("name", ["", "AVX2", "sse9", "neon" if "avx2" in COMPILED else "avx2"])
def test_unknown_names(name: str) -> None:
    before = gf.backend()
    with pytest.raises(ValueError, match="usable") as caught, gf.use_backend(name):
        pass
    assert str(caught.value) == f"use_backend: no usable backend {name!r}; usable here: {', '.join(gf.backends())}"
    assert gf.backend() == before


def test_choice_holds_in_its_own_thread_only() -> None:
    """But for Pythons whose threads start with the context of their maker, as without the GIL."""
    seen, inherited = [], getattr(sys.flags, "thread_inherit_context", False)
    with gf.use_backend("reference"):
        thread = threading.Thread(target=lambda: seen.append(gf.backend()))
        thread.start()
        thread.join()
        contextvars.copy_context().run(lambda: seen.append(gf.backend()))
    assert seen == ["reference" if inherited else gf.backend(), "reference"]


SHOW = "import gumbelfast as gf; print(gf.backend(), gf.categorical([0.0, 1.0, 2.0], rng=1))"


@pytest.mark.parametrize("name", gf.backends())
def test_environment(name: str) -> None:
    done = run_python(SHOW, GUMBELFAST_BACKEND=name)
    assert done.stdout.split() == [name, str(gf.categorical([0.0, 1.0, 2.0], rng=1))], done.stderr


def test_environment_without_a_usable_name() -> None:
    assert run_python(SHOW, GUMBELFAST_BACKEND="").stdout.split()[0] == gf.backends()[0]
    done = run_python(SHOW, GUMBELFAST_BACKEND="sse9")
    assert done.returncode != 0
    wanted = f"ValueError: GUMBELFAST_BACKEND: no usable backend 'sse9'; usable here: {', '.join(gf.backends())}"
    assert done.stderr.splitlines()[-1] == wanted


class Recorder:
    """A backend that notes which of its kernels ran."""

    def __init__(self, kernels: Any) -> None:
        self.kernels, self.calls, self.name = kernels, set(), kernels.name

    def __getattr__(self, kernel: str) -> Any:
        self.calls.add(kernel)
        return getattr(self.kernels, kernel)


@pytest.mark.parametrize("name", gf.backends())
def test_the_forced_backend_does_all_the_work(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recorders = {n: Recorder(kernels) for n, kernels in backend._BY_NAME.items()}
    monkeypatch.setattr(backend, "_BY_NAME", recorders)
    x = np.zeros((2, 5), np.float32)
    with gf.use_backend(name):
        gf.gumbel(size=3, rng=0)
        gf.categorical(x, rng=0)
        gf.gumbel_top_k(x, 2, rng=0)
        y = gf.gumbel_softmax(x, rng=0)
        for forward in (gf.softmax, gf.log_softmax, gf.logsumexp):
            forward(x)
        for backward in (gf.softmax_backward, gf.log_softmax_backward, gf.gumbel_softmax_backward):
            backward(x, y)
    names = "gumbel gumbel_max gumbel_top_k gumbel_softmax softmax log_softmax logsumexp softmax_backward"
    assert recorders[name].calls == {*names.split(), "log_softmax_backward"}
    assert not any(recorder.calls for n, recorder in recorders.items() if n != name)


def test_each_compiled_backend_is_one_of_its_own() -> None:
    assert [backend._BY_NAME[name].name for name in gf.backends()] == gf.backends()
    assert len({id(backend._BY_NAME[name]) for name in gf.backends()}) == len(gf.backends())


def test_reference_is_not_the_compiled_core() -> None:
    # Both are within two ulp of the law, but they round differently somewhere.
    fast = gf.gumbel(size=20000, rng=0)
    with gf.use_backend("reference"):
        slow = gf.gumbel(size=20000, rng=0)
    assert not np.array_equal(fast, slow)
    np.testing.assert_allclose(fast, slow, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.dtype([("a", "u1"), ("b", "u1")]), "S2"])
def test_two_bytes_are_not_bfloat16_for_that(compiled: str, dtype: Any) -> None:
    x = np.zeros((2, 3), dtype)
    name = x.dtype.type.__name__
    index = np.full(2, 7)
    for call in (
        lambda: backend.active().softmax(x, 1.0, x.copy(), 1),
        lambda: backend.active().gumbel_max((x, None, 1.0), index, None, 1, (1, 0, 3, None, None)),
        lambda: backend.active().gumbel(x, 0.0, 1.0, 1, (1, 0, 6, None, None)),
    ):
        with pytest.raises(ValueError, match=f"^dtype is none of the four: {name}$"):
            call()
    assert x.tobytes() == bytes(12)
    assert (index == 7).all()


def test_bare_bits_are_bfloat16(compiled: str) -> None:
    x = normal("bfloat16", (4, 50))
    wanted, bits = gf.softmax(x), np.empty((4, 50), "V2")
    backend.active().softmax(x.view("V2"), 1.0, bits, 1)
    assert bits.tobytes() == wanted.tobytes()
