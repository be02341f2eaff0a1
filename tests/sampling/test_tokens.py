"""Token sampling: what the filters leave, against the processors written down plainly, and the draw from it."""

import tracemalloc
from typing import Any

import numpy as np
import pytest
from helpers import COMPILED, DTYPES, Array, assert_refused, assert_same_bytes, dtype_of, normal, work_of
from hypothesis import given, settings
from hypothesis import strategies as st
from sampling_cases import COLUMNS, KINDS, make_logits, make_mask

import gumbelfast as gf

SEED = 20_26


def filtered(x: Array, temperature: float, k: int, p: float, m: float) -> Array:
    """The processors in order on one row of the working dtype, with a full sort; in float64 but for the products."""
    if temperature == 0:
        return np.where(np.arange(x.size) == x.argmax(), x, -np.inf).astype(x.dtype)
    s = x.dtype.type(1 / temperature)
    if 0 < k < x.size:
        x = np.where(x >= np.sort(x)[-k], x, -np.inf).astype(x.dtype)
    with np.errstate(under="ignore", over="ignore"):
        exponent = (x - x.max()) * s
        weight = np.exp(exponent.astype(np.float64))
    if p < 1:
        order = np.argsort(-x, kind="stable")
        before = np.concatenate([[0], np.cumsum(weight[order])[:-1]])
        x = x.copy()
        x[order[before >= p * weight.sum()]] = -np.inf
    return np.where(exponent >= x.dtype.type(np.log(m)), x, -np.inf).astype(x.dtype) if m > 0 else x


def expected(x: Array, settings_: dict[str, Any], mask: Array | None = None, **address: Any) -> Array:
    """`categorical` on the filtered logits, row by row."""
    x = x.astype(work_of(x.dtype.name))
    if mask is not None:
        x = np.where(mask, x, -np.inf).astype(x.dtype)
    names = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
    values = [np.broadcast_to(settings_.get(n, d), x.shape[:-1]) for n, d in names.items()]
    left = np.stack([filtered(row, *(v.flat[i] for v in values)) for i, row in enumerate(x.reshape(-1, x.shape[-1]))])
    t = np.where(values[0] == 0, 1, values[0])
    picks = [
        gf.categorical(row, temperature=t.flat[i], seeds=address["seeds"][i], positions=address.get("positions", 0))
        for i, row in enumerate(left)
    ]
    return np.array(picks, np.int64).reshape(x.shape[:-1])


@st.composite
def calls(draw: Any) -> tuple[Array, dict[str, Any], Array | None]:
    dtype, columns, rows = draw(st.sampled_from(DTYPES)), draw(COLUMNS), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    kind = draw(st.sampled_from(KINDS))
    x = np.array(make_logits(kind, (rows, columns), dtype, rng)).astype(dtype_of(dtype))
    x[np.isneginf(x.astype(float)).all(axis=-1), 0] = 0
    mask = make_mask(draw(st.sampled_from(["none", "full", "row"])), x, rng)
    choices = {
        "temperature": [0.0, 0.1, 0.8, 1.0, 3.0],
        "top_k": [0, 1, 2, 50, columns // 2, columns, columns + 7],
        "top_p": [1e-6, 0.1, 0.5, 0.9, 0.99, 1.0],
        "min_p": [0.0, 0.02, 0.3, 1.0],
    }
    given_ = {}
    for name, values in choices.items():
        how = draw(st.sampled_from(["absent", "one", "each"]))
        if how == "each":
            given_[name] = rng.choice(values, size=rows)
        elif how == "one":
            given_[name] = rng.choice(values).item()
    return x, given_, mask


@settings(max_examples=150)
@given(call=calls())
def test_is_categorical_on_what_the_processors_leave(compiled: str, call: tuple[Array, dict[str, Any], Any]) -> None:
    x, given_, mask = call
    seeds = np.arange(SEED, SEED + len(x))
    found = gf.sample_tokens(x, mask=mask, seeds=seeds, positions=3, **given_)
    assert_same_bytes(found, expected(x, given_, mask, seeds=seeds, positions=3))


@settings(max_examples=100)
@given(call=calls())
def test_backends_and_reference_agree(call: tuple[Array, dict[str, Any], Any]) -> None:
    x, given_, mask = call
    wanted = gf.reference.sample_tokens(x, mask=mask, rng=SEED, **given_)
    for name in COMPILED:
        with gf.use_backend(name):
            assert_same_bytes(gf.sample_tokens(x, mask=mask, rng=SEED, **given_), wanted)


def kept(x: Array, draws: int = 400, **given_: Any) -> set[int]:
    """The tokens that are drawn from one row at all."""
    index = gf.sample_tokens(np.broadcast_to(x, (draws, x.size)), seeds=np.arange(draws), **given_)
    return set(index.tolist())


@pytest.mark.parametrize("dtype", DTYPES)
def test_equal_logits_at_the_edges(compiled: str, dtype: str) -> None:
    x = np.array([0, 2, 1, 1, 1, 0, 2, 1, -9], dtype_of(dtype))
    assert kept(x, top_k=3) == {1, 6, 2, 3, 4, 7}
    assert kept(x, top_k=2) == {1, 6}
    assert kept(np.zeros(8, dtype_of(dtype)), top_p=0.5) == {0, 1, 2, 3}
    assert kept(np.zeros(8, dtype_of(dtype)), top_p=0.5001) == {0, 1, 2, 3, 4}
    # The ones weigh e each, the twos e**2: half of all is passed with the first of the ones.
    weight = np.exp(x.astype(float))
    assert kept(x, top_p=(2 * np.e**2 + 0.5) / weight.sum()) == {1, 6, 2}
    assert kept(x, top_p=(2 * np.e**2 + 1.5 * np.e) / weight.sum()) == {1, 6, 2, 3}
    assert kept(x, top_p=1e-9) == {1}
    assert kept(x, min_p=1.0) == {1, 6}
    assert kept(x, min_p=0.3) == {1, 6, 2, 3, 4, 7}


@pytest.mark.parametrize("columns", [3, 100, 449, 5000])
@pytest.mark.parametrize("dtype", DTYPES)
def test_greedy(compiled: str, dtype: str, columns: int) -> None:
    x = np.round(normal(dtype, (20, columns)).astype(np.float32)).astype(dtype_of(dtype))
    mask = np.random.default_rng(0).random(x.shape) < 0.5
    mask[:, 0] = True
    wide = x.astype(np.float64)
    assert (gf.sample_tokens(x, temperature=0, rng=1) == wide.argmax(-1)).all()
    found = gf.sample_tokens(x, temperature=0.0, top_k=3, top_p=0.1, mask=mask, rng=1)
    assert (found == np.where(mask, wide, -np.inf).argmax(-1)).all()


@pytest.mark.parametrize("columns", [40, 3000, 40_000])
def test_a_row_depends_on_nothing_but_itself(compiled: str, columns: int) -> None:
    rows = 12
    x = normal("float32", (rows, columns))
    rng = np.random.default_rng(5)
    each = {
        "temperature": rng.choice([0, 0.7, 1.3], size=rows),
        "top_k": rng.choice([0, 50, columns // 2], size=rows),
        "top_p": rng.choice([0.8, 0.95, 1], size=rows),
        "min_p": rng.choice([0, 0.05], size=rows),
        "seeds": rng.integers(0, 2**63, size=rows),
        "positions": np.arange(rows),
    }
    whole = gf.sample_tokens(x, **each)
    for i in range(rows):
        assert gf.sample_tokens(x[i], **{name: v[i] for name, v in each.items()}) == whole[i]
    for threads in (2, 3, 16):
        assert_same_bytes(gf.sample_tokens(x, **each, num_threads=threads), whole)


@pytest.mark.parametrize("columns", [20, 1000])
def test_goodness_of_fit(compiled: str, columns: int) -> None:
    draws = 20_000
    x = normal("float32", columns)
    given_ = {"temperature": 0.8, "top_k": columns // 2, "top_p": 0.8, "min_p": 0.01}
    left = filtered(x, *given_.values()).astype(np.float64) / 0.8
    probability = np.exp(left - left.max())
    probability /= probability.sum()
    index = gf.sample_tokens(np.broadcast_to(x, (draws, columns)), seeds=np.arange(draws), **given_)
    counts = np.bincount(index, minlength=columns)
    assert not counts[probability == 0].any()
    seen = probability > 0
    excess = ((counts - draws * probability)[seen] ** 2 / (draws * probability[seen])).sum() - (seen.sum() - 1)
    assert excess < 6 * np.sqrt(2 * seen.sum() + (1 / (draws * probability[seen])).sum())


def near_the_edge(x: Array, temperature: float, p: float, off: float = 1e-5) -> Array:
    """Tokens that a sum of probabilities with errors up to `off` may put on either side of top-p."""
    weight = np.exp((x.astype(np.float64) - x.max()) / temperature)
    order = np.argsort(-x, kind="stable")
    before = np.concatenate([[0], np.cumsum(weight[order])[:-1]]) / weight.sum()
    near = np.zeros(x.size, bool)
    near[order] = np.abs(before - p) < off
    return near


@pytest.mark.parametrize("columns", [10, 1000, 50_000])
@pytest.mark.parametrize("k", [0, 5, 50])
@pytest.mark.parametrize("p", [0.1, 0.9, 0.999, 1.0])
@pytest.mark.parametrize("m", [0.0, 0.05])
def test_filters_are_those_of_transformers(columns: int, k: int, p: float, m: float) -> None:
    torch = pytest.importorskip("torch")
    process = pytest.importorskip("transformers.generation.logits_process")
    x = normal("float32", columns, seed=columns)
    warpers = [process.TemperatureLogitsWarper(0.8)]
    warpers += [process.TopKLogitsWarper(k)] if k > 0 else []
    warpers += [process.TopPLogitsWarper(p)] * (p < 1)
    warpers += [process.MinPLogitsWarper(m)] * (m > 0)
    scores = torch.from_numpy(x)[None]
    for warper in warpers:
        scores = warper(None, scores)
    theirs, ours = np.isfinite(scores[0].numpy()), np.isfinite(filtered(x, 0.8, k, p, m))
    before = filtered(x, 0.8, k, 1.0, 0.0)
    assert not ((theirs != ours) & ~near_the_edge(before, 0.8, p)).any()


@pytest.mark.parametrize("columns", [64, 512])
def test_the_edge_is_exact(compiled: str, columns: int) -> None:
    # p falls on a sum of weights exactly, where no sum of floats could tell the two sides apart.
    draws = 20 * columns
    seeds, equal = np.arange(draws), np.zeros((draws, columns), np.float32)
    for stay in (1, columns // 3, columns // 2, columns - 1):
        wanted = gf.categorical(equal, mask=np.arange(columns) < stay, seeds=seeds)
        assert_same_bytes(gf.sample_tokens(equal, top_p=stay / columns, seeds=seeds), wanted)
        one_more = np.nextafter(stay / columns, 1)
        wanted = gf.categorical(equal, mask=np.arange(columns) <= stay, seeds=seeds)
        assert_same_bytes(gf.sample_tokens(equal, top_p=one_more, seeds=seeds), wanted)


HARD = {
    "all equal": lambda rng, n: np.zeros(n),
    "two values": lambda rng, n: rng.integers(0, 2, n),
    "sawtooth": lambda rng, n: np.arange(n) % 97 / 20,
    "a tiny range": lambda rng, n: 1 + 1e-6 * rng.random(n),
    "subnormal": lambda rng, n: 1e-41 * rng.random(n),
    "a peak": lambda rng, n: np.where(np.arange(n) == n // 2, np.log(n), 0.001 * rng.random(n)),
    "decaying": lambda rng, n: -np.arange(n) / 100,
    "half masked": lambda rng, n: np.where(rng.random(n) < 0.5, -np.inf, rng.normal(size=n)),
    "below the grid": lambda rng, n: np.where(np.arange(n) == 5, 0, -60 + rng.random(n)),
}


@pytest.mark.parametrize("kind", HARD)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_logits_of_every_shape(compiled: str, kind: str, dtype: str) -> None:
    rng, rows = np.random.default_rng(3), 40
    for columns in (300, 5000, 30_000 if dtype == "float32" else 1000):
        x = np.stack([HARD[kind](rng, columns) for _ in range(rows)]).astype(dtype)
        given_ = {"top_p": rng.choice([1e-9, 0.01, 0.2, 0.5, 0.9, 0.999], rows), "min_p": rng.choice([0, 0.3], rows)}
        found = gf.sample_tokens(x, temperature=0.8, **given_, rng=7)
        with gf.use_backend("reference"):
            assert_same_bytes(gf.sample_tokens(x, temperature=0.8, **given_, rng=7), found)


def test_shapes(compiled: str) -> None:
    x = normal("float32", (2, 3, 50))
    found = gf.sample_tokens(x, top_k=np.arange(6).reshape(2, 3), temperature=[1.0, 2.0, 0.0], rng=0)
    assert (found.shape, found.dtype) == ((2, 3), np.int64)
    assert isinstance(gf.sample_tokens(x[0, 0], top_p=0.5, rng=0), np.int64)
    assert gf.sample_tokens(x[:0], top_p=0.5, rng=0).shape == (0, 3)
    assert_same_bytes(gf.sample_tokens(x, rng=4), gf.categorical(x, rng=4))
    assert_same_bytes(gf.default_rng(4).sample_tokens(x), gf.categorical(x, rng=4))
    assert_same_bytes(gf.sample_tokens(x, temperature=0.7, rng=4), gf.categorical(x, temperature=0.7, rng=4))


def test_large_rows(compiled: str) -> None:
    x = normal("float32", (2, 128_256))
    for given_ in ({"top_p": 0.9}, {"top_k": 50, "top_p": 0.9}, {"top_k": 20_000}, {"top_p": 0.3, "min_p": 0.1}):
        seeds = np.array([3, 4])
        assert_same_bytes(gf.sample_tokens(x, **given_, seeds=seeds), expected(x, given_, seeds=seeds))


ZEROS = np.zeros((3, 4), np.float32)
BAD = [
    ({"temperature": -1.0}, ValueError, "temperature must be finite and >= 0, got -1.0 in row 0"),
    ({"temperature": [1, np.nan, 1]}, ValueError, "temperature must be finite and >= 0, got nan in row 1"),
    ({"temperature": [1, 1, np.inf]}, ValueError, "temperature must be finite and >= 0, got inf in row 2"),
    (
        {"temperature": [1, 1e-40, 1]},
        ValueError,
        "temperature must be 0 or have a finite reciprocal, got 1e-40 in row 1, whose reciprocal overflows float32",
    ),
    ({"temperature": "hot"}, TypeError, "temperature must be real numbers, got 'hot'"),
    (
        {"temperature": [1.0, 2.0]},
        ValueError,
        "temperature of shape (2,) does not broadcast to one per row, shape (3,)",
    ),
    ({"top_k": [1, -2, 3]}, ValueError, "top_k must be >= 0, or -1 for no filter, got -2 in row 1"),
    ({"top_k": 1.5}, TypeError, "top_k must be integers, got 1.5"),
    ({"top_k": True}, TypeError, "top_k must be integers, got True"),
    ({"top_p": -0.5}, ValueError, "top_p must lie in [0, 1], got -0.5 in row 0"),
    ({"top_p": [0.5, None, 1.5]}, ValueError, "top_p must lie in [0, 1], got 1.5 in row 2"),
    ({"top_p": np.nan}, ValueError, "top_p must lie in [0, 1], got nan in row 0"),
    ({"size": -1}, ValueError, "size must be >= 0, got -1"),
    ({"invalid": 2**63}, ValueError, f"invalid must fit int64, got {2**63}"),
    ({"invalid": 0.5}, TypeError, "invalid must be an integer, got 0.5"),
    ({"min_p": [0, 0, -0.5]}, ValueError, "min_p must lie in [0, 1], got -0.5 in row 2"),
    ({"mask": np.ones(4, int)}, TypeError, "mask must be boolean (True: allowed), got int64"),
    ({"mask": np.eye(3, 4, dtype=bool) & (np.arange(3) < 2)[:, None]}, ValueError, "row 2 has no finite logit"),
]


@pytest.mark.parametrize(("given_", "error", "text"), BAD)
def test_bad_settings(compiled: str, given_: dict[str, Any], error: type[Exception], text: str) -> None:
    assert_refused(lambda rng: gf.sample_tokens(ZEROS, rng=rng, **given_), error, text)


@pytest.mark.parametrize("columns", [4, 1000])
@pytest.mark.parametrize("given_", [{}, {"temperature": 0}, {"top_k": 2}, {"top_p": 0.5}, {"min_p": 0.5}])
def test_bad_logits(compiled: str, columns: int, given_: dict[str, Any]) -> None:
    x = np.zeros((3, columns), np.float32)
    for value, text in ((np.nan, "NaN"), (np.inf, "+inf")):
        x[1, 2] = value
        wanted = f"logits contain {text} at index (1, 2)"
        assert_refused(lambda rng: gf.sample_tokens(x, rng=rng, **given_), ValueError, wanted)
    allowed = np.arange(columns) != 2
    assert (gf.sample_tokens(x, mask=allowed, rng=0, **given_) != 2).all()
    x[1] = -np.inf
    assert_refused(lambda rng: gf.sample_tokens(x, rng=rng, **given_), ValueError, "row 1 has no finite logit")


def test_a_late_row_that_is_refused_after_others_were_filtered(compiled: str) -> None:
    """What top-k left of the rows before is no part of it: columns that were never written would be followed."""
    x = normal("float32", (6, 3))
    x[4, 1] = np.nan
    for size in range(400, 1400, 8):
        bytearray(b"\x7f" * size)  # leaves what new memory of that size then holds
        with pytest.raises(ValueError, match=r"logits contain NaN at index \(4, 1\)"):
            gf.sample_tokens(x, top_k=1, rng=0, num_threads=1)


@pytest.mark.parametrize("name", ["temperature", "top_k", "top_p", "min_p"])
def test_what_switches_a_filter_off(backend: str, name: str) -> None:
    x = normal("float32", (3, 60))
    some = {"temperature": 0.3, "top_k": 2, "top_p": 0.2, "min_p": 0.9}[name]
    for nothing in {"temperature": (None, 1.0), "top_k": (None, -1, 0, 60), "top_p": (None, 1)}.get(name, (None, 0)):
        given_: list[Any] = [nothing, some, nothing]
        ways: list[Any] = [nothing, given_, tuple(given_), np.array(given_, object)]
        for way in ways:
            found = gf.sample_tokens(x, seeds=[5, 6, 7], **{name: way})
            for row in range(3):
                own = {name: some} if row == 1 and way is not nothing else {}
                assert found[row] == gf.sample_tokens(x[row], seeds=5 + row, **own)


def test_top_p_of_zero_keeps_the_best(backend: str) -> None:
    x = np.array([0, 3, 1, 3, 2.9], np.float32)
    draws = 200
    for share in (0, 0.0, np.zeros(draws)):
        found = gf.sample_tokens(np.broadcast_to(x, (draws, 5)), top_p=share, rng=3)
        assert (found == 1).all()  # of equal ones the lower index


@pytest.mark.parametrize("columns", [7, 900])
@pytest.mark.parametrize("size", [3, (2, 2), 1, (), 0, (5, 3)])
def test_several_draws_a_row(backend: str, columns: int, size: Any) -> None:
    """They are those of the rows written out as often, from generators and from seeds, whatever is filtered."""
    x = normal("float32", (4, columns))
    each = size if isinstance(size, tuple) else (size,)
    whole = np.ascontiguousarray(np.broadcast_to(x, (*each, 4, columns)))
    mask = np.random.default_rng(2).random((4, columns)) < 0.7
    mask[:, 0] = True
    seeds = np.arange(int(np.prod(each)) * 4).reshape(*each, 4)
    settings_ = {"temperature": [0.7, 0, 1, 2.0], "top_k": [0, 5, 3, 4], "top_p": [0.9, 1, 0.5, 0.8]}
    for given_ in ({}, {"mask": mask}, {"mask": mask[0]}, settings_, {"mask": mask, **settings_}):
        for place in ({"rng": 9}, {"seeds": seeds, "positions": 2}):
            wanted = gf.sample_tokens(whole, **given_, **place)
            found = gf.sample_tokens(x, size=size, **given_, **place)
            assert_same_bytes(found, wanted)
            one = gf.sample_tokens(x[0], size=size, mask=mask[0], rng=9)
            assert_same_bytes(np.asarray(one), np.asarray(gf.sample_tokens(whole[..., 0, :], mask=mask[0], rng=9)))
    own, other = gf.Generator(5), gf.Generator(5)
    own.sample_tokens(x, size=size)
    other.sample_tokens(whole)
    assert own.offset == other.offset
    assert_same_bytes(gf.sample_tokens(x, rng=4, size=5)[:3], gf.sample_tokens(x, rng=4, size=3))


@pytest.mark.parametrize("columns", [5, 1000])
@pytest.mark.parametrize("given_", [{}, {"temperature": 0}, {"top_k": 3}, {"top_p": 0.5}, {"min_p": 0.5}])
def test_rows_that_cannot_be_drawn_from_are_no_concern_of_others(
    backend: str, columns: int, given_: dict[str, Any]
) -> None:
    good = normal("float32", (7, columns))
    mask = np.ones((7, columns), bool)
    bad = good.copy()
    bad[0, 2], bad[3, 1], bad[4] = np.nan, np.inf, -np.inf
    mask[6], mask[2, 0], bad[2, 0] = False, False, np.nan
    fine = np.array([False, True, True, False, False, True, False])
    for size in (None, 2, 9):
        shape = (7,) if size is None else (size, 7)
        for place in ({"rng": 9}, {"seeds": np.arange(np.prod(shape)).reshape(shape)}):
            wanted = gf.sample_tokens(good, size=size, mask=mask | ~fine[:, None], **given_, **place)
            found = gf.sample_tokens(bad, size=size, mask=mask, invalid=-7, **given_, **place)
            assert_same_bytes(found, np.where(fine, wanted, -7))
            # What asks for nothing more changes nothing.
            assert_same_bytes(
                gf.sample_tokens(good, size=size, invalid=-7, rng=1), gf.sample_tokens(good, size=size, rng=1)
            )
    own, other = gf.Generator(5), gf.Generator(5)
    own.sample_tokens(bad, mask=mask, invalid=0)
    other.sample_tokens(good)
    assert own.offset == other.offset
    assert (gf.sample_tokens(bad[[0, 4]], invalid=50, rng=0) == 50).all()
    assert gf.sample_tokens(bad[0], invalid=50, rng=0) == 50


def test_draws_from_one_row_copy_nothing(compiled: str) -> None:
    x = normal("float32", (2, 100_000))
    gf.sample_tokens(x, size=50, top_p=0.9, rng=0)
    tracemalloc.start()
    gf.sample_tokens(x, size=50, top_p=0.9, rng=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < x.nbytes


def test_packed_masks_and_padded_vocabularies() -> None:
    x, words = np.zeros((2, 100), np.float32), np.full((2, 2), -1, np.int32)
    np.testing.assert_array_equal(gf.filter_tokens(x, mask=words).sum(axis=-1), [64, 64])
    with pytest.raises(ValueError, match=r"^mask has 5 words of 32 tokens per row, more than the 4 of 100 tokens$"):
        gf.sample_tokens(x, mask=np.zeros((2, 5), np.int32))
    with pytest.raises(
        ValueError, match=r"^packed mask of shape \(3, 4\) does not broadcast to logits of shape \(2, 100\)$"
    ):
        gf.sample_tokens(x, mask=np.zeros((3, 4), np.int32))
    with pytest.raises(TypeError, match=r"^mask must be boolean \(True: allowed\), got int64$"):
        gf.sample_tokens(x, mask=np.zeros((2, 4), np.int64))
