"""Calls of distributions, and of `merge`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from fuzz_arrays import ODD, ODD_SIZES, Source, floats, integers
from fuzz_functions import Call, axes, last, setting, sums_to_one, threads

import gumbelfast as gf
from gumbelfast import distributions as laws


def _draws(s: Source) -> dict[str, Any]:
    given = {"size": s.mostly([None, 0, 3, (2, 2)], [*ODD_SIZES, (2, -1), [1.5]])} | threads(s)
    return given | ({"offset": s.mostly([0, 77, 2**62 - 20000])} if s.one_in(4) else {})


def gumbel_law(s: Source) -> Call:
    dims = s.choice([(), (3,), (2, 3)])
    loc = s.mostly([0.0, -3, floats(s, dims)])
    scale = s.mostly([1.0, 2, np.abs(s.generator().normal(size=dims))], [*ODD, 0.0, -1.0, 1e-320, 1e300])
    value, q = floats(s, dims), s.mostly([0.5, s.generator().random(dims), 0, 1], [*ODD, np.full(dims, 1.5)])

    def function(loc: Any, scale: Any, value: Any, q: Any, **given: Any) -> Any:
        law = laws.Gumbel(loc, scale)
        found = [getattr(law, name)(value) for name in ("log_prob", "log_cdf", "cdf", "sf", "log_sf")]
        fixed = law.mean(), law.var(), law.mode(), law.entropy()
        return *found, law.icdf(q), law.isf(q), *fixed, law.sample(**given)

    def check(found: Any, loc: Any, scale: Any, value: Any, q: Any, size: Any = None, **_: Any) -> None:
        log_p, log_cdf, cdf, sf, log_sf, *rest = found
        number = ~np.isnan(np.asarray(value, np.float64) + 0 * np.asarray(loc, np.float64))
        number = np.broadcast_to(number, np.shape(log_p))
        assert not np.isnan(np.asarray(log_p)[number]).any()
        assert (np.abs(cdf + sf - 1)[number] < 1e-15).all()
        assert (np.asarray(log_cdf)[number] <= 0).all()
        assert (np.asarray(log_sf)[number] <= 0).all()
        assert all(np.dtype(getattr(x, "dtype", float)) == np.float64 for x in found[:-1])
        extra = () if size is None else tuple(size) if np.iterable(size) else (size,)
        assert np.shape(rest[-1]) == extra + np.broadcast_shapes(np.shape(loc), np.shape(scale))

    return Call(function, (loc, scale, value, q), _draws(s), check)


def _relaxed(name: str, s: Source) -> Call:
    dims, axis, _ = axes(s)
    y = s.generator().dirichlet(np.ones(dims[-1]), dims[:-1]) if dims and dims[-1] else np.ones(dims)
    y = np.moveaxis(y, -1, axis.get("axis", -1)) if s.one_in(2) and axis.get("axis", -1) in (-1, 0) and dims else y
    y = s.mostly([np.log(y) if name == "ExpConcrete" else y], [*ODD, y * 2, floats(s, dims)])

    def function(x: Any, tau: Any, y: Any, *, axis: Any = -1, **given: Any) -> Any:
        law = getattr(laws, name)(x, tau, axis=axis)
        log_p, sample = law.log_prob(y), law.sample(**given)
        return log_p, sample, law.log_prob(sample) if name == "Concrete" else 0.0

    def check(found: Any, x: Any, tau: Any, y: Any, *, axis: Any = -1, size: Any = None, **_: Any) -> None:
        extra = () if size is None else tuple(size) if np.iterable(size) else (size,)
        assert found[1].shape == extra + np.shape(x)
        assert found[1].dtype == np.asarray(x).dtype.newbyteorder("=")
        assert not np.isnan(found[0]).any()
        assert not np.isnan(found[2]).any()
        if name == "Concrete" and axis == -1:
            sums_to_one(found[1], -1)

    return Call(function, (floats(s, dims), setting(s), y), axis | _draws(s), check)


def binary_concrete(s: Source) -> Call:
    dims = s.choice([(), (3,), (2, 3), (0,), (200,)])
    y = s.mostly([s.generator().random(dims).clip(1e-9, 1 - 1e-9), 0.5], [*ODD, floats(s, dims)])
    kind = s.choice(["sample", "sample_logits"])

    def function(x: Any, tau: Any, y: Any, t: Any, **given: Any) -> Any:
        law = laws.BinaryConcrete(x, tau)
        found = law.log_prob(y), law.cdf(y), law.log_prob_logits(t), getattr(law, kind)(**given)
        return *found, law.log_prob(found[-1]) if kind == "sample" else 0.0

    def check(found: Any, x: Any, tau: Any, y: Any, t: Any, **_: Any) -> None:
        log_p, cdf, _, sample, own = found
        assert not np.isnan(log_p).any()
        assert not np.isnan(own).any()
        assert ((cdf >= 0) & (cdf <= 1)).all()
        assert not np.isnan(sample).any()
        assert kind == "sample_logits" or ((sample >= 0) & (sample <= 1)).all()

    return Call(function, (floats(s, dims), setting(s), y, floats(s, dims)), _draws(s), check)


def merge(s: Source) -> Call:
    dims = s.choice([(), (3,), (2, 3), (0, 2)])
    kind = s.choice([gf.shards.Argmax, gf.TopK, gf.TopK])

    def state() -> Any:
        some = (*dims[:-1], s.choice([1, 2, 3])) if dims and kind is gf.TopK else dims
        return s.mostly([kind(integers(s, some, 50), floats(s, some))], [*ODD, gf.shards.Argmax(0, 0.5), (1, 2)])

    states = s.mostly([[state() for _ in range(s.choice([1, 2, 3]))]], [*ODD, []])
    count = len(states) if isinstance(states, list) else 1
    given: dict[str, Any] = {"starts": s.mostly([[7 * i for i in range(count)]])} if s.one_in(3) else {}
    given |= {"k": s.mostly([0, 1, 2]), "axis": s.mostly([-1, -1, 0])} if s.one_in(3) else {}

    def check(found: Any, states: Any, *, starts: Any = None, k: Any = None, axis: Any = -1) -> None:
        assert type(found) is type(states[0])
        assert found.indices.dtype == np.int64
        assert np.shape(found.indices) == np.shape(found.perturbed)
        if isinstance(found, gf.TopK):
            values = last(found.perturbed, axis)
            assert np.isnan(values).any() or (values[..., 1:] <= values[..., :-1]).all()

    return Call(gf.shards.merge, (states,), given, check, draws=False)


LAWS: list[Callable[[Source], Call]] = [
    gumbel_law, partial(_relaxed, "Concrete"), partial(_relaxed, "ExpConcrete"), binary_concrete, merge,
]  # fmt: skip
