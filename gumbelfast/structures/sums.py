"""Sums over all labellings of chains and trees: log Z, marginals, their gradients, and exact samples."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._engine import checks
from .._engine.sources import reserved
from .._engine.types import SeedLike
from .._sampling.argmax import categorical
from .._sampling.softmax import logsumexp, softmax
from ..random.generator import Generator
from . import _checks

Array = NDArray[Any]
F64 = NDArray[np.float64]


class Marginals(NamedTuple):
    """What `label_marginals` returns.

    Attributes
    ----------
    nodes : ndarray of shape (..., T, S)
        The probability of each label at each node.
    edges : ndarray of shape (..., T - 1, S, S)
        ``edges[..., t - 1, i, j]`` is the probability of label i at the parent of node t and j at node t; 0 for a root.
    """

    nodes: Array
    edges: Array


def log_partition(unary: ArrayLike, pairwise: ArrayLike, *, parents: ArrayLike | None = None) -> Any:
    r"""The logarithm of the sum over all labellings, :math:`\log Z = \log \sum_x \exp \theta(x)`.

    Parameters
    ----------
    unary : array_like of float16, bfloat16, float32 or float64, shape (..., T, S)
        Potential of each of S labels at each of T nodes, for any number of chains or trees; -inf forbids a label.
    pairwise : array_like of floats, shape (S, S) or (T - 1, S, S)
        ``pairwise[i, j]`` for label i at a parent and j at its child; with three axes, ``pairwise[t - 1]`` is that of
        node t and its parent, and without meaning if t is a root. -inf forbids a pair.
    parents : array_like of int, shape (T,), optional
        The parent of each node, which comes before it: ``-1 <= parents[t] < t``. -1 is a root; there may be several.
        By default a chain, ``parents[t] = t - 1``.

    Returns
    -------
    ndarray of shape (...), or a scalar
        float32, or float64 for float64 `unary`.

    Raises
    ------
    TypeError
        For potentials that are not floats, and parents that are not integers.
    ValueError
        For shapes that do not fit, NaN or +inf, sums that overflow, parents in another order, and problems all of whose
        labellings score -inf.

    Notes
    -----
    The potential of a labelling is that of `viterbi_tree`,

    .. math:: \theta(x) = \sum_t u_t(x_t) + \sum_t w_t(x_{\pi(t)}, x_t).

    Sum-product from the last node to the first, in float64 and rounded once: Rabiner, "A tutorial on hidden Markov
    models" (1989); Pearl, *Probabilistic Reasoning in Intelligent Systems* (1988). It costs T * S**2 exponentials.

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast.structures import log_partition
    >>> float(np.exp(log_partition(np.zeros((10, 2)), np.zeros((2, 2)))).round())  # 2**10 labellings
    1024.0
    """
    return _Problem(unary, pairwise, parents).log_z()


def log_partition_backward(
    grad: ArrayLike, unary: ArrayLike, pairwise: ArrayLike, *, parents: ArrayLike | None = None
) -> tuple[Array, Array]:
    r"""Gradient of `log_partition`: the marginals, times `grad`.

    Parameters
    ----------
    grad : array_like of real numbers
        Gradient with respect to log Z; broadcasts to its shape.
    unary, pairwise, parents
        As in `log_partition`.

    Returns
    -------
    grad_unary : ndarray
        Shape of `unary`: :math:`\partial \log Z / \partial u_t(i) = P(x_t = i)`.
    grad_pairwise : ndarray
        Shape of `pairwise`, summed over all problems that share it, and over all edges where there is one matrix:
        :math:`\partial \log Z / \partial w_t(i, j) = P(x_{\pi(t)} = i, x_t = j)`.
        Both are float32, or float64 for float64 `unary`.

    Raises
    ------
    TypeError, ValueError
        As in `log_partition`, and for a `grad` that does not fit.

    Notes
    -----
    log Z generates the moments of an exponential family: Wainwright and Jordan, "Graphical models, exponential
    families, and variational inference" (2008), proposition 3.1.

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast.structures import log_partition_backward
    >>> log_partition_backward(1.0, np.zeros((2, 2)), np.zeros((2, 2)))[1]
    array([[0.25, 0.25],
           [0.25, 0.25]])
    """
    problem = _Problem(unary, pairwise, parents)
    outer = _checks.gradient(grad, "grad", problem.batch)[..., None, None]
    nodes, edges = problem.marginals()
    return problem.gradients(outer * problem.laid_out(nodes), outer[..., None] * problem.laid_out(edges))


def label_marginals(unary: ArrayLike, pairwise: ArrayLike, *, parents: ArrayLike | None = None) -> Marginals:
    r"""The exact marginals of chains and trees, :math:`P(x_t = i)` and :math:`P(x_{\pi(t)} = i, x_t = j)`.

    Parameters
    ----------
    unary, pairwise, parents
        As in `log_partition`.

    Returns
    -------
    Marginals
        ``nodes`` of shape (..., T, S) and ``edges`` of shape (..., T - 1, S, S), float32, or float64 for float64
        `unary`.

    Raises
    ------
    TypeError, ValueError
        As in `log_partition`.

    Notes
    -----
    From the first node to the last, :math:`P(x_{\pi(t)}, x_t) = P(x_{\pi(t)}) P(x_t \mid x_{\pi(t)})`, with the
    conditional probabilities of each node from the sums of `log_partition`. These are products of probabilities only,
    so small ones keep their relative accuracy.

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast.structures import label_marginals
    >>> nodes, edges = label_marginals(np.log([[1.0, 3.0], [1.0, 1.0]]), np.zeros((2, 2)))
    >>> nodes[0], edges.shape
    (array([0.25, 0.75]), (1, 2, 2))
    """
    problem = _Problem(unary, pairwise, parents)
    nodes, edges = problem.marginals()
    work = problem.dtype
    return Marginals(problem.laid_out(nodes).astype(work), problem.laid_out(edges).astype(work))


def label_marginals_backward(
    grad_nodes: ArrayLike,
    grad_edges: ArrayLike,
    unary: ArrayLike,
    pairwise: ArrayLike,
    *,
    parents: ArrayLike | None = None,
) -> tuple[Array, Array]:
    r"""Gradient of `label_marginals` with respect to the potentials.

    Parameters
    ----------
    grad_nodes, grad_edges : array_like of real numbers
        Gradients with respect to ``nodes`` and ``edges``; they broadcast to their shapes. 0.0 stands for none.
    unary, pairwise, parents
        As in `log_partition`.

    Returns
    -------
    grad_unary, grad_pairwise : ndarray
        As of `log_partition_backward`.

    Raises
    ------
    TypeError, ValueError
        As in `log_partition`, and for gradients that do not fit.

    Notes
    -----
    Marginals are the first derivatives of log Z, and their Jacobian, the covariance of the indicators of labels and
    pairs, is symmetric. So the gradient is the derivative of the marginals along `grad_nodes` and `grad_edges`, which
    is carried along through both passes (forward mode; Li and Eisner, "First- and second-order expectation semirings",
    2009) in a small multiple of their time.

    Examples
    --------
    >>> from gumbelfast.structures import label_marginals_backward
    >>> label_marginals_backward([[1.0, 0.0]], 0.0, [[0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]])[0]
    array([[ 0.25, -0.25]])
    """
    problem = _Problem(unary, pairwise, parents)
    nodes, labels = problem.x.shape[1:]
    towards = (
        _checks.gradient(grad_nodes, "grad_nodes", (*problem.batch, nodes, labels)),
        _checks.gradient(grad_edges, "grad_edges", (*problem.batch, nodes - 1, labels, labels)),
    )
    along = problem.derivatives(*(np.moveaxis(problem.in_one_axis(g), 1, 0) for g in towards))
    return problem.gradients(*(problem.laid_out(each) for each in along))


def sample_labellings(
    unary: ArrayLike,
    pairwise: ArrayLike,
    size: int | tuple[int, ...] | None = None,
    *,
    parents: ArrayLike | None = None,
    rng: SeedLike = None,
) -> NDArray[np.int64]:
    r"""Exact samples of the labels of chains and trees, :math:`P(x) = \exp \theta(x) / Z`.

    Parameters
    ----------
    unary, pairwise, parents
        As in `log_partition`.
    size : int or tuple of ints, optional
        Draws of each problem; these axes come in front.
    rng : {None, int, sequence of int, SeedSequence, BitGenerator, Generator}, optional
        Where the randomness comes from.

    Returns
    -------
    ndarray of int64, shape (*size, ..., T)
        The label of each node.

    Raises
    ------
    TypeError, ValueError
        As in `log_partition`; the generator is then left as it was.

    Notes
    -----
    Filtering in one direction and sampling in the other (Carter and Kohn, "On Gibbs sampling for state space models",
    1994; Frühwirth-Schnatter 1994; usually forwards and backwards): sums run from the last node to the first, then each
    node draws its label given that of its parent,

    .. math:: P(x_t = j \mid x_{\pi(t)} = i) \propto \exp(w_t(i, j) + b_t(j)),

    where :math:`b_t(j)` is the logarithm of the sum over all nodes below t. The draw is that of `categorical`, with
    the noise ``gumbel(size=(*size, ..., T, S))``: the first draws of many are those of fewer. Logarithms are computed
    in float64 and rounded to float32, unless `unary` is float64, before the noise is added.

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast.structures import sample_labellings
    >>> always_change = np.array([[-np.inf, 0.0], [0.0, -np.inf]])
    >>> x = sample_labellings(np.zeros((5, 2)), always_change, 1000, rng=0)
    >>> x.shape, bool((x[:, 1:] != x[:, :-1]).all())
    ((1000, 5), True)
    """
    problem = _Problem(unary, pairwise, parents)
    front = () if size is None else checks.size_tuple(size)
    count, (_, nodes, labels) = int(np.prod(front)), problem.x.shape
    below, _ = problem.sums()
    index = np.zeros((count, len(problem.x), nodes), np.int64)
    with reserved(rng, index.size * labels) as (key, first):
        for t, parent in enumerate(problem.parents.tolist()):
            given = below[t] if parent < 0 else problem.edge(t)[index[..., parent]] + below[t]
            logits = (given - given.max(axis=-1, keepdims=True)).astype(problem.dtype)
            drawn = np.broadcast_to(logits, (count, *below[t].shape))
            index[..., t] = categorical(drawn, rng=Generator(key), offset=first + t * labels, row_stride=nodes * labels)
    return index.reshape(*front, *problem.batch, nodes)


class _Problem:
    """Checked potentials in float64, all problems along one axis: unary (N, T, S), pairwise (S, S) or (T - 1, S, S)."""

    def __init__(self, unary: ArrayLike, pairwise: ArrayLike, parents: ArrayLike | None) -> None:
        given = _checks.unary(unary, ("nodes", "labels"))
        nodes, labels = given.shape[-2:]
        self.given, self.dtype, self.batch = given, given.dtype, given.shape[:-2]
        self.w: F64 = _checks.edges(pairwise, nodes, labels, given.dtype).astype(np.float64)
        self.parents = np.arange(-1, nodes - 1) if parents is None else _checks.tree(parents, nodes)
        self.x: F64 = given.reshape(-1, nodes, labels).astype(np.float64)

    def edge(self, t: int) -> F64:
        return self.w if self.w.ndim == 2 else self.w[t - 1]

    def laid_out(self, x: F64) -> F64:
        """Moves the problems, the second axis behind nodes or edges, to the front, in their original shape."""
        return np.moveaxis(x, 1, 0).reshape(*self.batch, len(x), *x.shape[2:])

    def in_one_axis(self, x: F64) -> F64:
        """The array with all problems along one axis."""
        return x.reshape(len(self.x), *x.shape[len(self.batch) :])

    def log_z(self) -> Any:
        return self.sums()[1].astype(self.dtype).reshape(self.batch)[()]

    def sums(self) -> tuple[F64, F64]:
        """For each node (T, N, S) the logarithm of the sum over what lies below it, itself included; log Z (N,)."""
        below, total = np.moveaxis(self.x, 1, 0).copy(), np.zeros(len(self.x))
        with np.errstate(invalid="ignore", over="ignore"):
            for t in reversed(range(len(below))):
                if self.parents[t] < 0:
                    total += logsumexp(below[t])
                else:
                    below[self.parents[t]] += logsumexp(self.edge(t) + below[t][:, None])
        if not (total < np.finfo(self.dtype).max).all():
            _checks.refuse(self.given)
        if np.isneginf(total).any():
            _checks.impossible(total.reshape(self.batch))
        return below, total

    def _conditional(self, t: int, below: F64) -> F64:
        """The probability of each label of a node given each one of its parent (N, S, S); 0 where none is possible."""
        p: F64 = softmax(self.edge(t) + below[t][:, None])
        return np.where(np.isnan(p), 0, p)

    def marginals(self) -> tuple[F64, F64]:
        """Of nodes (T, N, S) and edges (T - 1, N, S, S)."""
        below, _ = self.sums()
        nodes, pairs = np.empty_like(below), np.zeros((len(below) - 1, *below.shape[1:], below.shape[2]))
        for t, parent in enumerate(self.parents):
            if parent < 0:
                nodes[t] = softmax(below[t])
            else:
                pairs[t - 1] = nodes[parent][..., None] * self._conditional(t, below)
                nodes[t] = pairs[t - 1].sum(axis=1)
        return nodes, pairs

    def derivatives(self, along_nodes: F64, along_edges: F64) -> tuple[F64, F64]:
        """The derivatives of the marginals where potentials change at these rates, laid out as `marginals` are."""
        below, _ = self.sums()
        rate = along_nodes.copy()
        conditional, rates = {}, {}
        for t in reversed(range(1, len(below))):
            if self.parents[t] >= 0:
                p = self._conditional(t, below)
                inner = along_edges[t - 1] + rate[t][:, None]
                told = (p * inner).sum(axis=-1)
                rate[self.parents[t]] += told
                conditional[t], rates[t] = p, p * (inner - told[..., None])
        nodes, pairs = np.empty_like(rate), np.zeros((len(below) - 1, *rate.shape[1:], rate.shape[2]))
        value = np.empty_like(rate)
        for t, parent in enumerate(self.parents):
            if parent < 0:
                value[t] = softmax(below[t])
                nodes[t] = value[t] * (rate[t] - (value[t] * rate[t]).sum(axis=-1, keepdims=True))
            else:
                value[t] = (value[parent][..., None] * conditional[t]).sum(axis=1)
                pairs[t - 1] = nodes[parent][..., None] * conditional[t] + value[parent][..., None] * rates[t]
                nodes[t] = pairs[t - 1].sum(axis=1)
        return nodes, pairs

    def gradients(self, nodes: F64, edges: F64) -> tuple[Array, Array]:
        """Of what each label and pair of each problem is worth to potentials, which problems and edges may share."""
        each = self.in_one_axis(edges).sum(axis=0)
        shared = each.sum(axis=0) if self.w.ndim == 2 else each
        return nodes.astype(self.dtype), shared.astype(self.dtype)
