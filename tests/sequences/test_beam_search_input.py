"""What a model may not return, and what searches do not accept."""

import re
from typing import Any

import numpy as np
import pytest
from sequence_cases import Tree

import gumbelfast as gf

SEARCHES = [gf.sequences.stochastic_beam_search, gf.sequences.ancestral_sample, gf.sequences.beam_search]
INF = np.inf


def spoiled(at: int, spoil: Any) -> Any:
    """A step function whose call number `at` returns what `spoil` makes of its logits and state."""
    tree = Tree(3, 4, prompts=2)

    def step(tokens: Any, state: Any) -> Any:
        found, state = tree.step(tokens, state)
        return spoil(found.copy(), state) if len(tree.calls) == at + 1 else (found, state)

    return step


def put(value: float, place: Any) -> Any:
    def spoil(found: Any, state: Any) -> Any:
        found[place] = value
        return found, state

    return spoil


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize(
    ("spoil", "error", "text"),
    [
        (put(np.nan, (1, 2)), ValueError, "step {}: logits contain NaN at index (1, 2) (prompt {})"),
        (put(INF, (1, 1)), ValueError, "step {}: logits contain +inf at index (1, 1) (prompt {})"),
        (put(-INF, 1), ValueError, "step {}: row 1 (prompt {}) has no finite logit"),
        (
            lambda x, s: (x.astype(int), s),
            TypeError,
            "step {}: log_probs: expected float16, bfloat16, float32 or float64, got int64",
        ),
        (lambda x, s: x, TypeError, "step must return (log_probs, state), got ndarray"),
    ],
)
@pytest.mark.parametrize("at", [0, 2])
def test_bad_steps(compiled: str, search: Any, spoil: Any, error: type[Exception], text: str, at: int) -> None:
    sampling = search is not gf.sequences.beam_search
    rng, before = gf.default_rng(4), gf.default_rng(4)
    if sampling and at:
        search(Tree(3, at, prompts=2).step, None, 2, at, rng=before)
    with pytest.raises(error) as caught:
        search(spoiled(at, spoil), None, 2, 4, **({"rng": rng} if sampling else {}))
    assert str(caught.value) == text.format(at, "0, beam 1" if at else 1)
    # It has moved for the calls before this one, and no further.
    assert rng.offset == before.offset
    assert (rng.offset > 0) == (sampling and at > 0)


@pytest.mark.parametrize(
    ("at", "spoil", "shapes"),
    [
        (0, lambda x, s: (x[0], s), "(3,), expected (B, V)"),
        (0, lambda x, s: (x[:, :0], s), "(2, 0), expected (B, V)"),
        (1, lambda x, s: (x[0], s), "(3,), expected (6, 3)"),
        (1, lambda x, s: (x[1:], s), "(5, 3), expected (6, 3)"),
        (1, lambda x, s: (x[:, 1:], s), "(6, 2), expected (6, 3)"),
    ],
)
def test_rows_and_columns_must_stay(at: int, spoil: Any, shapes: str) -> None:
    with pytest.raises(ValueError, match=f"^step {at}: log_probs have shape {re.escape(shapes)}$"):
        gf.sequences.stochastic_beam_search(spoiled(at, spoil), None, 2, 4, rng=0)


@pytest.mark.parametrize("search", SEARCHES)
def test_bad_states(search: Any) -> None:
    for state, error, text in (
        ({"h": [np.zeros(2), np.zeros(3)]}, ValueError, "step 0: state['h'][1] has shape (3,), expected 2 rows"),
        ((np.float64(1),), ValueError, "step 0: state[0] has shape (), expected 2 rows"),
        ([None, 5], TypeError, "step 0: state[1] is a int, expected an array"),
    ):
        with pytest.raises(error) as caught:
            search(lambda tokens, _, state=state: (np.zeros((2, 3)), state), None, 2, 4)
        assert str(caught.value) == text


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"k": -1}, ValueError, "k must be >= 0, got -1"),
        ({"k": 1.5}, TypeError, "k must be an integer, got 1.5"),
        ({"max_steps": 0}, ValueError, "max_steps must be >= 1, got 0"),
        ({"eos": -1}, ValueError, "eos must be >= 0, got -1"),
        ({"eos": "a"}, TypeError, "eos must be an integer, got 'a'"),
    ],
)
def test_bad_settings(search: Any, changes: dict[str, Any], error: type[Exception], text: str) -> None:
    def step(tokens: Any, state: Any) -> Any:
        raise AssertionError("the model was asked")

    with pytest.raises(error) as caught:
        search(step, None, **{"k": 2, "max_steps": 3} | changes)
    assert str(caught.value) == text
    if search is not gf.sequences.ancestral_sample:
        with pytest.raises(ValueError, match=r"^length_penalty must be finite, got nan$"):
            search(step, None, 2, 3, length_penalty=np.nan)


@pytest.mark.parametrize("search", SEARCHES)
def test_eos_is_a_token(search: Any) -> None:
    with pytest.raises(ValueError, match=r"^eos must lie in \[0, 3\), got 3$"):
        search(Tree(3, 2).step, None, 2, 2, eos=3)


def test_bad_seeds(compiled: str) -> None:
    for search in SEARCHES[:2]:
        for seeds, text in (
            ([1, 2, 3], "seeds of shape (3,) does not broadcast to one per row, shape (2,)"),
            ([1, -2], "seeds must lie in [0, 2**64), got -2 at index 1"),
        ):
            with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
                search(Tree(3, 2, prompts=2).step, None, 2, 2, seeds=seeds)


@pytest.mark.parametrize("search", SEARCHES)
def test_message_names_the_prompt_and_the_beam(compiled: str, search: Any) -> None:
    width = 3 if search is gf.sequences.stochastic_beam_search else 2

    def step_with(value: float) -> Any:
        # Prompt 0 can only end, the others have two beams that never do.
        def step(tokens: Any, prompt: Any) -> tuple[Any, Any]:
            prompt = np.arange(3) if tokens is None else prompt
            x = np.full((len(prompt), 4), -INF)
            x[prompt == 0, 3] = x[prompt > 0, 1:3] = 0
            if tokens is not None:
                assert 0 not in prompt
                x[np.flatnonzero(prompt == 2)[1]] = value
            return x, prompt

        return step

    for value, text in (
        (-INF, "step 1: row 3 (prompt 2, beam 1) has no finite logit"),
        (np.nan, "step 1: logits contain NaN at index (3, 0) (prompt 2, beam 1)"),
        (INF, "step 1: logits contain +inf at index (3, 0) (prompt 2, beam 1)"),
    ):
        for how in ("raise", "drop") if value != -INF else ("raise",):
            with pytest.raises(ValueError, match=re.escape(text)) as caught:
                search(step_with(value), None, width, 3, eos=3, dead_ends=how)
            assert str(caught.value) == text


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("value", ["ignore", "", None, True, ["drop"]])
def test_bad_setting(search: Any, value: Any) -> None:
    def step(tokens: Any, state: Any) -> Any:
        raise AssertionError("the model was asked")

    with pytest.raises(ValueError, match=f"^dead_ends must be 'raise' or 'drop', got {re.escape(repr(value))}$"):
        search(step, None, 2, 3, dead_ends=value)
