"""What calls of a fuzzer are made of, and calls of functions that draw nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from fuzz_arrays import FEW, ODD, ODD_SIZES, Source, floats, integers, laid_out, out, shape

import gumbelfast as gf
from gumbelfast import permutations, structures, subsets


class OwnError(Exception):
    """What a function of the user's raises."""


class Asked:
    """A function of the user's, which fails when it is called for the `fails`-th time; it must be told so.

    `fault(result)` raises, or returns something else instead. After `still` calls the generator may have moved.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        fails: int = -1,
        fault: Callable[[Any], Any] | None = None,
        still: float = np.inf,
    ) -> None:
        self._function, self._fails, self._fault, self._still = function, fails, fault, still
        self.begin()

    def begin(self) -> None:
        self.calls, self.raised = 0, None

    def __call__(self, *args: Any) -> Any:
        self.calls += 1
        found = self._function(*args)
        if self._fault is None or self.calls != self._fails:
            return found
        try:
            return self._fault(found)
        except OwnError as error:
            self.raised = error
            raise

    @property
    def may_have_moved(self) -> bool:
        return self.calls > self._still


def raises(_: Any) -> None:
    raise OwnError


def replaced(s: Source, *more: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A fault: an exception, or another thing than what was expected."""
    other = s.choice(ODD)
    return s.choice([raises, raises, lambda _: other, *more])


class Call(NamedTuple):
    """A function and its arguments; `check(result, *args, **given)` asserts what must hold of any result."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    given: dict[str, Any]
    check: Callable[..., None]
    draws: bool = True
    asked: Asked = Asked(lambda: None)


def setting(s: Source, batch: tuple[int, ...] | None = None) -> Any:
    """A temperature; one per row where there is a batch."""
    if batch is not None and s.one_in(4):
        each = np.asarray(s.generator().choice([0.25, 1.0, 3.0, 1e-38, 1e30], batch))
        return s.mostly(
            [each, laid_out(s, each), each[..., :1]] if batch else [each], [each - 1, each[..., None], 1j * each]
        )
    return s.mostly([1.0, 1.0, 0.5, 3, np.float32(2), 1e-30], [*ODD, -1.0, 0.0, 1e-320, 1e300, np.array([1.0, 2.0])])


def axes(s: Source) -> tuple[tuple[int, ...], dict[str, Any], tuple[int, ...]]:
    """A shape, its axis, and the batch."""
    dims = shape(s)
    axis = s.mostly([-1, -1, -1, 0, len(dims) - 1], [*ODD, 3, -4])
    given = {} if axis == -1 else {"axis": axis}
    place = axis if type(axis) is int and dims and -len(dims) <= axis < len(dims) else -1
    batch = tuple(np.delete(np.array(dims, int), place)) if dims else ()
    return dims, given, tuple(int(n) for n in batch)


def threads(s: Source) -> dict[str, Any]:
    return {"num_threads": s.mostly([1, 2, 7], [*ODD, 4097])} if s.one_in(4) else {}


def several_axes(s: Source) -> tuple[tuple[int, ...], dict[str, Any], tuple[int, ...]]:
    """The same for functions that take many axes."""
    dims, given, batch = axes(s)
    if s.one_in(3):
        n = len(dims)
        axis = s.mostly([None, (), (0,), (-1, 0)[:n], tuple(range(n))], [(0, 0), (0, -n), (7,), (0.5,), [0]])
        given, gone = {"axis": axis}, range(n) if axis is None else axis
        batch = tuple(m for i, m in enumerate(dims) if i not in gone and i - n not in gone)
    return dims, given, batch


def merged(x: Any, axis: Any) -> Any:
    """An array with `axis`, which may be many, as its last."""
    x = np.asarray(x)
    axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    x = np.moveaxis(x, axes, range(-len(axes), 0))
    kept = x.ndim - len(axes)
    return x.reshape(*x.shape[:kept], math.prod(x.shape[kept:]))


def last(x: Any, axis: Any) -> Any:
    return merged(np.asarray(x).astype(np.float64), axis)


def can_be_drawn(index: Any, x: Any, axis: Any = -1, allowed: Any = None, empty: Any = None) -> None:
    """Indices, categories last, of logits that are finite and allowed."""
    rows = last(x, axis)
    assert np.asarray(index).dtype == np.int64
    if allowed is not None:
        rows = np.where(last(np.broadcast_to(allowed, np.shape(x)), axis) > 0, rows, -np.inf)
    rows = np.broadcast_to(rows, (*np.shape(index)[:-1], rows.shape[-1]))
    none = np.isneginf(rows).all(axis=-1)
    index = np.where(none[..., None], 0, index) if empty is not None else index
    drawn = np.take_along_axis(rows, index, -1)
    assert (np.isfinite(drawn) | none[..., None] if empty is not None else np.isfinite(drawn)).all()
    assert (np.diff(np.sort(index, -1)) > 0).all()


def sums_to_one(y: Any, axis: Any) -> None:
    eps = {"float16": 2.0**-10, "bfloat16": 2.0**-7}.get(y.dtype.name, 1e-6)
    rows = last(y, axis)
    assert (rows >= 0).all()
    # Each entry is rounded once, to half an eps of itself or of the smallest number of a half type.
    assert (np.abs(rows.sum(-1) - 1) <= 2 * eps + rows.shape[-1] * 2.0**-24).all()


def _forward(name: str, s: Source) -> Call:
    dims, axis, batch = several_axes(s)
    x = floats(s, dims)
    given = axis | {"temperature": setting(s, batch)} | threads(s)
    given |= out(s, batch if name == "logsumexp" else dims, x)
    if name == "logsumexp" and s.one_in(3):
        factors = s.choice([2, -0.5, np.zeros(dims), np.resize([1.0, 0, -3], dims), np.ones(dims, bool)])
        given |= {"b": s.mostly([factors, np.resize(factors, dims[-1:])]), "return_sign": s.one_in(2)}

    def check(found: Any, x: Any, axis: Any = -1, temperature: Any = 1.0, **given: Any) -> None:
        if given.get("return_sign"):
            found, sign = found
            sign = np.asarray(sign).astype(float)
            assert np.isin(sign, [-1, 0, 1])[~np.isnan(sign)].all()
        rows, result = last(x, axis), np.asarray(found)
        assert result.dtype == np.asarray(x).dtype.newbyteorder("=")
        good = np.isfinite(rows.max(-1)) & (np.asarray(temperature) >= 1e-3)
        if name == "softmax":
            sums_to_one(merged(found, axis)[good], -1)
        weighted = np.empty(np.broadcast_shapes(np.shape(x), np.shape(given.get("b"))))
        assert result.shape == (last(weighted, axis).shape[:-1] if name == "logsumexp" else np.shape(x))

    return Call(getattr(gf, name), (x,), given, check, draws=False)


def _backward(name: str, s: Source) -> Call:
    dims, axis, batch = axes(s) if name.startswith("gumbel") else several_axes(s)
    y = floats(s, dims)
    grad = floats(s, dims) if s.one_in(2) else np.ones(np.shape(y), getattr(y, "dtype", None))
    tau = {"tau" if name.startswith("gumbel") else "temperature": setting(s, batch)}

    def check(found: Any, grad: Any, y: Any, **_: Any) -> None:
        assert found.shape == np.shape(y)

    return Call(getattr(gf, name), (grad, y), axis | tau | threads(s) | out(s, dims, y), check, draws=False)


def _order(name: str, s: Source) -> Call:
    dims, axis, _ = axes(s)
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

    return Call(getattr(gf.distributions, name), args, axis, check, draws=False)


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
    return Call(function, (x, w, *tree), threads(s), check, draws=False)


def _subsets(name: str, s: Source) -> Call:
    dims, axis, batch = axes(s)
    back = name.endswith("backward")
    grad = (s.mostly([1.0, floats(s, dims)]),) if back else ()
    args = (*grad, floats(s, dims), s.mostly([0, 1, 1, 2, 3], ODD_SIZES))
    given = axis | ({"tau": setting(s, batch)} if name.startswith("relaxed") else {})

    def check(found: Any, *args: Any, axis: Any = -1, **_: Any) -> None:
        x, k = args[-2:]
        if name == "subset_log_partition":
            assert np.shape(found) == last(x, axis).shape[:-1]
            return
        assert found.shape == np.shape(x)
        if name == "subset_marginals":
            rows = last(found, axis)
            finite = last(x, axis)
            known = np.abs(np.where(np.isneginf(finite), 0, finite)).max(-1) < 1e3
            assert np.allclose(rows.sum(-1)[known], k, rtol=1e-6)

    return Call(getattr(subsets, name), args, given, check, draws=False)


def _sinkhorn_backward(s: Source) -> Call:
    n = s.choice([1, 2, 3, 9, 17])
    dims = s.mostly([(n, n), (3, n, n), (0, n, n)], [(n,), (n, n + 1), (0, 0), ()])
    grad = s.mostly([1.0, floats(s, dims)])
    given = {"tau": setting(s, dims[:-2]), "iterations": s.mostly([1, 2, 7], FEW)}

    def check(found: Any, grad: Any, x: Any, **_: Any) -> None:
        assert found.shape == np.shape(x)

    return Call(permutations.gumbel_sinkhorn_backward, (grad, floats(s, dims)), given, check, draws=False)


PLAIN: list[Callable[[Source], Call]] = [
    viterbi,
    _sinkhorn_backward,
    *(
        partial(_subsets, name)
        for name in (
            "relaxed_top_k_backward",
            "subset_log_partition",
            "subset_marginals",
            "subset_marginals_backward",
        )
    ),
    *(partial(_forward, name) for name in ("softmax", "log_softmax", "logsumexp")),
    *(partial(_backward, f"{name}_backward") for name in ("softmax", "log_softmax", "gumbel_softmax")),
    *(partial(_order, f"plackett_luce_{name}") for name in ("log_prob", "log_prob_backward", "set_log_prob")),
]
