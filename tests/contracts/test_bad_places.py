"""Addresses, seeds and `out` that do not fit: the error, its text, and nothing moved or written."""

from typing import Any

import numpy as np
import pytest
from helpers import assert_refused

import gumbelfast as gf

ZEROS = np.zeros((2, 3), np.float32)


def read_only(x: Any) -> Any:
    x.flags.writeable = False
    return x


BASE = np.zeros(20, np.float32)
OUTS = [
    (np.ones((3, 2), np.float32), ValueError, "out has shape (3, 2), expected (2, 3)"),
    (np.ones((2, 3)), ValueError, "out has dtype float64, expected float32"),
    (read_only(np.ones((2, 3), np.float32)), ValueError, "out is read-only"),
    ([[1.0] * 3] * 2, TypeError, "out must be a numpy array, got list"),
]


@pytest.mark.parametrize(("out", "error", "text"), OUTS)
def test_out(compiled: str, out: Any, error: type[Exception], text: str) -> None:
    written = out if isinstance(out, np.ndarray) else None
    calls = [
        lambda rng: gf.softmax(ZEROS, out=out),
        lambda rng: gf.log_softmax(ZEROS, out=out),
        lambda rng: gf.softmax_backward(ZEROS, ZEROS, out=out),
        lambda rng: gf.log_softmax_backward(ZEROS, ZEROS, out=out),
        lambda rng: gf.gumbel_softmax_backward(ZEROS, ZEROS, out=out),
        lambda rng: gf.logsumexp(np.zeros((2, 3, 4), np.float32), out=out),
        lambda rng: gf.gumbel_softmax(ZEROS, rng=rng, out=out),
        lambda rng: gf.gumbel_softmax(ZEROS, hard=True, rng=rng, out=out),
        lambda rng: gf.gumbel(size=(2, 3), dtype="f4", rng=rng, out=out),
    ]
    # float32 is what `gumbel` takes to be unsaid, so there the dtype of out decides.
    for call in calls[:-1] if "dtype" in text else calls:
        assert_refused(call, error, text, written)


def test_out_that_overlaps_an_input(compiled: str) -> None:
    x, out = BASE[:12].reshape(3, 4), BASE[2:14].reshape(3, 4)
    other = np.zeros((3, 4), np.float32)
    text = "out overlaps an input without being the same array"
    assert_refused(lambda rng: gf.softmax(x, out=out), ValueError, text, BASE)
    assert_refused(lambda rng: gf.log_softmax(x, out=x[::-1]), ValueError, text, BASE)
    assert_refused(lambda rng: gf.softmax_backward(x, other, out=out), ValueError, text, BASE)
    assert_refused(lambda rng: gf.softmax_backward(other, x, out=out), ValueError, text, BASE)
    assert_refused(lambda rng: gf.gumbel_softmax(x, rng=rng, out=out), ValueError, text, BASE)
    assert_refused(lambda rng: gf.gumbel(BASE[:10], rng=rng, out=BASE[1:11]), ValueError, text, BASE)
    beside = np.zeros((3, 8), np.float32)
    assert gf.softmax(beside[:, ::2], out=beside[:, 1::2])[0, 0] == 0.25


# In units of an element, upon 64 of them; whether two places are the same one.
STRIDES = [
    ((2, 3), (1, 1), True), ((2, 3), (0, 1), True), ((2, 3), (3, 0), True), ((3, 4), (2, 1), True),
    ((2, 3), (-1, 1), True), ((2, 3), (2, 3), False), ((3, 3), (2, 3), False), ((3, 2), (2, 1), False),
    ((2, 3), (1, 2), False), ((1, 3), (0, 1), False), ((2, 2, 2), (2, 3, 7), False), ((2, 2, 2), (2, 3, 5), True),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "units", "refused"), STRIDES)
def test_out_that_overlaps_itself(shape: tuple[int, ...], units: tuple[int, ...], refused: bool) -> None:
    memory = np.ones(64, np.float32)
    strides = tuple(4 * n for n in units)
    out = np.lib.stride_tricks.as_strided(memory[32:], shape, strides)
    x = np.zeros(shape, np.float32)
    calls = [
        lambda rng: gf.softmax(x, out=out),
        lambda rng: gf.softmax_backward(x, x, out=out),
        lambda rng: gf.logsumexp(x[..., None], out=out),
        lambda rng: gf.gumbel_softmax(x, rng=rng, out=out),
        lambda rng: gf.conditional_gumbel(x, maximum=0.0, rng=rng, out=out),
        lambda rng: gf.gumbel(size=shape, rng=rng, out=out),
        lambda rng: gf.exponential(size=shape, rng=rng, out=out),
    ]
    if refused:
        text = f"elements of out share memory: strides {strides} for shape {shape}"
        for call in calls:
            assert_refused(call, ValueError, text, memory)
    else:
        assert (gf.gumbel(size=shape, rng=0, out=out) == gf.gumbel(size=shape, rng=0)).all()
        assert np.unique(out).size == out.size


def test_out_whose_elements_meet_in_a_byte() -> None:
    memory = np.zeros(64, np.uint8)
    out = np.ndarray((3,), np.float32, memory, 0, (3,))
    text = "elements of out share memory: strides (3,) for shape (3,)"
    assert_refused(lambda rng: gf.gumbel(size=3, rng=rng, out=out), ValueError, text, memory)
    apart = np.ndarray((3,), np.float32, memory, 0, (5,))
    assert (gf.gumbel(size=3, rng=0, out=apart) == gf.gumbel(size=3, rng=0)).all()
    # No table is made of 2**60 places to find that they do not fit.
    wide = np.lib.stride_tricks.as_strided(memory.view(np.float32), (2**30, 2**30), (0, 0))
    assert_refused(
        lambda rng: gf.gumbel(out=wide, rng=rng),
        ValueError,
        f"elements of out share memory: strides (0, 0) for shape {wide.shape}",
        memory,
    )


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("hard", [False, True])
def test_nothing_is_written_when_a_late_row_is_bad(compiled: str, value: float, hard: bool) -> None:
    x = np.zeros((50, 70), np.float32)
    x[49, 69] = value
    out, text = np.ones_like(x), f"logits contain {'NaN' if np.isnan(value) else '+inf'} at index (49, 69)"
    assert_refused(lambda rng: gf.gumbel_softmax(x, hard=hard, rng=rng, out=out), ValueError, text, out)
    assert_refused(lambda rng: gf.gumbel_softmax(x, hard=hard, rng=rng, out=x), ValueError, text, x)
    x[49] = -np.inf
    text = "row 49 has no finite logit"
    assert_refused(lambda rng: gf.gumbel_softmax(x, hard=hard, rng=rng, out=out), ValueError, text, out)


def test_backward_arguments() -> None:
    text = "grad has shape (3, 2), expected that of y, (2, 3)"
    assert_refused(lambda rng: gf.softmax_backward(ZEROS.T, ZEROS), ValueError, text)
    text = "grad has dtype float64, expected that of y_soft, float32"
    assert_refused(lambda rng: gf.gumbel_softmax_backward(np.zeros((2, 3)), ZEROS), TypeError, text)
    text = "grad has shape (2,), expected that of log_y, (2, 3)"
    assert_refused(lambda rng: gf.log_softmax_backward(ZEROS[:, 0], ZEROS), ValueError, text)


ADDRESSES = [
    ({"positions": 0}, ValueError, "positions needs seeds"),
    ({"row_stride": 3}, ValueError, "row_stride needs offset"),
    ({"offset": -1}, ValueError, "offset must keep all elements in [0, 2**62), got -1"),
    ({"offset": 2**62 - 5}, ValueError, f"offset must keep all elements in [0, 2**62), got {2**62 - 5}"),
    ({"offset": 1.5}, TypeError, "offset must be an integer, got 1.5"),
    ({"offset": 0, "row_stride": 2}, ValueError, "row_stride must be at least the 3 columns, got 2"),
    ({"offset": 0, "positions": 1}, ValueError, "positions needs seeds"),
    ({"offset": [0, 1], "row_stride": 3}, ValueError, "row_stride needs a single offset, not one per row"),
    ({"offset": [0, -1]}, ValueError, f"offset must lie in [0, {2**62 - 2}), got -1 at index 1"),
    ({"offset": [0, 2**62 - 2]}, ValueError, f"offset must lie in [0, {2**62 - 2}), got {2**62 - 2} at index 1"),
    ({"offset": [0, 1, 2]}, ValueError, "offset of shape (3,) does not broadcast to one per row, shape (2,)"),
]


@pytest.mark.parametrize(("given", "error", "text"), ADDRESSES)
def test_addresses(given: dict[str, Any], error: type[Exception], text: str) -> None:
    for draw in (gf.categorical, gf.gumbel_softmax, lambda x, **g: gf.gumbel_top_k(x, 2, **g)):
        assert_refused(lambda rng, d=draw: d(ZEROS, rng=3 if rng is None else rng, **given), error, text)


def test_last_addresses_are_good() -> None:
    assert gf.categorical(ZEROS, rng=0, offset=2**62 - 6).shape == (2,)
    assert gf.categorical(ZEROS, rng=0, offset=[0, 2**62 - 3]).shape == (2,)
    assert gf.categorical(ZEROS, seeds=[0, 1], positions=2**57 - 1).shape == (2,)


SEEDS = [
    ({"seeds": -1}, ValueError, "seeds must lie in [0, 2**64), got -1 at index 0"),
    ({"seeds": [0, 2**64]}, ValueError, f"seeds must lie in [0, 2**64), got {2**64} at index 1"),
    ({"seeds": 1.5}, TypeError, "seeds must be integers, got float64"),
    ({"seeds": [True, False]}, TypeError, "seeds must be integers, got bool"),
    ({"seeds": [1, 2, 3]}, ValueError, "seeds of shape (3,) does not broadcast to one per row, shape (2,)"),
    ({"seeds": 0, "positions": -1}, ValueError, "positions must lie in [0, 2**57), got -1 at index 0"),
    ({"seeds": 0, "positions": 2**57}, ValueError, f"positions must lie in [0, 2**57), got {2**57} at index 0"),
    ({"seeds": 0, "offset": 0}, ValueError, "seeds addresses rows by itself: offset must be None"),
    ({"seeds": 0, "row_stride": 3}, ValueError, "seeds addresses rows by itself: row_stride must be None"),
    ({"offset": 0}, ValueError, "offset addresses the noise of a key: rng must be given"),
]


@pytest.mark.parametrize(("given", "error", "text"), SEEDS)
def test_seeds(given: dict[str, Any], error: type[Exception], text: str) -> None:
    for draw in (gf.categorical, gf.gumbel_softmax, lambda x, **g: gf.gumbel_top_k(x, 2, **g)):
        with pytest.raises(error) as caught:
            draw(ZEROS, **given)
        assert str(caught.value) == text


def test_seed_of_rng_gets_what_numpy_raises() -> None:
    for seed in (-1, 1.5, "seed"):
        with pytest.raises((TypeError, ValueError)) as theirs:
            np.random.SeedSequence(seed)
        with pytest.raises(type(theirs.value)) as ours:
            gf.categorical(ZEROS, rng=seed)
        assert str(ours.value) == str(theirs.value)


def test_generator_arguments() -> None:
    for key in (-1, 2**64):
        with pytest.raises(ValueError, match=rf"^key must lie in \[0, 2\*\*64\), got {key}$"):
            gf.Generator(key)
    rng = gf.Generator(0, 5)
    for offset in (-1, 2**62 + 1):
        with pytest.raises(ValueError, match=rf"^offset must lie in \[0, 2\*\*62\], got {offset}$"):
            rng.offset = offset
    with pytest.raises(TypeError, match=r"^offset must be an integer, got 1\.5$"):
        rng.offset = 1.5
    assert rng.offset == 5
