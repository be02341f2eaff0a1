"""What `gumbelfast.jax` refuses, and what it says: when it is called, or when the program runs."""

from functools import partial
from typing import Any

import numpy as np
import pytest
from helpers import dtype_of, run_python

jax = pytest.importorskip("jax")
import gumbelfast as gf  # noqa: E402
from gumbelfast import jax as gj  # noqa: E402

KEY = jax.random.key(3)


def bad_keys() -> list[tuple[Any, type[Exception], str]]:
    return [
        (jax.random.split(KEY, 3), ValueError, "takes a single key, got an array of keys of shape (3,): use jax.vmap"),
        (np.zeros((3, 2), np.uint32), ValueError, "takes a single key, got an array of keys of shape (3,)"),
        (np.zeros(3, np.uint32), TypeError, ""),
        (np.zeros(2, np.float32), TypeError, ""),
        (7, TypeError, ""),
        ("key", TypeError, ""),
    ]


@pytest.mark.parametrize("which", range(6))
def test_bad_keys(which: int) -> None:
    key, error, text = bad_keys()[which]
    for call in (
        gj.gumbel,
        gj.exponential,
        partial(gj.categorical, logits=np.zeros(3)),
        partial(gj.gumbel_softmax, logits=np.zeros(3)),
        partial(gj.gumbel_top_k, logits=np.zeros(3), k=1),
    ):
        with pytest.raises(error) as caught:
            call(key)
        assert text in str(caught.value)


X = np.zeros((2, 3), np.float32)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: gj.gumbel(KEY, (2, -1)), ValueError, "shape must be >= 0, got -1"),
        (lambda: gj.gumbel(KEY, 2.5), TypeError, "shape must be an integer, got 2.5"),
        (lambda: gj.gumbel(KEY, 2, np.int32), TypeError, "expected float16, bfloat16, float32 or float64, got int32"),
        (lambda: gj.softmax(X.astype(int)), TypeError, "expected float16, bfloat16, float32 or float64, got int32"),
        (lambda: gj.categorical(KEY, X > 0), TypeError, "expected float16, bfloat16, float32 or float64, got bool"),
        (
            lambda: gj.categorical(KEY, X, 2),
            np.exceptions.AxisError,
            "axis 2 is out of bounds for array of dimension 2",
        ),
        (lambda: gj.gumbel_softmax(KEY, X[:, :0]), ValueError, "axis -1 has size 0"),
        (
            lambda: gj.log_softmax(np.float32(3)),
            np.exceptions.AxisError,
            "axis -1 is out of bounds for array of dimension 0",
        ),
        (
            lambda: gj.categorical(KEY, X, shape=(4,)),
            ValueError,
            "shape (4,) does not end with what logits of batch shape (2,) broadcast to",
        ),
        (
            lambda: gj.categorical(KEY, X, shape=()),
            ValueError,
            "shape () does not end with what logits of batch shape (2,) broadcast to",
        ),
        (
            lambda: gj.categorical(KEY, X, shape=(2, 2, 2), replace=False),
            ValueError,
            "4 draws without replacement exceed the 3 categories",
        ),
        (lambda: gj.gumbel_top_k(KEY, X, 4), ValueError, "k=4 exceeds the 3 columns"),
        (lambda: gj.gumbel_softmax(KEY, X, 0), ValueError, "tau must be finite and > 0, got 0"),
        (lambda: gj.gumbel_softmax(KEY, X, np.inf), ValueError, "tau must be finite and > 0, got inf"),
        (
            lambda: jax.jit(lambda tau: gj.gumbel_softmax(KEY, X, tau))(np.ones(3)),
            ValueError,
            "tau of shape (3,) does not broadcast to one per row, shape (2,)",
        ),
    ],
)
def test_bad_arguments(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == text


def place(shape: tuple[int, ...], values: dict[tuple[Any, ...], float], dtype: str = "float32") -> Any:
    x = np.zeros(shape, dtype_of(dtype))
    for index, value in values.items():
        x[index] = value
    return x


@pytest.mark.parametrize(
    ("x", "axis", "text"),
    [
        (place((2, 9), {(1, 4): np.nan}), -1, "logits contain NaN at index (1, 4)"),
        (place((2, 9), {(1, 4): np.nan, (0, 2): np.inf}), -1, "logits contain NaN at index (1, 4)"),
        (place((2, 9), {(1, 4): np.inf}, "bfloat16"), -1, "logits contain +inf at index (1, 4)"),
        (place((2, 9), {(1, 4): np.nan}, "float16"), -1, "logits contain NaN at index (1, 4)"),
        (place((4, 3, 5), {(3, 2, 1): np.nan}), 0, "logits contain NaN at index (3, 2, 1)"),
        (place((4, 3, 5), {(3, 2, 1): np.nan}), 1, "logits contain NaN at index (3, 2, 1)"),
        (place((5,), {(2,): np.inf}), 0, "logits contain +inf at index (2,)"),
        (place((3, 9), {(1,): -np.inf}), -1, "row 1 has no finite logit"),
        (place((3, 9), {(1,): -np.inf}, "float16"), -1, "row 1 has no finite logit"),
        (place((2, 3, 9), {(1, 2): -np.inf}), -1, "row (1, 2) has no finite logit"),
    ],
)
def test_bad_logits_are_named_when_the_program_runs(route: str, x: Any, axis: int, text: str) -> None:
    calls = [partial(gj.categorical, KEY, axis=axis), partial(gj.gumbel_softmax, KEY, axis=axis)]
    calls += [partial(gj.gumbel_softmax, KEY, hard=True, axis=axis)]
    if "finite" not in text:
        calls.append(partial(gj.gumbel_top_k, KEY, k=2, axis=axis))
    for call in calls:
        for run in (call, jax.jit(call)):
            with pytest.raises(jax.errors.JaxRuntimeError) as caught:
                jax.block_until_ready(run(logits=x))
            assert text in str(caught.value)
            if route == "ffi":
                assert str(caught.value) == f"INVALID_ARGUMENT: {text}"


def test_too_few_categories(route: str) -> None:
    x = place((2, 4), {(1, 0): -np.inf, (1, 1): -np.inf})
    for call in (partial(gj.gumbel_top_k, KEY, k=3), partial(gj.categorical, KEY, shape=(3, 2), replace=False)):
        with pytest.raises(jax.errors.JaxRuntimeError, match="k=3 exceeds the 2 allowed entries of row 1"):
            jax.block_until_ready(call(logits=x))
    assert np.array_equal(np.sort(gj.gumbel_top_k(KEY, x, 2).indices[1]), [2, 3])


@pytest.mark.parametrize(("tau", "inverse"), [(0.0, "inf"), (-2.0, "-0.5"), (np.nan, "nan"), (np.inf, "0")])
def test_bad_traced_tau(route: str, tau: float, inverse: str) -> None:
    call = jax.jit(lambda tau: gj.gumbel_softmax(KEY, X, tau))
    with pytest.raises(jax.errors.JaxRuntimeError) as caught:
        jax.block_until_ready(call(tau))
    assert f"tau must be finite and > 0, and 1/tau as well, got 1/tau = {inverse}" in str(caught.value)


def test_indices_that_32_bits_do_not_hold(request: pytest.FixtureRequest) -> None:
    x = jax.ShapeDtypeStruct((2**31 + 1,), np.float32)
    calls = [partial(gj.categorical, KEY), partial(gj.gumbel_top_k, KEY, k=1)]
    for call in calls:
        with pytest.raises(ValueError, match="indices below 2147483649 need 64 bits: enable x64"):
            jax.eval_shape(call, logits=x)
    fits = jax.ShapeDtypeStruct((2**31,), np.float32)
    assert jax.eval_shape(calls[0], logits=fits).dtype == np.int32
    request.getfixturevalue("x64")
    assert jax.eval_shape(calls[0], logits=x).dtype == np.int64


def test_without_jax_the_error_says_what_to_install() -> None:
    found = run_python("import sys; sys.modules['jax'] = None; import gumbelfast.jax")
    assert 'ImportError: gumbelfast.jax needs JAX: pip install "gumbelfast[jax]"' in found.stderr


KEYS, ONE = np.zeros(2, np.uint32), np.float32(1)


def run_handler(target: str, *operands: Any, result: Any = np.float32, **attributes: Any) -> None:
    """Calls a handler by hand: from `gumbelfast.jax` nothing of a wrong dtype gets there."""
    from gumbelfast.jax import _calls

    if not _calls._registered():
        pytest.skip("built without XLA's headers, or with those of another version")
    results = {"gumbel_top_k": [((2, 3), np.int32), ((2, 3), np.float32)]}
    results |= {name: [((2,), np.int32)] for name in ("alias", "categorical", "distinct", "integers")}
    shapes = [jax.ShapeDtypeStruct(*each) for each in results.get(target, [((2, 3), result)])]
    call = jax.ffi.ffi_call(f"gumbelfast_{target}", shapes)
    jax.block_until_ready(call(*operands, **attributes, backend=gf.backends()[0], threads=np.int64(1)))


HANDLERS: dict[str, Any] = {
    "noise": lambda bad: run_handler("noise", KEYS, result=bad.dtype, exponential=True),
    "alias": lambda bad: run_handler("alias", KEYS, bad, axis=np.int64(0), weights=False),
    "distinct": lambda bad: run_handler("distinct", KEYS, bad[0]),
    "categorical": lambda bad: run_handler("categorical", KEYS, bad, axis=np.int64(0)),
    "top k": lambda bad: run_handler("gumbel_top_k", KEYS, bad, axis=np.int64(0)),
    "relaxed": lambda bad: run_handler("gumbel_softmax", KEYS, bad, ONE, axis=np.int64(0), hard=False),
    "tau": lambda bad: run_handler("gumbel_softmax", KEYS, X, bad[0, 0], axis=np.int64(0), hard=False),
    "softmax": lambda bad: run_handler("softmax", bad, kernel="softmax"),
    "backward": lambda bad: run_handler("softmax_backward", bad, bad, ONE),
    "scale": lambda bad: run_handler("softmax_backward", X, X, bad[0, 0]),
}


@pytest.mark.parametrize("handler", HANDLERS.values(), ids=HANDLERS)
@pytest.mark.parametrize(
    ("dtype", "name"), [("int32", "S32"), ("uint16", "U16"), ("bool", "PRED"), ("complex64", "C64")]
)
def test_handlers_refuse_what_are_no_floats(handler: Any, dtype: str, name: str) -> None:
    handler(np.ones((2, 3), np.float32))
    with pytest.raises(jax.errors.JaxRuntimeError) as caught:
        handler(np.ones((2, 3), dtype))
    assert str(caught.value) == f"INVALID_ARGUMENT: expected F16, BF16, F32 or F64, got {name}"


def test_the_largest_integer_is_one() -> None:
    run_handler("integers", KEYS, np.int32(5))
    with pytest.raises(jax.errors.JaxRuntimeError) as caught:
        run_handler("integers", KEYS, np.int16(5))
    assert str(caught.value) == "INVALID_ARGUMENT: expected S32 or S64"


def test_gradient_and_sample_have_one_dtype() -> None:
    with pytest.raises(jax.errors.JaxRuntimeError) as caught:
        run_handler("softmax_backward", X.astype(np.float16), X, ONE)
    assert str(caught.value) == "INVALID_ARGUMENT: grad and y differ in dtype"
