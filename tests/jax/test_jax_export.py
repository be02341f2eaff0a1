"""Programs of `gumbelfast.jax` through `jax.export`: with symbols for sizes, as bytes, and in another process."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import assert_same_bytes, normal, run_python

jax = pytest.importorskip("jax")
jnp = jax.numpy
export = pytest.importorskip("jax.export")
from gumbelfast import _core  # noqa: E402
from gumbelfast import jax as gj  # noqa: E402
from gumbelfast.jax import _calls  # noqa: E402

KEY = jax.random.key(7)
CHECKS = [export.DisabledSafetyCheck.custom_call(f"gumbelfast_{name}") for name in sorted(_core.xla_handlers())]
KEY_SPEC = jax.ShapeDtypeStruct((), KEY.dtype)

CALLS: dict[str, Callable[..., Any]] = {
    "gumbel": lambda key, x, tau: gj.gumbel(key, x.shape),
    "exponential": lambda key, x, tau: gj.exponential(key, (2, *x.shape[1:])),
    "categorical": lambda key, x, tau: gj.categorical(key, x),
    "categorical of axis 0": lambda key, x, tau: gj.categorical(key, x, axis=0),
    "several draws": lambda key, x, tau: gj.categorical(key, x, shape=(5, x.shape[0])),
    "masked": lambda key, x, tau: gj.categorical(key, x, mask=x > -1),
    "alias": lambda key, x, tau: gj.categorical(key, x, shape=(5, x.shape[0]), method="alias"),
    "rows that serve all": lambda key, x, tau: gj.categorical(key, x[:1], shape=(x.shape[0],)),
    "without replacement": lambda key, x, tau: gj.categorical(key, x, shape=(2, x.shape[0]), replace=False),
    "top k": lambda key, x, tau: gj.gumbel_top_k(key, x, 2),
    "choice": lambda key, x, tau: gj.choice(key, x, (4,), axis=1),
    "choice by weights": lambda key, x, tau: gj.choice(key, x, (4, x.shape[1]), p=tau),
    "distinct choices": lambda key, x, tau: gj.choice(key, x.shape[0], (2,), replace=False),
    "distinct by weights": lambda key, x, tau: gj.choice(key, x.shape[0], (2,), False, tau),
    "integers below a symbol": lambda key, x, tau: gj.choice(key, x.shape[1], (2, 9)),
    "relaxed": lambda key, x, tau: gj.gumbel_softmax(key, x, 0.5),
    "temperatures": lambda key, x, tau: gj.gumbel_softmax(key, x, tau, hard=True),
    "gradients": lambda key, x, tau: jax.grad(lambda x, t: (gj.gumbel_softmax(key, x, t) ** 2).sum(), (0, 1))(x, tau),
    "softmax": lambda key, x, tau: gj.softmax(x, axis=None),
    "log softmax": lambda key, x, tau: gj.log_softmax(x, axis=0),
    "logsumexp": lambda key, x, tau: gj.logsumexp(x, axis=(0, 1)),
    "its gradient": lambda key, x, tau: jax.grad(lambda x: gj.logsumexp(x, 1).sum())(x),
    "vmap": lambda key, x, tau: jax.vmap(gj.gumbel_softmax, (None, 0, 0))(key, x, tau),
}


def exported(call: Callable[..., Any]) -> Any:
    rows, columns = export.symbolic_shape("rows, columns")
    specs = [jax.ShapeDtypeStruct(shape, np.float32) for shape in ((rows, columns), (rows,))]
    return export.export(jax.jit(call), disabled_checks=CHECKS)(KEY_SPEC, *specs)


@pytest.fixture
def ffi(monkeypatch: pytest.MonkeyPatch) -> None:
    if not _calls._registered():
        pytest.skip("built without XLA's headers, or with those of another version")


@pytest.mark.usefixtures("ffi")
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("as_bytes", [False, True])
def test_symbolic_shapes(name: str, as_bytes: bool) -> None:
    program = exported(CALLS[name])
    if as_bytes:
        pytest.importorskip("flatbuffers")
        program = export.deserialize(program.serialize())
    for shape in ((3, 7), (4, 2), (2, 300)):
        x, tau = normal("float32", shape), np.linspace(0.3, 2, shape[0], dtype=np.float32)
        jax.tree.map(assert_same_bytes, program.call(KEY, x, tau), CALLS[name](KEY, x, tau))


@pytest.mark.usefixtures("ffi")
def test_what_symbols_hid_is_seen_when_the_program_runs() -> None:
    tau = np.ones(2, np.float32)
    for name, text in (
        ("top k", "k=2 exceeds the 1 allowed entries of row 0"),
        ("without replacement", "k=2 exceeds the 1 allowed entries of row 0"),
    ):
        with pytest.raises(jax.errors.JaxRuntimeError, match=text):
            jax.block_until_ready(exported(CALLS[name]).call(KEY, np.zeros((2, 1), np.float32), tau))
    for name in ("distinct choices", "distinct by weights"):
        with pytest.raises(jax.errors.JaxRuntimeError, match="2 draws without replacement exceed the 1 positive"):
            jax.block_until_ready(exported(CALLS[name]).call(KEY, np.zeros((1, 3), np.float32), tau[:1]))


@pytest.mark.usefixtures("ffi")
def test_without_the_checks_disabled_jax_refuses() -> None:
    with pytest.raises(ValueError, match="gumbelfast_softmax"):
        export.export(jax.jit(gj.softmax))(jax.ShapeDtypeStruct((3, 4), np.float32))


@pytest.mark.usefixtures("ffi")
def test_another_process_runs_what_was_exported(tmp_path: Path) -> None:
    pytest.importorskip("flatbuffers")
    path, x = tmp_path / "program", normal("float32", (3, 7))
    path.write_bytes(exported(CALLS["temperatures"]).serialize())
    found = run_python(
        "import jax, numpy as np, gumbelfast.jax\n"
        "assert gumbelfast.jax.route() == 'ffi'\n"
        f"program = jax.export.deserialize(open({str(path)!r}, 'rb').read())\n"
        f"x = np.array({x.tolist()}, np.float32)\n"
        "print(np.asarray(program.call(jax.random.key(7), x, np.ones(3, np.float32))).argmax(1).tolist())\n"
    )
    assert found.stdout.strip() == str(gj.categorical(KEY, x).tolist()), found.stderr


def test_callbacks_are_not_exported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_calls, "_registered", lambda: False)
    with pytest.raises(NotImplementedError, match="callbacks to Python cannot be exported"):
        exported(CALLS["softmax"])
    with pytest.raises(NotImplementedError, match="host_callbacks"):  # JAX's own words
        export.export(jax.jit(lambda x: gj.softmax(x)))(jax.ShapeDtypeStruct((3, 4), np.float32))


@pytest.mark.usefixtures("ffi")
def test_backends_that_are_not_there_give_way(monkeypatch: pytest.MonkeyPatch) -> None:
    # A program that was exported on another machine names the backend of that.
    x = normal("float32", (3, 7))
    wanted = gj.gumbel_softmax(KEY, x)
    monkeypatch.setattr(_calls, "backend", lambda: "sse9")
    assert_same_bytes(gj.gumbel_softmax(KEY, x), wanted)


def test_jax_that_exports_nothing_serves_too() -> None:
    code = "import sys, jax; sys.modules['jax.export'] = None; import gumbelfast.jax as gj; "
    found = run_python(f"{code} print(gj.categorical(jax.random.key(7), jax.numpy.zeros((3, 9))).tolist())")
    assert found.stdout.strip() == str(gj.categorical(KEY, np.zeros((3, 9), np.float32)).tolist()), found.stderr


def test_bad_sizes_among_symbols() -> None:
    (rows,) = export.symbolic_shape("rows")
    for shape, error in (((rows, -1), ValueError), ((rows, 2.5), TypeError)):
        with pytest.raises(error):
            jax.eval_shape(lambda key, shape=shape: gj.gumbel(key, shape), KEY_SPEC)
