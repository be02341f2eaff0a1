"""The reference as a backend: the functions of `gumbelfast._core.Backend`, in terms of the pages beside this one.

Only addresses, rows and dtypes are settled here. float16 and bfloat16 are converted to float32 on load, and the float32
result is rounded once on store. ``threads`` is accepted and changes nothing, as everywhere.
"""

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .at_ids import top_k_at
from .conditional import conditional_gumbel as conditional_rows
from .conditional import maximum_at
from .gumbel_max import gumbel_max as gumbel_max_rows
from .gumbel_softmax import gumbel_softmax as gumbel_softmax_rows
from .k_subsets import derivatives, marginals, sums
from .noise import exponential_noise, gumbel_noise
from .philox import U64, WORD, block_words, philox4x32, row_key
from .race import race as race_rows
from .relaxed_top_k import relaxed_top_k as relaxed_top_k_rows
from .relaxed_top_k import relaxed_top_k_backward as relaxed_top_k_backward_rows
from .rows import (
    LACKING,
    REFUSED,
    Address,
    Logits,
    addresses,
    count_tiles,
    flat_elements,
    load,
    load_logits,
    repeat_rows,
    scale_rows,
    status,
    store,
    working_dtype,
)
from .sinkhorn import sinkhorn as sinkhorn_matrices
from .sinkhorn import sinkhorn_backward as sinkhorn_backward_matrices
from .softmax import log_softmax as log_softmax_rows
from .softmax import log_softmax_backward as log_softmax_backward_rows
from .softmax import logsumexp as logsumexp_rows
from .softmax import softmax as softmax_rows
from .softmax import softmax_backward as softmax_backward_rows
from .tables import alias_table as alias_table_row
from .tables import bounds_of, invert, pick_alias, uniforms
from .tokens import edge, filters_of, survivors, weights_of
from .top_k import gumbel_top_k as gumbel_top_k_rows
from .viterbi import viterbi as viterbi_tree

Array: TypeAlias = NDArray[Any]

name = "reference"


def philox(key: int, domain: int, block: int, out: Array) -> None:
    """The four words of each block ``block, block + 1, ...`` into the uint32 array ``out`` of shape (n, 4)."""
    blocks = np.uint64(block) + np.arange(len(out), dtype=np.uint64)
    out[...] = np.stack(block_words(key, domain, blocks), axis=-1)


def row_keys(seeds: U64, keys: U64) -> None:
    """The key of each row's seed into ``keys``."""
    keys[...] = row_key(seeds)


def gumbel(out: Array, loc: float, scale: float, threads: int, address: Address) -> int:
    """``loc + scale * g`` for elements ``offset, offset + 1, ...`` into ``out``, flat in C order."""
    work = working_dtype(out.dtype)
    noise = gumbel_noise(*flat_elements(address, out.size), work)
    with np.errstate(over="ignore"):
        store(out, work.type(loc) + work.type(scale) * noise)
    return 0


def exponential(out: Array, loc: float, scale: float, threads: int, address: Address) -> int:
    """``loc + scale * E`` likewise, with ``g = -log(E)``."""
    work = working_dtype(out.dtype)
    noise = exponential_noise(*flat_elements(address, out.size), work)
    with np.errstate(over="ignore", under="ignore"):
        store(out, work.type(loc) + work.type(scale) * noise)
    return 0


def _named_elements(ids: U64, address: Address) -> tuple[U64, int | U64]:
    """The element that each id of some rows names, and the key, or a column of keys."""
    rows: U64 = ids.reshape(math.prod(ids.shape[:-1]), ids.shape[-1])
    first, each_key = addresses(len(rows), 1, address)
    return first + rows, each_key


def gumbel_at(ids: U64, out: Array, threads: int, address: Address) -> int:
    """``g`` of the elements that the ids of each row name."""
    elements, each_key = _named_elements(ids, address)
    store(out, gumbel_noise(each_key, elements, working_dtype(out.dtype)))
    return elements.size


def exponential_at(ids: U64, out: Array, threads: int, address: Address) -> int:
    """``E`` of the elements that the ids of each row name."""
    elements, each_key = _named_elements(ids, address)
    store(out, exponential_noise(each_key, elements, working_dtype(out.dtype)))
    return elements.size


def gumbel_max_at(
    x: Array,
    scale: float | Array,
    ids: U64 | None,
    bounds: Array | None,
    index: Array,
    perturbed: Array | None,
    threads: int,
    address: Address,
) -> int:
    """Per row of entries the id of the largest ``x * scale + g``."""
    best = np.empty(index.shape) if perturbed is None else perturbed
    return gumbel_top_k_at(x, scale, ids, bounds, index[..., None], best[..., None], threads, address)


def gumbel_top_k_at(
    x: Array,
    scale: float | Array,
    ids: U64 | None,
    bounds: Array | None,
    index: Array,
    perturbed: Array,
    threads: int,
    address: Address,
) -> int:
    """Per row of entries the ids of the k largest ``x * scale + g``, in order; missing places hold -1 and -inf."""
    if index.size == 0:
        return 0
    flat: Array = x.reshape(-1).astype(working_dtype(x.dtype))
    if np.any(np.isnan(flat) | np.isposinf(flat)):
        return REFUSED
    ends = np.arange(0, flat.size + 1, x.shape[-1]) if bounds is None else bounds
    k, count = index.shape[-1], len(ends) - 1
    places = (np.arange(flat.size) - np.repeat(ends[:-1], np.diff(ends))).astype(np.uint64)
    named = places if ids is None else ids.reshape(-1)
    out, best = index.reshape(-1, k), perturbed.reshape(-1, k)
    first, each_key = addresses(len(out), 1, address)
    scales = np.broadcast_to(scale, count) if isinstance(scale, float) else scale.reshape(-1)
    opened = 0
    for i in range(len(out)):
        row = slice(ends[i % count], ends[i % count + 1])
        key = each_key if isinstance(each_key, int) else each_key[i]
        noise = gumbel_noise(key, first[i] + named[row], flat.dtype)
        out[i], best[i] = top_k_at(flat[row], noise, scales[i % count], named[row], k)
        opened += noise.size
    return LACKING if (out < 0).any() else opened


def gumbel_max(
    logits: Logits,
    index: Array,
    perturbed: Array | None,
    threads: int,
    address: Address,
) -> int:
    """Per row the argmax of ``logits * scale + g``; -1 and -inf for a row with nothing to draw."""
    x = load_logits(logits)
    if x is None:
        return REFUSED
    elements, each_key = addresses(index.size, x.shape[1], address)
    rows = repeat_rows(x, index.size)
    which, best = gumbel_max_rows(rows, gumbel_noise(each_key, elements, x.dtype), scale_rows(logits[2], index.size))
    store(index, which)
    if perturbed is not None:
        store(perturbed, best)
    return status(elements, which)


def gumbel_top_k(
    logits: Logits,
    index: Array,
    perturbed: Array,
    threads: int,
    address: Address,
) -> int:
    """The k largest of ``logits * scale + g`` per row, in order; missing places hold -1 and -inf."""
    x = load_logits(logits)
    if x is None:
        return REFUSED
    if index.size == 0:
        return 0
    k = index.shape[-1]
    elements, each_key = addresses(index.size // k, x.shape[1], address)
    rows, scales = repeat_rows(x, index.size // k), scale_rows(logits[2], index.size // k)
    which, best = gumbel_top_k_rows(rows, gumbel_noise(each_key, elements, x.dtype), scales, k)
    store(index, which)
    store(perturbed, best)
    return status(elements, which)


def race(
    weights: Logits,
    tops: Array | None,
    index: Array,
    perturbed: Array | None,
    sums: Array | None,
    threads: int,
    address: Address,
) -> int:
    """The places of the k largest ``w / E`` of each row, in order; -1 where no weight is left. No need for ``tops``."""
    w = load(weights[0])
    if not ((w >= 0) & (w < np.inf)).all():
        return REFUSED
    if index.size == 0:
        return 0
    k = index.shape[-1]
    elements, each_key = addresses(index.size // k, w.shape[1], address)
    which, best = race_rows(repeat_rows(w, index.size // k), exponential_noise(each_key, elements, w.dtype), k)
    store(index, which)
    if perturbed is not None:
        store(perturbed, best)
    if sums is not None:
        sums[...] = repeat_rows(w, index.size // k).sum(axis=-1)
    return status(elements, which)


def _load_drawable(logits: Logits) -> Array | None:
    """Logits without NaN and +inf whose rows all hold a finite one."""
    x = load_logits(logits)
    return None if x is None or np.isneginf(x).all(axis=-1).any() else x


def refuses(logits: Logits, threads: int) -> bool:
    """NaN, +inf or a row without a finite logit."""
    return _load_drawable(logits) is None


def gumbel_softmax(
    logits: Logits,
    soft: Array | None,
    hard: Array | None,
    threads: int,
    address: Address,
) -> int:
    """``softmax((logits + g) * scale)`` into ``soft`` and the one-hot of its argmax into ``hard``."""
    x = _load_drawable(logits)
    if x is None:
        return REFUSED
    count = max(out.size for out in (soft, hard) if out is not None) // x.shape[1]
    elements, each_key = addresses(count, x.shape[1], address)
    noise = gumbel_noise(each_key, elements, x.dtype)
    soft_rows, hard_rows = gumbel_softmax_rows(repeat_rows(x, count), noise, scale_rows(logits[2], count))
    if soft is not None:
        store(soft, soft_rows)
    if hard is not None:
        store(hard, hard_rows)
    return count_tiles(elements)


def conditional_gumbel(
    logits: Logits,
    bound: Array | None,
    index: Array | None,
    out: Array,
    threads: int,
    address: Address,
) -> int:
    """Perturbed logits at most ``bound``, or with the maximum at ``index``."""
    x = _load_drawable(logits)
    if x is None:
        return REFUSED
    elements, each_key = addresses(len(x), x.shape[1], address)
    noise = gumbel_noise(each_key, elements, x.dtype)
    which = None if index is None else index.reshape(-1)
    if bound is not None:
        top = bound.reshape(-1).astype(x.dtype)
    else:
        assert which is not None
        top = maximum_at(x, noise, which)
    store(out, conditional_rows(x, noise, top, which))
    return count_tiles(elements)


def sample_tokens(
    logits: Logits,
    settings: tuple[Array | None, ...],
    index: Array,
    masses: Array | None,
    threads: int,
    address: Address,
) -> int:
    """Per row the argmax of ``logits * scale + g`` over what the filters leave; -1 for a row with nothing to draw."""
    x = load_logits(logits)
    if x is None:
        return REFUSED
    elements, each_key = addresses(index.size, x.shape[1], address)
    noise = gumbel_noise(each_key, elements, x.dtype)
    which = np.full(index.size, -1, np.int64)
    for i, row in enumerate(x):
        s, asked = filters_of(settings, i, x.dtype)
        left = survivors(row, s, asked)
        # Nothing but the greedy choice is left where s is 0: any scale draws it.
        which[i : i + 1] = gumbel_max_rows(left[None], noise[i : i + 1], s or 1.0)[0]
        if masses is not None and which[i] >= 0:
            masses[i] = weights_of(row, s, ~np.isneginf(left))
    store(index, which)
    return status(elements, which)


def token_edges(logits: Logits, settings: tuple[Array | None, ...], edges: Array, threads: int) -> int:
    """Per row what the filters leave, as `edge` says it."""
    x = load_logits(logits)
    if x is None:
        return REFUSED
    rows = edges.reshape(-1, 4)
    for i, row in enumerate(x):
        rows[i] = edge(row, ~np.isneginf(survivors(row, *filters_of(settings, i, x.dtype))))
    return LACKING if (rows[:, 2] < 0).any() else 0


def softmax(x: Array, scale: float | Array, out: Array, threads: int) -> None:
    """``softmax(x * scale)`` along the last axis."""
    rows = load(x)
    store(out, softmax_rows(rows, scale_rows(scale, len(rows))))


def log_softmax(x: Array, scale: float | Array, out: Array, threads: int) -> None:
    """``log(softmax(x * scale))`` along the last axis."""
    rows = load(x)
    store(out, log_softmax_rows(rows, scale_rows(scale, len(rows))))


def logsumexp(x: Array, scale: float | Array, out: Array, threads: int) -> None:
    """``log(sum(exp(x * scale)))`` of each row."""
    rows = load(x)
    store(out, logsumexp_rows(rows, scale_rows(scale, len(rows))))


def softmax_backward(grad: Array, y: Array, scale: float | Array, out: Array, threads: int) -> None:
    """``scale * y * (grad - sum(grad * y))``."""
    rows = load(y)
    store(out, softmax_backward_rows(load(grad), rows, scale_rows(scale, len(rows))))


def log_softmax_backward(grad: Array, log_y: Array, scale: float | Array, out: Array, threads: int) -> None:
    """``scale * (grad - exp(log_y) * sum(grad))``."""
    rows = load(log_y)
    store(out, log_softmax_backward_rows(load(grad), rows, scale_rows(scale, len(rows))))


def alias_table(bounds: U64, table: U64, threads: int) -> None:
    """The alias table of each row of bounds."""
    for i in range(len(bounds)):
        table[i] = alias_table_row(bounds[i], table.shape[1])


def draw_alias(table: U64, index: Array, threads: int, address: Address) -> int:
    """Draws ``offset, offset + 1, ...`` into ``index``, draw n of the call from the table of row n % rows."""
    out, drawn = index.reshape(-1), uniforms(*flat_elements(address, index.size))
    for i in range(len(table)):
        out[i :: len(table)] = pick_alias(table[i], drawn[i :: len(table)])
    return 0


def draw_inverse(bounds: U64, guide: Array, index: Array, threads: int, address: Address) -> int:
    """The same draws by inversion; the guide only saves time, so none is needed here."""
    out, drawn = index.reshape(-1), uniforms(*flat_elements(address, index.size))
    for i in range(len(bounds)):
        out[i :: len(bounds)] = invert(bounds[i], drawn[i :: len(bounds)])
    return 0


def draw_integers(below: int, index: Array, threads: int, address: Address) -> int:
    """``floor(below * u / 2**64)`` for the uniforms of these draws."""
    drawn = uniforms(*flat_elements(address, index.size))
    index.reshape(-1)[...] = [below * u >> 64 for u in drawn.tolist()]
    return 0


def choose_by_words(weights: Array, index: Array, block: int, word: int, key: int, threads: int) -> int:
    """Inversion of the bounds of one row of weights by the doubles of sequential words, as NumPy makes them."""
    bounds = bounds_of(weights.astype(np.float64))
    blocks = np.uint64(block) + np.arange(index.size // 2 + 2, dtype=np.uint64)
    zero = np.zeros_like(blocks)
    words = np.stack(philox4x32((blocks & WORD, blocks >> np.uint64(32), zero, zero), key), axis=-1).reshape(-1)
    low, high = words[word : word + 2 * index.size].reshape(-1, 2).T
    drawn = (low | high << np.uint64(32)) >> np.uint64(11) << np.uint64(11)
    index.reshape(-1)[...] = invert(bounds, drawn)
    return 0


def draw_weights(weights: Array, index: Array, threads: int, address: Address) -> int:
    """Inversion of the bounds of each row of weights."""
    wide = weights.astype(np.float64)
    with np.errstate(over="ignore"):
        total = np.cumsum(wide, axis=-1)[..., -1]
    if not ((wide >= 0).all() and ((total > 0) & (total < np.inf)).all()):
        return REFUSED
    return draw_inverse(np.array([bounds_of(row) for row in wide]), index, index, threads, address)


def viterbi(unary: Array, pairwise: Array, parents: Array, index: Array, score: Array, threads: int) -> int:
    """The best labelling of each tree, and its score."""
    found = [viterbi_tree(row, pairwise, parents) for row in unary]
    if any(each is None for each in found):
        return REFUSED
    for i, each in enumerate(found):
        if each is not None:
            index[i], score[i] = each
    return LACKING if np.isneginf(score).any() else 0


def _column(scale: float | Array, x: Array) -> Array:
    """1/tau of each row of `x`, in a column."""
    return np.broadcast_to(np.asarray(scale, x.dtype).reshape(-1, 1), (len(x), 1))


def relaxed_top_k(z: Array, k: int, scale: float | Array, out: Array, threads: int) -> None:
    """The sum of k softmaxes of ``z * scale``, each of what the ones before left."""
    rows = load(z)
    store(out, relaxed_top_k_rows(rows, k, _column(scale, rows)))


def relaxed_top_k_backward(grad: Array, z: Array, k: int, scale: float | Array, out: Array, threads: int) -> None:
    """The gradient with respect to ``z``."""
    rows = load(z)
    store(out, relaxed_top_k_backward_rows(load(grad), rows, k, _column(scale, rows)))


def sinkhorn(z: Array, rounds: int, scale: float | Array, out: Array, threads: int) -> None:
    """``exp(z * scale)`` of matrices, rows and then columns divided by their sums, ``rounds`` times."""
    out[...] = sinkhorn_matrices(z, _column(scale, z)[..., None], rounds)


def sinkhorn_backward(grad: Array, z: Array, rounds: int, scale: float | Array, out: Array, threads: int) -> None:
    """The gradient with respect to ``z``."""
    out[...] = sinkhorn_backward_matrices(grad, z, _column(scale, z)[..., None], rounds)


def subset_marginals(x: Array, k: int, out: Array | None, log_sum: Array, threads: int) -> None:
    """The probability of each item, and the logarithm of the sum over all subsets of k items."""
    rows = load(x)
    store(log_sum, sums(rows, k)[-1, :, k])
    if out is not None:
        store(out, marginals(rows, k))


def subset_marginals_backward(grad: Array, x: Array, k: int, out: Array, threads: int) -> None:
    """The gradient with respect to ``x``: the Jacobian is symmetric."""
    store(out, derivatives(load(x), k, load(grad)))
