"""Rows with a stride are read in place; temperatures one per row are what they are row by row."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers import DTYPES, assert_refused, assert_same_bytes, dtype_of, normal

import gumbelfast as gf
from gumbelfast._engine import checks

Array = np.ndarray[Any, Any]
COLUMNS = [1, 3, 10, 13, 40, 450, 1100, 9000]


def laid_out(x: Array) -> dict[str, Array]:
    """The values of a matrix in memory of other shapes; all but the last two are read in place."""
    rows, columns = x.shape
    wide = np.full((rows, columns + 5), np.nan, x.dtype)
    wide[:, :columns] = x
    late = np.full((rows, columns + 33), np.inf, x.dtype)
    late[:, 33:] = x
    deep = np.full((2 * rows, 3, columns), np.nan, x.dtype)
    deep[::2, 1] = x
    return {
        "padded": wide[:, :columns],
        "behind": late[:, 33:],
        "every other": np.repeat(x, 2, axis=0)[::2],
        "a batch of more": deep[::2, 1],
        "the last axis alone": np.repeat(x[:, :, None], 2, axis=2)[:, :, 1],
        "backwards": x[::-1].copy()[::-1],
    }


READERS: dict[str, Callable[..., Any]] = {
    "categorical": lambda x, **g: gf.categorical(x, rng=5, return_perturbed=True, **g),
    "categorical, many draws": lambda x, **g: gf.categorical(x, rng=5, size=(2, 3), **g),
    "categorical, tables": lambda x, **g: gf.categorical(x, rng=5, size=9, method="alias", **g),
    "gumbel_top_k": lambda x, **g: gf.gumbel_top_k(x, min(3, x.shape[-1]), rng=5, **g),
    "gumbel_softmax": lambda x, tau=1.0, **g: gf.gumbel_softmax(x, tau, rng=5, **g),
    "gumbel_softmax, both": lambda x, tau=1.0: gf.gumbel_softmax(x, tau, rng=5, hard=True, return_soft=True),
    "gumbel_softmax, hard": lambda x, tau=1.0: gf.gumbel_softmax(x, tau, rng=5, hard=True),
    "sample_tokens": lambda x, **g: gf.sample_tokens(x, rng=5, **g),
    "sample_tokens, filters": lambda x, **g: gf.sample_tokens(x, rng=5, top_k=9, top_p=0.9, min_p=0.01, **g),
    "conditional_gumbel": lambda x: gf.conditional_gumbel(x, 0, rng=5),
    "conditional_gumbel, upper": lambda x: gf.conditional_gumbel(x, upper=1, rng=5),
    "softmax": gf.softmax,
    "log_softmax": gf.log_softmax,
    "logsumexp": gf.logsumexp,
    "logsumexp, factors": lambda x, **g: gf.logsumexp(x, b=2, **g),
    "softmax_backward": lambda x, **g: gf.softmax_backward(x, x, **g),
    "log_softmax_backward": lambda x, **g: gf.log_softmax_backward(x, x, **g),
    "gumbel_softmax_backward": lambda x, tau=1.0: gf.gumbel_softmax_backward(x, x, tau),
}


def assert_equal(found: Any, wanted: Any) -> None:
    for part, other in zip(found, wanted, strict=True) if isinstance(wanted, tuple) else [(found, wanted)]:
        assert_same_bytes(part, other)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_strides_change_nothing(backend: str, name: str, dtype: str) -> None:
    for columns in COLUMNS if backend != "reference" else COLUMNS[:5]:
        x = normal(dtype, (7, columns))
        wanted = READERS[name](x)
        for layout, given in laid_out(x).items():
            assert np.array_equal(given.astype(float), x.astype(float)), layout
            assert_equal(READERS[name](given), wanted)
        same = np.broadcast_to(x[3], x.shape)
        assert_equal(READERS[name](same), READERS[name](same.copy()))


def test_rows_are_not_copied() -> None:
    x = normal("float32", (7, 40))
    read_in_place = {name: checks.rows(given, -1)[0] is given for name, given in laid_out(x).items()}
    assert read_in_place == {
        "padded": True,
        "behind": True,
        "every other": True,
        "a batch of more": True,
        "the last axis alone": False,
        "backwards": False,
    }
    for shape, place in (((4, 3, 8), np.s_[:, :, :5]), ((4, 3, 8), np.s_[:, :1]), ((4, 1, 8), np.s_[::2, :, 2:])):
        given = np.zeros(shape, np.float32)[place]
        assert checks.rows(given, -1)[0] is given
    uneven = np.zeros((4, 3, 8), np.float32)[:, :2, :5]
    assert checks.rows(uneven, -1)[0].flags.c_contiguous


def test_faults_of_rows_with_a_stride_are_placed(backend: str) -> None:
    for columns in COLUMNS[1:]:
        x = laid_out(normal("float32", (7, columns)))["padded"]
        x[5, 2] = np.nan
        assert_refused(lambda rng, x=x: gf.categorical(x, rng=rng), ValueError, "logits contain NaN at index (5, 2)")
        x[5] = -np.inf
        assert_refused(lambda rng, x=x: gf.gumbel_softmax(x, rng=rng), ValueError, "row 5 has no finite logit")


TEMPERED = {
    name: ("tau" if name.startswith("gumbel_softmax") else "temperature", call)
    for name, call in READERS.items()
    if not name.startswith("conditional")
}
HEAT = np.array([0.1, 0.7, 1.0, 1.5, 3.0, 20.0, 1e-30])


@pytest.mark.parametrize("name", TEMPERED)
@pytest.mark.parametrize("dtype", DTYPES)
def test_one_temperature_a_row(backend: str, name: str, dtype: str) -> None:
    argument, call = TEMPERED[name]
    for columns in COLUMNS if backend != "reference" else COLUMNS[:5]:
        x = normal(dtype, (7, columns))
        for rows in (x, laid_out(x)["padded"]):
            found = call(rows, **{argument: HEAT})
            parts = found if isinstance(found, tuple) else (found,)
            for i, heat in enumerate(HEAT):
                wanted = call(rows, **{argument: float(heat)})
                for part, other in zip(parts, wanted if isinstance(wanted, tuple) else (wanted,), strict=True):
                    axis = part.shape.index(7) if name != "categorical, tables" else 1
                    assert_same_bytes(part.take(i, axis), other.take(i, axis))
        # Half types, integers and columns broadcast as well; the axis of the categories may be any.
        cube = normal(dtype, (2, 3, columns))
        assert_equal(
            call(cube, **{argument: np.array([[2], [3]])}), call(cube, **{argument: np.repeat([[2.0], [3.0]], 3, 1)})
        )
        assert_equal(call(cube, **{argument: np.float16(0.5)}), call(cube, **{argument: 0.5}))


def test_temperatures_follow_the_axis(backend: str) -> None:
    x, heat = normal("float32", (4, 5, 6)), np.linspace(0.5, 2, 24).reshape(4, 6)
    for call in (gf.softmax, lambda x, **g: gf.gumbel_softmax(x, g["temperature"], axis=g["axis"], rng=1)):
        found = call(x, axis=1, temperature=heat)
        moved = call(np.moveaxis(x, 1, -1).copy(), axis=-1, temperature=heat)
        assert_same_bytes(found, np.moveaxis(moved, -1, 1))
    assert np.array_equal(
        gf.categorical(x, axis=1, temperature=heat, rng=1),
        gf.categorical(np.moveaxis(x, 1, -1), temperature=heat, rng=1),
    )
    # (4,): one for each of what is left when two axes are summed over
    assert_same_bytes(
        gf.softmax(x, axis=(1, 2), temperature=heat[:, 0]),
        np.stack([gf.softmax(x[i], axis=(0, 1), temperature=heat[i, 0]) for i in range(4)]),
    )


BAD: list[tuple[Any, type[Exception], str]] = [
    ([1.0, 0.0, 1.0], ValueError, "{} must be finite and > 0, got 0.0 in row 1"),
    ([1.0, 1.0, -2.0], ValueError, "{} must be finite and > 0, got -2.0 in row 2"),
    ([np.nan, 1.0, 1.0], ValueError, "{} must be finite and > 0, got nan in row 0"),
    ([1.0, np.inf, 1.0], ValueError, "{} must be finite and > 0, got inf in row 1"),
    (
        [1.0, 1e-39, 1.0],
        ValueError,
        "{} must have a finite reciprocal, got 1e-39 in row 1, whose reciprocal overflows float32",
    ),
    ([1.0, 2.0], ValueError, "{} of shape (2,) does not broadcast to one per row, shape (3,)"),
    (["1", "2", "3"], TypeError, "{} must be real numbers, got ['1', '2', '3']"),
    ([True, True, True], TypeError, "{} must be real numbers, got [True, True, True]"),
]


@pytest.mark.parametrize(("value", "error", "text"), BAD)
def test_bad_temperatures_are_placed(value: Any, error: type[Exception], text: str) -> None:
    x = np.zeros((3, 4), np.float32)
    out = np.ones_like(x)
    for name, call in (
        ("temperature", lambda rng: gf.categorical(x, temperature=value, rng=rng)),
        ("temperature", lambda rng: gf.categorical(x, temperature=value, size=9, method="alias", rng=rng)),
        ("temperature", lambda rng: gf.gumbel_top_k(x, 2, temperature=value, rng=rng)),
        ("tau", lambda rng: gf.gumbel_softmax(x, value, rng=rng, out=out)),
        ("tau", lambda rng: gf.gumbel_softmax_backward(x, x, value, out=out)),
        ("temperature", lambda rng: gf.softmax(x, temperature=value, out=out)),
        ("temperature", lambda rng: gf.logsumexp(x, temperature=value)),
        ("temperature", lambda rng: gf.log_softmax_backward(x, x, temperature=value, out=out)),
    ):
        assert_refused(call, error, text.format(name), out)


def test_numbers_of_any_type_are_temperatures() -> None:
    x = normal("float32", (3, 40))
    wanted = gf.categorical(x, temperature=0.5, rng=1)
    for value in (np.float16(0.5), np.float64(0.5), np.array(0.5), np.array(0.5, dtype_of("bfloat16")), [0.5] * 3):
        assert np.array_equal(gf.categorical(x, temperature=value, rng=1), wanted)
