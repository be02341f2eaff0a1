"""The seam between the Python package and a backend.

A backend is an object with the methods of `Backend`. The compiled core offers one per instruction set, and
`gumbelfast.reference.kernels` is a module with the same functions. Everything was validated before a call arrives here:
arrays are C-contiguous, aligned and in native byte order, with the sampled axis last. Logits, ``x``, ``grad`` and ``y``
need no more than rows without gaps at equal distances.
"""

from collections.abc import Callable
from contextvars import ContextVar
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[Any]
_U64 = NDArray[Any]
_Address = tuple[int, int, int, _U64 | None, _U64 | None]
_Logits = tuple[_Array, _Array | None, float | _Array]
_TokenSettings = tuple[_Array | None, ...]

class Backend:
    """One table of kernels.

    Conventions shared by all methods:

    - dtypes of data are float16, bfloat16, float32, float64; the work is done in float32, for float64 in float64.
    - ``scale`` is 1/temperature as a Python float, or as float64 with one entry per row of the data; the kernel rounds
      it to the working dtype.
    - ``address`` is a tuple ``(key, offset, row_stride, keys, offsets)``: the noise of row i, column j is element
      ``offset + i * row_stride + j`` under ``key`` (64 bits: k0 low, k1 high). ``offsets[i]`` (uint64), unless that is
      None, takes the place of ``offset + i * row_stride``, ``keys[i]`` (uint64) that of ``key``. It comes last, so that
      a call can be prepared without it. Kernels of flat noise take element ``offset + j`` under ``key``.
    - ``logits`` is a tuple ``(array, mask, scale)``. The mask is None or a bool array (True: allowed) of ``K`` entries
      (one row for all) or as many as logits; kernels that know no mask want None. Row i of the result reads row
      ``i % rows`` of the array.
    - ``threads`` is the most threads that may be used.
    - a perturbed value that overflows is infinite; among such values the logits decide.
    - kernels that draw return a status: the number of tiles whose noise they computed, or -2 when some row had less to
      draw than was asked for (all is written), or -1 when they refuse the input (NaN, +inf).
    """

    name: str

    def philox(self, key: int, domain: int, block: int, out: _Array) -> None:
        """The four words of each block ``block, block + 1, ...`` into the uint32 array ``out`` of shape (n, 4)."""

    def row_keys(self, seeds: _U64, keys: _U64) -> None:
        """The key of each row's seed into ``keys``."""

    def gumbel(self, out: _Array, loc: float, scale: float, threads: int, address: _Address) -> int:
        """``loc + scale * g`` for elements ``offset, offset + 1, ...`` into ``out``, flat in C order."""

    def exponential(self, out: _Array, loc: float, scale: float, threads: int, address: _Address) -> int:
        """``loc + scale * E`` likewise, with ``g = -log(E)``."""

    def gumbel_at(self, ids: _U64, out: _Array, threads: int, address: _Address) -> int:
        """``g`` of element ``ids[i, j]`` behind the first of row i, for each id, into ``out``."""

    def exponential_at(self, ids: _U64, out: _Array, threads: int, address: _Address) -> int:
        """``E`` likewise."""

    def gumbel_max_at(
        self,
        x: _Array,
        scale: float | _Array,
        ids: _U64 | None,
        bounds: _Array | None,
        index: _Array,
        perturbed: _Array | None,
        threads: int,
        address: _Address,
    ) -> int:
        """What `gumbel_max` draws of rows that hold the logits ``x`` in the columns ``ids`` (uint64), and else -inf.

        Rows are those of ``x``, or entries ``bounds[i]`` to ``bounds[i + 1]`` (int64) of it. Ids go into ``index``.
        """

    def gumbel_top_k_at(
        self,
        x: _Array,
        scale: float | _Array,
        ids: _U64 | None,
        bounds: _Array | None,
        index: _Array,
        perturbed: _Array,
        threads: int,
        address: _Address,
    ) -> int:
        """What `gumbel_top_k` draws of them."""

    def gumbel_max(
        self,
        logits: _Logits,
        index: _Array,
        perturbed: _Array | None,
        threads: int,
        address: _Address,
    ) -> int:
        """Per row the argmax of ``logits * scale + g`` into ``index`` (int64; -1 where the row has nothing to draw).

        ``perturbed``, where given, takes the maximum (float64; -inf for an empty row).
        """

    def gumbel_top_k(
        self,
        logits: _Logits,
        index: _Array,
        perturbed: _Array,
        threads: int,
        address: _Address,
    ) -> int:
        """The k largest of ``logits * scale + g`` per row, largest first, the lower index first among equals.

        ``index`` (int64) and ``perturbed`` (float64) have k columns; places beyond what a row allows hold -1
        and -inf.
        """

    def race(
        self,
        weights: _Logits,
        tops: _Array | None,
        index: _Array,
        perturbed: _Array | None,
        sums: _Array | None,
        threads: int,
        address: _Address,
    ) -> int:
        """The places of the k largest ``w / E`` of each row into ``index`` (int64, k columns), the largest first.

        -1 where a row has no weight above 0 left; -1 as status for a weight that is negative, NaN or infinite.
        ``perturbed``, where given, takes ``log(w / E)`` (float64; -inf where nothing is left), ``sums`` the sum of each
        row in the working type, rounded in no certain order. ``tops`` holds for each row 16 zeros, the largest weight
        of each 32 columns, and 16 zeros or more, in the working type; weights with tops are good, and have no sums.
        """

    def refuses(self, logits: _Logits, threads: int) -> bool:
        """Whether the next two would refuse these logits, after they may have written some rows of a result."""

    def gumbel_softmax(
        self,
        logits: _Logits,
        soft: _Array | None,
        hard: _Array | None,
        threads: int,
        address: _Address,
    ) -> int:
        """``softmax((logits + g) * scale)`` into ``soft`` and the one-hot of its argmax into ``hard``.

        -1 as well for a row without a finite logit; ``hard`` alone is not written then.
        """

    def conditional_gumbel(
        self,
        logits: _Logits,
        bound: _Array | None,
        index: _Array | None,
        out: _Array,
        threads: int,
        address: _Address,
    ) -> int:
        """``-log(exp(-M) + exp(-(logits + g)))`` into ``out`` (working dtype), one M a row.

        ``bound`` (float64, one per row) is M; None stands for ``logsumexp(logits) + g`` with the noise of the entry
        ``index`` (int64, one per row). That entry, where given, becomes M itself, and all others are below it. The
        scale is not looked at. ``out`` may be the array. -1 as well for a row without a finite logit.
        """

    def sample_tokens(
        self,
        logits: _Logits,
        settings: _TokenSettings,
        index: _Array,
        masses: _Array | None,
        threads: int,
        address: _Address,
    ) -> int:
        """Per row the argmax of ``logits * scale + g`` over what the filters leave into ``index`` (int64; -1: nothing).

        ``settings`` are ten arrays with one entry per row, in C order: ``scale`` (replaces that of the logits; 0: the
        argmax of the logits themselves), ``top_k`` (0 or >= K filters nothing), ``top_p`` (1 filters nothing),
        ``min_p`` (0 filters nothing), the scale of the probabilities that filters see (None: the first), how many each
        filter leaves at least, and in the order in which they follow, top_n_sigma (0 filters nothing), typical_p (1),
        epsilon_cutoff (0), eta_cutoff (0). int64 where they count, float64 else; None filters nothing. ``docs/api.md``
        tells what stays.

        ``masses`` (float64, (rows, 4)) gets the largest logit, ``sum(exp((x - largest) * scale))`` over what stays
        and over all, 1 for a scale of 0, and ``sum(exp(x - largest))`` over all. Nothing is written for a row with
        nothing to draw.
        """

    def token_edges(self, logits: _Logits, settings: _TokenSettings, edges: _Array, threads: int) -> int:
        """Per row what the filters of `sample_tokens` leave, as four numbers into ``edges`` (float64, (rows, 4)).

        They are the largest logit, the least that stays, the last column in which one equal to that stays, and the
        largest that stays. A scale of 0 leaves the first of the largest logits. A row without a finite logit has -1 for
        a column.
        """

    def softmax(self, x: _Array, scale: float | _Array, out: _Array, threads: int) -> None:
        """``softmax(x * scale)`` along the last axis; ``out`` may be ``x``. NaN and infinities propagate."""

    def log_softmax(self, x: _Array, scale: float | _Array, out: _Array, threads: int) -> None: ...
    def logsumexp(self, x: _Array, scale: float | _Array, out: _Array, threads: int) -> None:
        """``log(sum(exp(x * scale)))`` of each row into ``out`` (one value per row, dtype of x)."""

    def softmax_backward(self, grad: _Array, y: _Array, scale: float | _Array, out: _Array, threads: int) -> None:
        """``scale * y * (grad - sum(grad * y))``; ``out`` may be ``grad`` or ``y``."""

    def log_softmax_backward(
        self, grad: _Array, log_y: _Array, scale: float | _Array, out: _Array, threads: int
    ) -> None:
        """``scale * (grad - exp(log_y) * sum(grad))``; ``out`` may be ``grad`` or ``log_y``."""

    def alias_table(self, bounds: _U64, table: _U64, threads: int) -> None:
        """The alias table, (rows, 2**bits) words with bits >= 1, of bounds (rows, K <= 2**bits).

        What bounds and entries are is part of the stream law (``docs/stream.md``); the same holds for the draws.
        """

    def draw_alias(self, table: _U64, index: _Array, threads: int, address: _Address) -> int:
        """Draws ``offset, offset + 1, ...`` into ``index`` (int64), draw n of a call by the table of row n % rows."""

    def draw_inverse(self, bounds: _U64, guide: _Array, index: _Array, threads: int, address: _Address) -> int:
        """The same draws by inversion; ``guide`` is int64, (rows, 2**bits), bits >= 1.

        ``guide[g]`` is the number of bounds that are at most ``g * 2**(64 - bits)``.
        """

    def draw_integers(self, below: int, index: _Array, threads: int, address: _Address) -> int:
        """``floor(below * u / 2**64)`` for the uniforms u of such draws, ``below`` an integer of up to 64 bits."""

    def draw_weights(self, weights: _Array, index: _Array, threads: int, address: _Address) -> int:
        """What `draw_inverse` draws for the bounds of these weights, float32 or float64, of a row each.

        -1, and nothing drawn, unless they are >= 0 and each row has a finite sum above 0.
        """

    def choose_by_words(self, weights: _Array, index: _Array, block: int, word: int, key: int, threads: int) -> int:
        """The same for one row of float64 and uniforms ``(low | high << 32) >> 11`` of ``2**53``, as NumPy makes them.

        Low and high are consecutive words of the sequence that begins with word ``word`` of the block at the counter
        ``block``, which stays below ``2**64``.
        """

    def viterbi(
        self, unary: _Array, pairwise: _Array, parents: _Array, index: _Array, score: _Array, threads: int
    ) -> int:
        """The best labelling of each tree into ``index`` (int64, (rows, T)), its score into ``score`` (rows,).

        ``unary`` is (rows, T, S), float32 or float64; ``pairwise`` of the same dtype (S, S), or (T - 1, S, S) with
        matrix t - 1 between node t and its parent, the parent's label first; ``parents`` (int64) holds ``parents[t] <
        t``, or -1 for a root. The lowest label is taken among equals, parents before children. -1 for NaN or +inf in a
        row, -2 if all labellings of some row score -inf, else 0.
        """

    # The kernels below know float32 and float64, one of both in all arrays of a call, and arrays without gaps.

    def relaxed_top_k(self, z: _Array, k: int, scale: float | _Array, out: _Array, threads: int) -> None:
        """The sum of k softmaxes of ``z * scale``, each of what the ones before left; rows have k finite entries."""

    def relaxed_top_k_backward(
        self, grad: _Array, z: _Array, k: int, scale: float | _Array, out: _Array, threads: int
    ) -> None:
        """The gradient with respect to ``z``."""

    def sinkhorn(self, z: _Array, rounds: int, scale: float | _Array, out: _Array, threads: int) -> None:
        """``exp(z * scale)`` of matrices (count, n, n), rows and then columns divided by their sums, ``rounds`` times.

        ``scale`` has one entry per matrix here.
        """

    def sinkhorn_backward(
        self, grad: _Array, z: _Array, rounds: int, scale: float | _Array, out: _Array, threads: int
    ) -> None:
        """The gradient with respect to ``z``."""

    def subset_marginals(self, x: _Array, k: int, out: _Array | None, log_sum: _Array, threads: int) -> None:
        """Of subsets of k items, proportional to products of ``exp(x)``: the probability of each item into ``out``.

        ``log_sum`` (one per row) takes the logarithm of the sum over all subsets. Rows have k finite entries.
        """

    def subset_marginals_backward(self, grad: _Array, x: _Array, k: int, out: _Array, threads: int) -> None:
        """The gradient with respect to ``x``."""

def backends() -> list[Backend]:
    """The backends that this CPU can run, best first."""

def direct(function: Callable[..., Any]) -> Any:
    """A callable that takes what the compiled step of the function's name takes, and calls the function for the rest.

    A step takes calls whose arguments are of the exact types and layouts that most small ones bring. It declines, with
    nothing moved or written, whatever a rule of the function might say something about.
    """

def know(
    active: ContextVar[Any],
    backends: list[Backend],
    generator: type[Any],
    random: ModuleType,
    thread_count: ModuleType,
    top_k: type[Any],
) -> None:
    """What steps take for granted; until they know it they decline.

    The variable that holds the active backend and which objects are compiled ones, the type of our generators, the
    module whose ``_shared`` serves calls without one, that whose ``_num_threads`` is the most that a call uses, and the
    type of a top-k.
    """

def bounds_of(weights: _Array, bounds: _U64) -> None:
    """The bounds of rows of float64 weights (``docs/stream.md``, "From uniforms to categories")."""

def guide_of(bounds: _U64, guide: _Array) -> None:
    """What `Backend.draw_inverse` takes as guide: the number of bounds at most the first of 2**bits parts a row."""

def diagnose(logits: _Logits, wanted: int) -> tuple[str, int, int, int]:
    """Why these logits were refused, as ``(kind, row, column, count)`` (`gumbelfast._engine.refused.Refused`).

    `wanted` is how many finite logits a row needs; 0: one, without a word about how many.
    """

def words_of(found: tuple[str, int, int, int], shape: list[int], axis: int, wanted: int, what: str, owner: str) -> str:
    """The same in words; the last axis of the shape came from `axis` places before."""

def fault_of_weights(weights: _Array, distinct: int) -> str:
    """Why weights along the last axis cannot be drawn from, without replacement so often; "" if they can."""

def fault_of_inverses(inverses: _Array) -> str:
    """Why reciprocals of temperatures, one or one per row, are none; "" if they are."""

def view_memory(owner: object, address: int, shape: tuple[int, ...], dtype: np.dtype[Any], /) -> _Array:
    """An array over memory without gaps that `owner`, which it keeps, has there."""

def lies_within(array: _Array, low: float, high: float, /) -> bool:
    """Whether all entries are known to lie in [low, high]: of small arrays of float32 and float64 without gaps."""

def choose_keyed(
    kernels: object, logits: _Array, keepdims: bool, draw: Callable[[], object], word: NDArray[np.uint64], /
) -> NDArray[np.int64] | None:
    """The argmax of ``logits + g`` in each row, under the key that ``draw()`` leaves in `word`, from element 0 on.

    None, with no key drawn, unless `kernels` is a compiled backend and the array small, of float32 or float64, without
    gaps and surely refused by no kernel, whatever the noise.
    """

def race_keyed(
    kernels: object, weights: _Array, keepdims: bool, draw: Callable[[], object], word: NDArray[np.uint64], /
) -> NDArray[np.int64] | None:
    """The argmax of ``weights / E`` in each row, under the key that ``draw()`` leaves in `word`, from element 0 on.

    None, with no key drawn, unless `kernels` is a compiled backend and the array small, of float32 or float64, without
    gaps and surely refused by no kernel, whatever the noise.
    """

def relax_keyed(
    kernels: object,
    logits: _Array,
    inv_tau: float | _Array,
    hard: bool,
    draw: Callable[[], object],
    word: NDArray[np.uint64],
    /,
) -> _Array | None:
    """``softmax((logits + g) * inv_tau)`` in the same way, or the one-hot of its argmax."""

def xla_handlers() -> dict[str, Any]:
    """The handlers of src/xla*.cpp as capsules, by name; none if the module was built without XLA's headers."""
