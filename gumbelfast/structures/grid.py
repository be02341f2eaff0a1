"""Binary grids: the best labelling by a minimum cut."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _checks
from ._labelling import Labelling

Array = NDArray[Any]


def graph_cut(unary: ArrayLike, pairwise: Any) -> Labelling:
    r"""The best labelling of binary grids with attractive interactions, by a minimum cut.

    Parameters
    ----------
    unary : array_like of float16, bfloat16, float32 or float64, shape (..., H, W, 2)
        Potential of labels 0 and 1 at each site, for any number of grids; -inf forbids a label.
    pairwise : array_like of floats, shape (2, 2), or a pair of them
        ``pairwise[i, j]`` for label i above or to the left of label j; finite. A pair holds the potentials of vertical
        and of horizontal edges, which broadcast to (H - 1, W, 2, 2) and (H, W - 1, 2, 2). An Ising model of strength c
        has ``c * np.eye(2)``.

    Returns
    -------
    Labelling
        ``labels`` of shape (..., H, W) and ``score`` of shape (...), float32, or float64 for float64 `unary`. Which of
        equally good labellings it is, is not specified.

    Raises
    ------
    ImportError
        Without PyMaxflow: ``pip install "gumbelfast[maxflow]"``.
    TypeError
        For potentials that are not floats.
    ValueError
        For shapes that do not fit, NaN or +inf, a site with both labels forbidden, and edges that are not submodular,
        that is, with :math:`w_{00} + w_{11} < w_{01} + w_{10}`.

    Notes
    -----
    Greig, Porteous and Seheult, "Exact maximum a posteriori estimation for binary images" (1989); the graph is that of
    Kolmogorov and Zabih, "What energy functions can be minimized via graph cuts?" (2004), the algorithm that of Boykov
    and Kolmogorov (2004), in float64 and one thread.

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast.structures import graph_cut
    >>> unary = np.zeros((2, 2, 2))
    >>> unary[0, 0] = [0.0, 3.0]
    >>> graph_cut(unary, 1.0 * np.eye(2)).labels
    array([[1, 1],
           [1, 1]])
    """
    x = _checks.unary(unary, ("rows", "columns", "labels"), (None, None, 2))
    _checks.no_nan(x, "unary")
    _checks.some_label(x)
    height, width = x.shape[-3:-1]
    two = pairwise if isinstance(pairwise, tuple) and np.ndim(pairwise[0]) > 1 else (pairwise, pairwise)
    down = _checks.submodular(two[0], "vertical", (height - 1, width))
    right = _checks.submodular(two[1], "horizontal", (height, width - 1))
    labels = _cut(x.reshape(-1, height, width, 2), down, right).reshape(x.shape[:-1])
    score = np.take_along_axis(x, labels[..., None], axis=-1)[..., 0].sum(axis=(-2, -1), dtype=np.float64)
    for w, first, second in (
        (down, labels[..., :-1, :], labels[..., 1:, :]),
        (right, labels[..., :-1], labels[..., 1:]),
    ):
        place = tuple(np.indices(w.shape[:2]))
        score += w[(*place, first, second)].sum(axis=(-2, -1))
    return Labelling(labels, score.astype(x.dtype)[()])


def _cut(x: Array, down: Array, right: Array) -> NDArray[np.int64]:
    """Label 1 where a site is on the sink's side of the minimum cut; all grids are one graph."""
    try:
        import maxflow
    except ImportError as error:
        raise ImportError('graph_cut needs PyMaxflow: pip install "gumbelfast[maxflow]"') from error
    # An edge adds w[0, 0] + (w[1, 0] - w[0, 0]) x_i + (w[1, 1] - w[1, 0]) x_j - capacity (1 - x_i) x_j.
    gain = np.diff(x.astype(np.float64), axis=-1)[..., 0]
    graph = maxflow.GraphFloat()
    nodes = graph.add_grid_nodes(gain.shape)
    for w, first, second, neighbour in (
        (down, np.s_[:-1, :], np.s_[1:, :], (0, 2, 1)),
        (right, np.s_[:, :-1], np.s_[:, 1:], (0, 1, 2)),
    ):
        gain[(slice(None), *first)] += w[..., 1, 0] - w[..., 0, 0]
        gain[(slice(None), *second)] += w[..., 1, 1] - w[..., 1, 0]
        capacity, structure = np.zeros(x.shape[1:3]), np.zeros((1, 3, 3))
        capacity[first] = np.maximum(w[..., 0, 0] + w[..., 1, 1] - w[..., 0, 1] - w[..., 1, 0], 0)
        structure[neighbour] = 1
        graph.add_grid_edges(nodes, capacity, structure)
    graph.add_grid_tedges(nodes, np.maximum(-gain, 0), np.maximum(gain, 0))
    graph.maxflow()
    return np.asarray(graph.get_grid_segments(nodes), np.int64)
