"""Calls of searches and solvers: functions that ask a function of the user's, which may fail at any time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
from fuzz_arrays import FEW, ODD, ODD_SIZES, Source, floats, integers
from fuzz_functions import Asked, Call, replaced, setting

import gumbelfast as gf
from gumbelfast import structures


def _with_state(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda returned: (returned[0], change(returned[1]))


def _with_logits(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda returned: (change(returned[0]), returned[1])


def _model(s: Source, prompts: int) -> Asked:
    """A model whose logits are rows of the table that is its initial state; the state says which."""

    def step(tokens: Any, state: Any) -> Any:
        if tokens is None:
            table, at = np.asarray(state), np.zeros(prompts, int)
        else:
            before = state["at"][0] if state else 0  # a fault may have been an empty state, which has no rows to lack
            table, at = kept[0], before * 3 + tokens + 1
        kept[:] = [table]
        at = at % max(len(table), 1)
        return table[at], {"at": (at,), "none": None}

    kept: list[Any] = []
    odd = s.choice([None, *ODD])
    faults = [
        _with_logits(lambda x: x[:-1]), _with_logits(lambda x: x[..., :1]), _with_logits(lambda x: x * np.nan),
        _with_logits(lambda x: x * 0 - np.inf), _with_logits(lambda x: x * 0 + np.inf), _with_logits(lambda x: odd),
        _with_logits(lambda x: x.real.astype(np.float64)), _with_logits(lambda x: x[::-1]),
        lambda returned: [*returned],
        _with_state(lambda _: odd), _with_state(lambda state: [state["at"][0][:-1]]), lambda returned: (*returned, 1),
    ]  # fmt: skip
    return Asked(step, s.below(9), replaced(s, *faults), still=1)


def _search(name: str, s: Source) -> Call:
    table, prompts = (s.choice([1, 2, 4]), s.choice([1, 2, 3, 3, 5, 10])), s.choice([1, 1, 2, 3, 0])
    step = _model(s, prompts)
    given: dict[str, Any] = {"eos": s.mostly([None, 0, 1, table[1] - 1])}
    if name != "beam_search" and s.one_in(4):
        given["seeds"] = s.mostly([7, 2**64 - 1, integers(s, (prompts,), 100)])
    given |= {"dead_ends": s.mostly(["raise", "drop", "drop"])} if s.one_in(2) else {}
    if name != "ancestral_sample":
        given |= {"length_penalty": s.mostly([None, None, 0.6, -1], [*ODD, 1e300]), "return_all": s.one_in(2)}
    args = floats(s, table), s.mostly([0, 1, 2, 3, 5], ODD_SIZES), s.mostly([1, 2, 3, 5], FEW)

    def function(x: Any, k: Any, max_steps: Any, **given: Any) -> Any:
        return getattr(gf.sequences, name)(step, x, k, max_steps, **given)

    def check(found: Any, x: Any, k: Any, max_steps: Any, length_penalty: Any = None, **given: Any) -> None:
        tokens, lengths, log_p = found.sequences, found.lengths, found.log_probs
        assert tokens.shape == (*lengths.shape, lengths.max(initial=0))
        assert lengths.shape == log_p.shape == (lengths.shape[0], k)
        assert ((tokens >= 0) == (np.arange(tokens.shape[-1]) < lengths[..., None])).all()
        assert (tokens < table[1]).all()
        assert (lengths <= max_steps).all()
        assert ((lengths > 0) == np.isfinite(log_p)).all()
        assert (log_p < 1e-4).all()
        if name != "ancestral_sample":  # none comes twice
            for some in (rows[n > 0] for rows, n in zip(tokens, lengths, strict=True)):
                assert len({tuple(row) for row in some.tolist()}) == len(some)
        if name == "stochastic_beam_search":
            lost = (lengths == 0) if given.get("dead_ends") == "drop" else False
            assert ((found.perturbed >= found.kappa[:, None]) | lost).all()
            assert length_penalty is not None or (np.sort(found.perturbed)[:, ::-1] == found.perturbed).all()

    return Call(function, args, given, check, name != "beam_search", step)


def _potentials(s: Source) -> tuple[tuple[int, ...], Any]:
    dims = (*s.choice([(), (), (2,), (0,)]), *s.choice([(1,), (2,), (3,), (4,)]), s.choice([1, 2, 3]))
    return dims, floats(s, dims)


def brute_force(s: Source) -> Call:
    _, x = _potentials(s)
    fault = replaced(s, lambda w: w[1:], lambda w: w * 1j)
    asked = Asked(lambda every: np.resize(np.arange(16.0), len(every)), s.below(4), fault)
    given = {"interaction": asked} if s.one_in(2) else {}
    given |= {"site_ndim": s.mostly([1, 1, 2])} if s.one_in(4) else {}

    def check(found: Any, x: Any, **_: Any) -> None:
        assert found.labels.shape == np.shape(x)[:-1]
        possible(found.labels, x)

    return Call(structures.brute_force, (x,), given, check, draws=False, asked=asked)


def possible(labels: Any, x: Any) -> None:
    """Labels are in range and never one that is forbidden."""
    rows = np.broadcast_to(np.asarray(x).astype(np.float64), (*labels.shape, np.shape(x)[-1]))
    assert np.isfinite(np.take_along_axis(rows, labels[..., None], -1)).all()
    assert (labels >= 0).all()


def graph_cut(s: Source) -> Call:
    dims = (*s.choice([(), (2,), (0,)]), s.choice([1, 2, 4]), s.choice([1, 3]), s.mostly([2], [0, 1, 3]))
    w: Any = s.choice([0.0, 1.0, 2.5]) * np.eye(2)
    one = s.mostly([w, w.astype("f4"), w[None, None]], [*ODD, -w, floats(s, (2, 2))])
    pairwise = s.mostly([one, (one, w)], [*ODD, (w,), (w, w, w)])

    def check(found: Any, x: Any, _: Any) -> None:
        possible(found.labels, x)

    return Call(structures.graph_cut, (floats(s, dims), pairwise), {}, check, draws=False)


def perturb_and_map(s: Source) -> Call:
    dims, x = _potentials(s)
    pair = s.choice([0.0, 1.0]) * np.eye(dims[-1])
    solver = s.choice([
        partial(structures.viterbi, pairwise=pair), structures.brute_force, lambda block: block.argmax(-1),
        lambda block: tuple(structures.viterbi(block, pair)),
    ])  # fmt: skip
    faults = [
        lambda found: found[0], lambda found: (found[0] + 100, found[1]), lambda found: (found[0] * 1.0, found[1]),
        lambda found: (found[0], found[1][1:]),
    ]  # fmt: skip
    asked = Asked(solver, s.below(6), replaced(s, *faults))
    given = {"order": s.mostly(["unary", "unary", "full"])}

    def function(x: Any, n: Any, **given: Any) -> Any:
        return structures.perturb_and_map(x, asked, n, **given)

    def check(found: Any, x: Any, n: Any, **_: Any) -> None:
        assert found.samples.shape == (n, *np.shape(x)[:-1])
        assert (np.abs(found.marginals.sum(-1) - 1) < 1e-12).all()
        possible(found.samples, x)

    return Call(function, (x, s.mostly([1, 2, 5], ODD_SIZES)), given, check, asked=asked)


def perturbed_argmax(s: Source) -> Call:
    dims = (*s.choice([(), (2,), (0,), (2, 3)]), s.choice([1, 2, 5]))
    asked = Asked(
        lambda x: x.argmax(-1)[..., None] == np.arange(dims[-1]),
        s.below(6),
        replaced(s, lambda y: y[1:], lambda y: y * 1j, lambda y: y.astype("O")),
        still=1,
    )
    given = {"noise": s.mostly(["gumbel", "normal"]), "sigma": setting(s), "event_ndim": s.mostly([1, 1, 1, 2])}
    args = floats(s, dims), s.mostly([1, 2, 5], ODD_SIZES), floats(s, dims)

    def function(theta: Any, n: Any, grad: Any, rng: Any = None, **given: Any) -> Any:
        value, vjp = structures.make_perturbed_argmax(asked, n, **given)(theta, rng=rng)
        try:
            return value, vjp(grad)
        except (TypeError, ValueError):  # here it is too late to leave the generator where it was
            return (value,)

    def check(found: Any, theta: Any, *_: Any, **given: Any) -> None:
        if given["event_ndim"] == 1 and asked.calls == 2:
            assert found[0].shape == np.shape(theta)
            assert (np.abs(found[0].sum(-1) - 1) < 1e-5).all()

    return Call(function, args, given, check, asked=asked)


MODELS: list[Callable[[Source], Call]] = [
    *(partial(_search, name) for name in ("stochastic_beam_search", "beam_search", "ancestral_sample")),
    brute_force, perturb_and_map, perturbed_argmax, *([graph_cut] if find_spec("maxflow") else []),
]  # fmt: skip
