"""A call of each public function that draws, with arguments made by a fuzzer, and what must hold of a result."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from fuzz_arrays import ODD, ODD_SIZES, Source, address, floats, integers, mask, out, shape, weights
from fuzz_estimators import ESTIMATORS
from fuzz_functions import PLAIN, Call, axes, can_be_drawn, last, setting, sums_to_one, threads
from fuzz_laws import LAWS
from fuzz_models import MODELS

import gumbelfast as gf


def categorical(s: Source) -> Call:
    dims, axis, batch = axes(s)
    given = axis | {"temperature": setting(s, batch), "mask": mask(s, dims)} | threads(s)
    if s.one_in(3):
        given["size"] = s.mostly([0, 1, 3, (2, 2), 300 if np.prod(batch) < 9 else 2], [*ODD_SIZES, (2, -1), [1.5]])
    else:
        given |= address(s, batch)
    given |= s.choice(
        [{}, {}, {"empty": s.mostly([-1, 5])}, {"return_perturbed": True}, {"method": s.mostly(["gumbel", "alias"])}]
    )

    def check(
        found: Any, x: Any, axis: Any = -1, size: Any = None, mask: Any = None, empty: Any = None, **_: Any
    ) -> None:
        index = getattr(found, "indices", found)
        extra = () if size is None else tuple(size) if np.iterable(size) else (size,)
        assert np.shape(index) == (*extra, *last(x, axis).shape[:-1])
        if empty is None:
            can_be_drawn(np.asarray(index)[..., None], x, axis, mask)

    return Call(gf.categorical, (floats(s, dims),), given, check)


def gumbel_top_k(s: Source) -> Call:
    dims, axis, batch = axes(s)
    given = axis | {"temperature": setting(s, batch), "mask": mask(s, dims)} | threads(s) | address(s, batch)

    def check(found: gf.TopK, x: Any, k: int, axis: Any = -1, mask: Any = None, **_: Any) -> None:
        values = last(found.perturbed, axis)
        assert values.shape == (*last(x, axis).shape[:-1], k)
        assert (values[..., 1:] <= values[..., :-1]).all()
        can_be_drawn(np.moveaxis(found.indices, axis, -1), x, axis, mask)

    return Call(gf.gumbel_top_k, (floats(s, dims), s.mostly([0, 1, 1, 2, 5, 100])), given, check)


def _named(s: Source) -> tuple[Any, dict[str, Any]]:
    """Logits of columns that are ids, in rows or cut out by bounds."""
    columns = s.mostly([300, 5000, 2**40])
    ids = s.generator().permutation(300)
    if s.one_in(2):
        n = s.mostly([1, 5, 40], [0])
        bounds = np.sort(s.generator().integers(0, n + 1, 3)) if type(n) is int else n
        bounds = [0, *np.asarray(bounds).tolist(), n] if type(n) is int else n
        given = {"indptr": s.mostly([bounds, np.asarray(bounds)], [*ODD, [0, 3], [[0]]])}
        x = floats(s, (n,) if type(n) is int else (3,))
    else:
        dims = shape(s, 1)
        n, given, x = dims[-1] if dims else 1, {}, floats(s, dims)
    few = ids[:n] if type(n) is int else ids
    return x, given | {"columns": columns, "ids": s.mostly([few, few.astype(np.int32), few.tolist()], [*ODD, few - 9])}


def _columns(x: Any, ids: Any) -> Any:
    """What may be drawn: the ids, or without any the places in rows."""
    return np.arange(np.size(x)) if ids is None else np.ravel(ids)


def categorical_at(s: Source) -> Call:
    x, given = _named(s)
    given |= threads(s) | {"temperature": setting(s), "empty": s.mostly([-1, 7])}

    def check(found: Any, x: Any, ids: Any, empty: int, indptr: Any = None, **_: Any) -> None:
        assert found.shape == (np.shape(x)[:-1] if indptr is None else (len(indptr) - 1,))
        assert np.isin(found, [*_columns(x, ids), empty]).all()

    return Call(gf.categorical, (x,), given, check)


def gumbel_top_k_at(s: Source) -> Call:
    x, given = _named(s)
    given |= threads(s) | {"temperature": setting(s)}

    def check(found: gf.TopK, x: Any, k: int, ids: Any, indptr: Any = None, **_: Any) -> None:
        assert found.indices.shape == ((*np.shape(x)[:-1], k) if indptr is None else (len(indptr) - 1, k))
        assert (found.perturbed[..., 1:] <= found.perturbed[..., :-1]).all()
        assert np.isin(found.indices, [*_columns(x, ids), -1]).all()

    return Call(gf.gumbel_top_k, (x, s.mostly([0, 1, 2, 5])), given, check)


def noise_at(name: str, s: Source) -> Call:
    dims = shape(s)
    ids = s.mostly([integers(s, dims, 2**20), 5, [[7]], []], [*ODD, [-1], 2**62])

    def check(found: Any, ids: Any, rng: Any = None, **_: Any) -> None:
        assert np.shape(found) == np.shape(ids)
        assert np.isfinite(found).all()

    return Call(getattr(gf, name), (ids,), {"offset": s.mostly([0, 5, 2**61])} | threads(s), check)


def weighted_sample(s: Source) -> Call:
    dims, axis, batch = axes(s)

    def check(found: gf.WeightedSample, w: Any, k: int, axis: Any = -1, **_: Any) -> None:
        with np.errstate(divide="ignore"):
            can_be_drawn(np.moveaxis(found.indices, axis, -1), np.log(np.asarray(w).astype(np.float64)), axis)
        assert (last(found.perturbed, axis) >= np.asarray(found.kappa)[..., None]).all()

    args = weights(s, dims), s.mostly([0, 1, 1, 2, 5, 100])
    return Call(gf.weighted_sample, args, axis | threads(s) | address(s, batch), check)


def prepared_weights(s: Source) -> Call:
    dims, axis, batch = axes(s)

    def draw(w: Any, k: int, axis: Any = -1, **given: Any) -> Any:
        return gf.distributions.PlackettLuce(w, axis=axis).sample(k, **given)

    def check(found: gf.WeightedSample, w: Any, k: int, axis: Any = -1, **given: Any) -> None:
        if isinstance(given.get("rng"), int):  # else another draw would be another
            wanted = gf.weighted_sample(w, k, axis=axis, **given)
            assert np.array_equal(found.indices, wanted.indices)
            assert np.array_equal(found.perturbed, wanted.perturbed)

    args = weights(s, dims), s.mostly([0, 1, 1, 2, 5, 100])
    return Call(draw, args, axis | threads(s) | address(s, batch), check)


def packed(allowed: Any) -> Any:
    """A mask as grammar engines make it: words of 32 tokens, the lowest bit first."""
    columns = allowed.shape[-1]
    padded = np.zeros((*allowed.shape[:-1], -(-columns // 32) * 32), bool)
    padded[..., :columns] = allowed
    return np.packbits(padded, axis=-1, bitorder="little").view("<i4").astype(np.int32)


def sample_tokens(s: Source) -> Call:
    dims = shape(s)
    batch = dims[:-1]
    given: dict[str, Any] = {"temperature": s.mostly([1.0, 0.0, 0.7, np.full(batch, 2.0)]), "mask": mask(s, dims)}
    allowed = given["mask"]
    if isinstance(allowed, np.ndarray) and allowed.dtype == np.bool_ and allowed.ndim and s.one_in(2):
        given["mask"] = packed(allowed)
    filters: list[tuple[str, list[Any]]] = [
        ("top_k", [0, 1, 5, 10**6]),
        ("top_p", [1.0, 0.9, 1e-9]),
        ("min_p", [0.0, 0.3, 1.0]),
        ("min_tokens_to_keep", [0, 1, 4, 10**6]),
        ("top_n_sigma", [0.0, 1.0, 1e300]),
        ("typical_p", [1.0, 0.7, 0.0]),
        ("epsilon_cutoff", [0.0, 0.01, 1.0]),
        ("eta_cutoff", [0.0, 0.01, 1.0]),
    ]
    if s.one_in(2):
        given["temperature_last"] = s.mostly([True, False])
    for name, good in filters:
        if s.one_in(2):
            given[name] = s.mostly([*good, np.full(batch, good[1])])
    where = address(s, batch)
    given |= threads(s) | ({} if "offset" in where or "row_stride" in where else where)

    def check(found: Any, x: Any, **_: Any) -> None:
        assert np.shape(found) == np.shape(x)[:-1]
        can_be_drawn(np.asarray(found)[..., None], x, -1, allowed)

    return Call(gf.sample_tokens, (floats(s, dims),), given, check)


def gumbel_softmax(s: Source) -> Call:
    dims, axis, batch = axes(s)
    x = floats(s, dims)
    given = axis | {"hard": s.one_in(2)} | threads(s) | address(s, batch) | out(s, dims, x)

    def check(found: Any, x: Any, tau: float = 1.0, hard: bool = False, axis: Any = -1, **_: Any) -> None:
        sums_to_one(found, axis)
        assert not hard or ((found == 0) | (found == 1)).all()

    return Call(gf.gumbel_softmax, (x, setting(s, batch)), given, check)


def conditional_gumbel(s: Source) -> Call:
    dims, axis, batch = axes(s)
    x = floats(s, dims)
    given = axis | threads(s) | address(s, batch) | out(s, dims, x)
    known = s.below(8)
    if known & 1:
        given["index"] = integers(s, batch, 2)
    if known & 2 or known == 0:
        given["maximum"] = s.mostly([0.0, 3.5, -100.0, np.zeros(batch)], [*ODD, 1e39, 1e300])
    if known == 4 or s.one_in(40):
        given["upper"] = s.mostly([0.0, np.inf, -5, np.zeros(batch)], [*ODD, 1e300, -np.inf])

    def check(found: Any, x: Any, index: Any = None, maximum: Any = None, axis: Any = -1, **_: Any) -> None:
        assert found.shape == np.shape(x)
        if index is not None and found.size:
            rows = last(found, axis)
            assert (rows.argmax(-1) == index).all()

    return Call(gf.conditional_gumbel, (x,), given, check)


def _noise(name: str, s: Source) -> Call:
    dims = s.mostly([None, 0, 5, (3, 4), 300, 2000, (0, 3)], [*ODD_SIZES, (-1,), (2.5,)])
    given: dict[str, Any] = {"size": dims} | threads(s)
    if s.one_in(2):
        given["scale"] = s.mostly([1.0, 0.0, 2.5, floats(s, (4,))], [*ODD, -1.0])
    if name == "gumbel" and s.one_in(2):
        given["loc"] = s.mostly([0, -3.5, floats(s, (4,))])
    if s.one_in(2):
        given["dtype"] = s.mostly(["f2", "f4", "f8", ">f4"], ["i4", "O", "c8", "nonsense", None])
    if s.one_in(4):
        given["offset"] = s.mostly([0, 77, 2**62 - 2000])
    if isinstance(dims, tuple | int):
        fit = dims if isinstance(dims, tuple) else (dims,)
        given |= out(s, fit, floats(s, (3, 4))) if all(type(n) is int and 0 <= n < 3000 for n in fit) else {}

    def check(found: Any, size: Any = None, scale: Any = 1.0, **_: Any) -> None:
        if size is not None:
            assert np.shape(found) == (tuple(size) if np.iterable(size) else (size,))
        if name == "exponential" and not np.any(np.isinf(scale)):
            assert (np.asarray(found) >= 0).all()
        assert not np.isnan(np.asarray(found).astype(np.float64)).any()

    return Call(getattr(gf, name), (), given, check)


def prepared(s: Source) -> Call:
    """Categorical: everything that an instance can do."""
    dims, axis, batch = axes(s)
    from_logits = s.one_in(2)
    x = floats(s, dims) if from_logits else weights(s, dims)
    given = axis | {"size": s.mostly([None, 0, 3, (2, 2), 70], [*ODD_SIZES, (2, -1)])} | threads(s)
    given |= {"method": s.mostly(["alias", "inverse", "gumbel"])}
    value = integers(s, batch, dims[-1] if dims else 1)

    def function(x: Any, value: Any, *, axis: Any = -1, **given: Any) -> Any:
        law = gf.Categorical(**{"logits" if from_logits else "probs": x}, axis=axis)
        log_prob = law.log_prob(value)
        return law.sample(**given), log_prob, law.entropy(), law.mode(), law.probs

    def check(found: Any, x: Any, value: Any, axis: Any = -1, **_: Any) -> None:
        with np.errstate(divide="ignore"):
            logits = x if from_logits else np.log(np.asarray(x).astype(np.float64))
        can_be_drawn(np.asarray(found[0])[..., None], logits, axis)
        assert (np.asarray(found[1]) <= 0).all()
        assert (np.abs(last(found[4], axis).sum(-1) - 1) < 1e-12).all()

    return Call(function, (x, value), given, check)


def inverse_transform(s: Source) -> Call:
    dims, axis, batch = axes(s)
    u = np.asarray(s.generator().random((s.below(4), *batch)), s.choice(["f8", "f4", "f2"]))
    u = s.mostly([u, np.minimum(u, 0.5), 0.25], [*ODD, u - 1, u + 1])

    def check(found: Any, probs: Any, u: Any, axis: Any = -1, cdf: bool = False) -> None:
        assert not cdf or (np.asarray(found) >= 0).all()
        if not cdf:
            with np.errstate(divide="ignore"):
                logits = np.log(np.asarray(probs).astype(np.float64))
            can_be_drawn(np.asarray(found)[..., None], logits, axis)

    cdf = {"cdf": True} if s.one_in(6) else {}
    return Call(gf.distributions.inverse_transform, (weights(s, dims), u), axis | cdf, check, draws=False)


def asking(s: Source) -> Call:
    """What asks functions of the user's takes longer, and comes up less often."""
    return s.choice(s.choice([MODELS, MODELS, ESTIMATORS]))(s)


ENTRIES: list[Callable[[Source], Call]] = [
    categorical, categorical, gumbel_top_k, categorical_at, gumbel_top_k_at,
    *(partial(noise_at, name) for name in ("gumbel_at", "exponential_at")),
    weighted_sample, prepared_weights, sample_tokens, gumbel_softmax, conditional_gumbel,
    prepared, inverse_transform, *(partial(_noise, name) for name in ("gumbel", "exponential")), *PLAIN,
    *LAWS, asking, asking, asking, asking, asking, asking,
]  # fmt: skip
