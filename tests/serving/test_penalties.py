"""Penalties and biases against the formulas, a token at a time, and against transformers' processor."""

from typing import Any

import numpy as np
import pytest
from helpers import DTYPES, Array, assert_same_bytes, dtype_of, normal, work_of

from gumbelfast.serving import bias_tokens, penalize_tokens

TEXT = [[3, 5, 3, -1], [0, -1, -1, -1], [-1, -1, -1, -1]]
PROMPTS = [[5, 9], [0, 39], [1, 2]]


def plainly(row: Array, text: list[int], prompt: list[int], r: float, p: float, f: float) -> Array:
    """One token after the other, in the working type."""
    work = work_of(row.dtype.name)
    out = row.copy()
    for token in {*text, *prompt} - {-1}:
        x, count = work.type(row[token]), text.count(token)
        x = x / work.type(r) if x > 0 else x * work.type(r)
        x -= work.type(f) * work.type(count) + work.type(p) * work.type(count > 0)
        out[token] = x
    return out


@pytest.mark.parametrize("dtype", DTYPES)
def test_penalties_token_by_token(dtype: str) -> None:
    x = normal(dtype, (3, 40), seed=2)
    x[0, 9] = -np.inf
    settings: list[tuple[Any, Any, Any]] = [(1.3, 0.5, 0.25), ([0.8, 1.0, 2.0], [None, 0.5, 1], -0.3), (None, 2, None)]
    for r, p, f in settings:
        given = {"repetition_penalty": r, "presence_penalty": p, "frequency_penalty": f}
        each = [np.broadcast_to(np.array(v, object), 3) for v in (r, p, f)]
        for prompts in (None, PROMPTS):
            wanted = np.stack([
                plainly(x[i], TEXT[i], prompts[i] if prompts else [], each[0][i] or 1, each[1][i] or 0, each[2][i] or 0)
                for i in range(3)
            ])  # fmt: skip
            before = x.copy()
            assert_same_bytes(penalize_tokens(x, TEXT, prompts=prompts, **given), wanted)
            assert_same_bytes(x, before)
            ragged = [np.array([token for token in text if token >= 0], np.int32) for text in TEXT]
            assert_same_bytes(penalize_tokens(x, ragged, prompts=prompts, **given), wanted)
            wide = np.zeros((3, 80), x.dtype)  # in place, in rows with gaps
            place = wide[:, ::2]
            place[...] = x
            assert penalize_tokens(place, TEXT, prompts=prompts, out=place, **given) is place
            assert_same_bytes(place.copy(), wanted)
            assert not wide[:, 1::2].any()


def test_any_batch_shape() -> None:
    x = normal("float32", (2, 3, 10))
    text = np.random.default_rng(1).integers(-1, 10, (2, 3, 4))
    r = np.array([[1.5], [0.7]])
    whole = penalize_tokens(x, text, repetition_penalty=r)
    for i in np.ndindex(2, 3):
        assert_same_bytes(whole[i], penalize_tokens(x[i], text[i], repetition_penalty=r[i[0], 0]))
    assert_same_bytes(penalize_tokens(x, [1], presence_penalty=1)[..., 1], x[..., 1] - 1)


@pytest.mark.parametrize("penalty", [0.5, 1.0, 1.2, 3.0])
def test_repetition_is_that_of_transformers(penalty: float) -> None:
    torch = pytest.importorskip("torch")
    process = pytest.importorskip("transformers.generation.logits_process")
    x, ids = normal("float32", (5, 200), seed=3), np.random.default_rng(3).integers(0, 200, (5, 60))
    theirs = process.RepetitionPenaltyLogitsProcessor(penalty)(torch.from_numpy(ids), torch.from_numpy(x))
    assert_same_bytes(penalize_tokens(x, ids, repetition_penalty=penalty), theirs.numpy())
    found = penalize_tokens(x, ids[:, 30:], prompts=ids[:, :30], repetition_penalty=penalty)
    assert_same_bytes(found, theirs.numpy())


@pytest.mark.parametrize("dtype", DTYPES)
def test_biases(dtype: str) -> None:
    x = normal(dtype, (2, 8))
    wanted = x.copy()
    work = work_of(dtype)
    wanted[0, 3], wanted[0, 0] = work.type(x[0, 3]) + work.type(0.3), -np.inf
    assert_same_bytes(bias_tokens(x, [{3: 0.3, 0: -np.inf}, None]), wanted)
    assert_same_bytes(bias_tokens(x[:1], {np.int64(3): 0.3, 0: -np.inf}), wanted[:1])
    assert bias_tokens(x, [{3: 0.3, 0: -np.inf}, {}], out=x) is x
    assert_same_bytes(x, wanted)
    assert_same_bytes(bias_tokens(x[1], {}), x[1])
    assert dtype_of(dtype) == x.dtype


X = np.zeros((2, 5), np.float32)
BAD: list[tuple[Any, type[Exception], str]] = [
    (lambda: penalize_tokens(X, [[5]]), ValueError, "tokens must lie in [0, 5), or be -1 for none, got 5"),
    (
        lambda: penalize_tokens(X, [[0]], prompts=[[-2]]),
        ValueError,
        "prompts must lie in [0, 5), or be -1 for none, got -2",
    ),
    (lambda: penalize_tokens(X, [[0.5]]), TypeError, "tokens must be integers, got float64"),
    (
        lambda: penalize_tokens(X, [[0], [1], [2]]),
        ValueError,
        "tokens of shape (3,) does not broadcast to one per row, shape (2,)",
    ),
    (
        lambda: penalize_tokens(X, [[0]], repetition_penalty=[1, 0]),
        ValueError,
        "repetition_penalty must be finite and > 0, got 0.0 in row 1",
    ),
    (
        lambda: penalize_tokens(X, [[0]], presence_penalty=np.inf),
        ValueError,
        "presence_penalty must be finite, got inf in row 0",
    ),
    (
        lambda: penalize_tokens(X, [[0]], frequency_penalty="a"),
        TypeError,
        "frequency_penalty must be real numbers, got 'a'",
    ),
    (lambda: penalize_tokens(X, [[0]], out=X[:1]), ValueError, "out has shape (1, 5), expected (2, 5)"),
    (lambda: penalize_tokens(np.float32(1), [0]), ValueError, "logits must have an axis of tokens, got shape ()"),
    (
        lambda: penalize_tokens([1, 2], [0]),
        TypeError,
        "expected float16, bfloat16, float32 or float64, got int64",
    ),
    (lambda: bias_tokens(X, [{}]), ValueError, "biases must be one mapping, or one per row, 2, got 1"),
    (lambda: bias_tokens(X, [{}, 3]), TypeError, "biases must map tokens to numbers, got 3 in row 1"),
    (lambda: bias_tokens(X, {5: 1}), ValueError, "tokens of biases must lie in [0, 5), got 5 in row 0"),
    (lambda: bias_tokens(X, {-1: 1}), ValueError, "tokens of biases must be >= 0, got -1"),
    (lambda: bias_tokens(X, {"a": 1}), TypeError, "tokens of biases must be an integer, got 'a'"),
    (lambda: bias_tokens(X, {1: np.nan}), ValueError, "biases must be numbers or -inf, got nan in row 0"),
    (lambda: bias_tokens(X, {1: "a"}), TypeError, "biases must be real numbers, got <U1"),
]


@pytest.mark.parametrize(("call", "error", "text"), BAD)
def test_bad_input_is_quoted(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == text
    assert not X.any()
