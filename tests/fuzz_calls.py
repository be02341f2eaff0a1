"""A call of each public function, with arguments made by a fuzzer, and what must hold of a result."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from fuzz_arrays import ODD, Source, address, floats, integers, mask, out, shape, weights

import gumbelfast as gf
from gumbelfast import structures


class Call(NamedTuple):
    """A function and its arguments; `check(result, *args, **given)` asserts what must hold of any result."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    given: dict[str, Any]
    check: Callable[..., None]
    draws: bool = True


def _setting(s: Source) -> Any:
    return s.mostly([1.0, 1.0, 0.5, 3, np.float32(2), 1e-30], [*ODD, -1.0, 0.0, 1e-320, 1e300, np.array([1.0, 2.0])])


def _rows(s: Source) -> tuple[tuple[int, ...], dict[str, Any], tuple[int, ...]]:
    """A shape, its axis, and the batch."""
    dims = shape(s)
    axis = s.mostly([-1, -1, -1, 0, len(dims) - 1], [*ODD, 3, -4])
    given = {} if axis == -1 else {"axis": axis}
    place = axis if type(axis) is int and dims and -len(dims) <= axis < len(dims) else -1
    batch = tuple(np.delete(np.array(dims, int), place)) if dims else ()
    return dims, given, tuple(int(n) for n in batch)


def _threads(s: Source) -> dict[str, Any]:
    return {"num_threads": s.mostly([1, 2, 7], [*ODD, 4097])} if s.one_in(4) else {}


def _last(x: Any, axis: Any) -> Any:
    return np.moveaxis(np.asarray(x).astype(np.float64), axis, -1)


def _can_be_drawn(index: Any, x: Any, axis: Any = -1, allowed: Any = None, empty: Any = None) -> None:
    """Indices, categories last, of logits that are finite and allowed."""
    rows = _last(x, axis)
    assert np.asarray(index).dtype == np.int64
    if allowed is not None:
        rows = np.where(_last(np.broadcast_to(allowed, np.shape(x)), axis) > 0, rows, -np.inf)
    rows = np.broadcast_to(rows, (*np.shape(index)[:-1], rows.shape[-1]))
    none = np.isneginf(rows).all(axis=-1)
    index = np.where(none[..., None], 0, index) if empty is not None else index
    drawn = np.take_along_axis(rows, index, -1)
    assert (np.isfinite(drawn) | none[..., None] if empty is not None else np.isfinite(drawn)).all()
    assert (np.diff(np.sort(index, -1)) > 0).all()


def categorical(s: Source) -> Call:
    dims, axis, batch = _rows(s)
    given = axis | {"temperature": _setting(s), "mask": mask(s, dims)} | _threads(s)
    if s.one_in(3):
        given["size"] = s.mostly([0, 1, 3, (2, 2), 300 if np.prod(batch) < 9 else 2], [*ODD, (2, -1), [1.5]])
    else:
        given |= address(s, batch)
    given |= s.choice(
        [{}, {}, {"empty": s.mostly([-1, 5])}, {"return_perturbed": True}, {"method": s.mostly(["gumbel"])}]
    )

    def check(
        found: Any, x: Any, axis: Any = -1, size: Any = None, mask: Any = None, empty: Any = None, **_: Any
    ) -> None:
        index = getattr(found, "indices", found)
        extra = () if size is None else tuple(size) if np.iterable(size) else (size,)
        assert np.shape(index) == (*extra, *_last(x, axis).shape[:-1])
        if empty is None:
            _can_be_drawn(np.asarray(index)[..., None], x, axis, mask)

    return Call(gf.categorical, (floats(s, dims),), given, check)


def gumbel_top_k(s: Source) -> Call:
    dims, axis, batch = _rows(s)
    given = axis | {"temperature": _setting(s), "mask": mask(s, dims)} | _threads(s) | address(s, batch)

    def check(found: gf.TopK, x: Any, k: int, axis: Any = -1, mask: Any = None, **_: Any) -> None:
        values = _last(found.perturbed, axis)
        assert values.shape == (*_last(x, axis).shape[:-1], k)
        assert (np.diff(values) <= 0).all()
        _can_be_drawn(np.moveaxis(found.indices, axis, -1), x, axis, mask)

    return Call(gf.gumbel_top_k, (floats(s, dims), s.mostly([0, 1, 1, 2, 5, 100])), given, check)


def weighted_sample(s: Source) -> Call:
    dims, axis, batch = _rows(s)

    def check(found: gf.WeightedSample, w: Any, k: int, axis: Any = -1, **_: Any) -> None:
        with np.errstate(divide="ignore"):
            _can_be_drawn(np.moveaxis(found.indices, axis, -1), np.log(np.asarray(w).astype(np.float64)), axis)
        assert (_last(found.perturbed, axis) >= np.asarray(found.kappa)[..., None]).all()

    args = weights(s, dims), s.mostly([0, 1, 1, 2, 5, 100])
    return Call(gf.weighted_sample, args, axis | _threads(s) | address(s, batch), check)


def sample_tokens(s: Source) -> Call:
    dims = shape(s)
    batch = dims[:-1]
    given: dict[str, Any] = {"temperature": s.mostly([1.0, 0.0, 0.7, np.full(batch, 2.0)]), "mask": mask(s, dims)}
    for name, good in (("top_k", [0, 1, 5, 10**6]), ("top_p", [1.0, 0.9, 1e-9]), ("min_p", [0.0, 0.3, 1.0])):
        if s.one_in(2):
            given[name] = s.mostly([*good, np.full(batch, good[1])])
    where = address(s, batch)
    given |= _threads(s) | ({} if "offset" in where or "row_stride" in where else where)

    def check(found: Any, x: Any, mask: Any = None, **_: Any) -> None:
        assert np.shape(found) == np.shape(x)[:-1]
        _can_be_drawn(np.asarray(found)[..., None], x, -1, mask)

    return Call(gf.sample_tokens, (floats(s, dims),), given, check)


def gumbel_softmax(s: Source) -> Call:
    dims, axis, batch = _rows(s)
    x = floats(s, dims)
    given = axis | {"hard": s.one_in(2)} | _threads(s) | address(s, batch) | out(s, dims, x)

    def check(found: Any, x: Any, tau: float = 1.0, hard: bool = False, axis: Any = -1, **_: Any) -> None:
        _sums_to_one(found, axis)
        assert not hard or ((found == 0) | (found == 1)).all()

    return Call(gf.gumbel_softmax, (x, _setting(s)), given, check)


def _sums_to_one(y: Any, axis: Any) -> None:
    eps = {"float16": 2.0**-10, "bfloat16": 2.0**-7}.get(y.dtype.name, 1e-6)
    rows = _last(y, axis)
    assert (rows >= 0).all()
    # Each entry is rounded once, to half an eps of itself or of the smallest number of a half type.
    assert (np.abs(rows.sum(-1) - 1) <= 2 * eps + rows.shape[-1] * 2.0**-24).all()


def conditional_gumbel(s: Source) -> Call:
    dims, axis, batch = _rows(s)
    x = floats(s, dims)
    given = axis | _threads(s) | address(s, batch) | out(s, dims, x)
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
            rows = _last(found, axis)
            assert (rows.argmax(-1) == index).all()

    return Call(gf.conditional_gumbel, (x,), given, check)


def _noise(name: str, s: Source) -> Call:
    dims = s.mostly([None, 0, 5, (3, 4), 300, 2000, (0, 3)], [*ODD, (-1,), (2.5,)])
    given: dict[str, Any] = {"size": dims} | _threads(s)
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


def _forward(name: str, s: Source) -> Call:
    dims, axis, batch = _rows(s)
    x = floats(s, dims)
    given = axis | {"temperature": _setting(s)} | _threads(s)
    given |= out(s, batch if name == "logsumexp" else dims, x)

    def check(found: Any, x: Any, axis: Any = -1, temperature: Any = 1.0, **_: Any) -> None:
        rows, result = _last(x, axis), np.asarray(found)
        assert result.dtype == np.asarray(x).dtype.newbyteorder("=")
        good = np.isfinite(rows.max(-1)) & (temperature >= 1e-3)
        if name == "softmax":
            _sums_to_one(np.moveaxis(found, axis, -1)[good], -1)
        assert result.shape == (rows.shape[:-1] if name == "logsumexp" else np.shape(x))

    return Call(getattr(gf, name), (x,), given, check, draws=False)


def _backward(name: str, s: Source) -> Call:
    dims, axis, _ = _rows(s)
    y = floats(s, dims)
    grad = floats(s, dims) if s.one_in(2) else np.ones(np.shape(y), getattr(y, "dtype", None))
    tau = {"tau" if name.startswith("gumbel") else "temperature": _setting(s)}

    def check(found: Any, grad: Any, y: Any, **_: Any) -> None:
        assert found.shape == np.shape(y)

    return Call(getattr(gf, name), (grad, y), axis | tau | _threads(s) | out(s, dims, y), check, draws=False)


def prepared(s: Source) -> Call:
    """Categorical: everything that an instance can do."""
    dims, axis, batch = _rows(s)
    from_logits = s.one_in(2)
    x = floats(s, dims) if from_logits else weights(s, dims)
    given = axis | {"size": s.mostly([None, 0, 3, (2, 2), 70], [*ODD, (2, -1)])} | _threads(s)
    given |= {"method": s.mostly(["auto", "alias", "inverse", "gumbel"])}
    value = integers(s, batch, dims[-1] if dims else 1)

    def function(x: Any, value: Any, *, axis: Any = -1, **given: Any) -> Any:
        law = gf.Categorical(**{"logits" if from_logits else "probs": x}, axis=axis)
        log_prob = law.log_prob(value)
        return law.sample(**given), log_prob, law.entropy(), law.mode(), law.probs

    def check(found: Any, x: Any, value: Any, axis: Any = -1, **_: Any) -> None:
        with np.errstate(divide="ignore"):
            logits = x if from_logits else np.log(np.asarray(x).astype(np.float64))
        _can_be_drawn(np.asarray(found[0])[..., None], logits, axis)
        assert (np.asarray(found[1]) <= 0).all()
        assert (np.abs(found[4].sum(axis) - 1) < 1e-12).all()

    return Call(function, (x, value), given, check)


def inverse_transform(s: Source) -> Call:
    dims, axis, batch = _rows(s)
    u = np.asarray(s.generator().random((s.below(4), *batch)), s.choice(["f8", "f4", "f2"]))
    u = s.mostly([u, np.minimum(u, 0.5), 0.25], [*ODD, u - 1, u + 1])

    def check(found: Any, probs: Any, u: Any, axis: Any = -1, cdf: bool = False) -> None:
        assert not cdf or (np.asarray(found) >= 0).all()
        if not cdf:
            with np.errstate(divide="ignore"):
                logits = np.log(np.asarray(probs).astype(np.float64))
            _can_be_drawn(np.asarray(found)[..., None], logits, axis)

    cdf = {"cdf": True} if s.one_in(6) else {}
    return Call(gf.inverse_transform, (weights(s, dims), u), axis | cdf, check, draws=False)


def _order(name: str, s: Source) -> Call:
    dims, axis, _ = _rows(s)
    k = s.choice([1, 1, 2, 0, 5])
    place = axis.get("axis", -1) if type(axis.get("axis", -1)) is int else -1
    order = np.broadcast_to(np.arange(k), (*np.delete(np.array(dims, int), -1), k)) if dims else np.arange(k)
    if order.ndim and -order.ndim <= place < order.ndim:
        order = np.moveaxis(order, -1, place)
    args = floats(s, dims), s.mostly([order, order, integers(s, np.shape(order), 300)])
    if name.endswith("backward"):
        args = (s.mostly([1.0, 0, -2.5]), *args)

    def check(found: Any, *args: Any, **_: Any) -> None:
        if name.endswith("backward"):
            assert found.shape == np.shape(args[1])
        else:
            assert (np.asarray(found) <= 1e-6).all()

    return Call(getattr(gf, name), args, axis, check, draws=False)


def viterbi(s: Source) -> Call:
    labels = s.choice([1, 2, 3, 7, 33])
    dims = (*s.choice([(1,), (5,), (2, 9), (0, 3), (3, 0)]), labels)
    x, w = floats(s, dims), floats(s, (labels, labels))
    parents = s.mostly([np.arange(-1, dims[-2] - 1), integers(s, (dims[-2],), 2)])
    tree = (parents,) if s.one_in(2) else ()

    def check(found: Any, x: Any, *_: Any, **__: Any) -> None:
        assert found.labels.shape == np.shape(x)[:-1]
        assert found.labels.size == 0 or 0 <= found.labels.min() <= found.labels.max() < labels

    function = structures.viterbi_tree if tree else structures.viterbi
    return Call(function, (x, w, *tree), _threads(s), check, draws=False)


ENTRIES: list[Callable[[Source], Call]] = [
    categorical, categorical, gumbel_top_k, weighted_sample, sample_tokens, gumbel_softmax, conditional_gumbel,
    prepared, inverse_transform, viterbi, *(partial(_noise, name) for name in ("gumbel", "exponential")),
    *(partial(_forward, name) for name in ("softmax", "log_softmax", "logsumexp")),
    *(partial(_backward, f"{name}_backward") for name in ("softmax", "log_softmax", "gumbel_softmax")),
    *(partial(_order, f"plackett_luce_{name}") for name in ("log_prob", "log_prob_backward", "set_log_prob")),
]  # fmt: skip
