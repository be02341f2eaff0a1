"""Rows of frames: those of one call on all weights, whatever the partitions and the library."""

import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gumbelfast as gf
import gumbelfast.dask as gfd

pd = pytest.importorskip("pandas")
dd = pytest.importorskip("dask.dataframe")

N = 300
WEIGHTS = np.random.default_rng(0).exponential(size=N)
WEIGHTS[::4] = 0
FRAME = pd.DataFrame(
    {"name": [f"row {i}" for i in range(N)], "w": WEIGHTS, "number": np.arange(N)}, index=np.arange(N) * 2
)


def cut(frame: Any, cuts: list[int]) -> Any:
    edges = [0, *sorted(cuts), len(frame)]
    parts = [frame.iloc[a:b] for a, b in pairwise(edges)]
    return dd.from_map(lambda part: part, parts, meta=frame.iloc[:0])


@settings(max_examples=15)
@given(st.lists(st.integers(0, N), max_size=5), st.integers(0, 20), st.booleans())
def test_partitions_change_nothing(cuts: list[int], n: int, weighted: bool) -> None:
    weights = WEIGHTS if weighted else np.ones(N)
    wanted = FRAME.iloc[gf.weighted_sample(weights, n, rng=5).indices]
    given_ = {"weights": "w" if weighted else None, "rng": 5}
    found = gfd.sample_rows(cut(FRAME, cuts), n, **given_)
    assert found.npartitions == 1
    pd.testing.assert_frame_equal(found.compute(scheduler="sync"), wanted, check_dtype=False)
    pd.testing.assert_frame_equal(gfd.sample_rows(FRAME, n, **given_), wanted)


def test_weights_are_float64_whatever_they_were() -> None:
    for dtype in ("float32", "int64", "float16"):
        frame = FRAME.assign(w=np.rint(WEIGHTS * 8).astype(dtype))
        wanted = gf.weighted_sample(np.rint(WEIGHTS * 8), 9, rng=5).indices
        assert gfd.sample_rows(cut(frame, [100]), 9, weights="w", rng=5).compute()["number"].tolist() == wanted.tolist()
        assert gfd.sample_rows(frame, 9, weights="w", rng=5)["number"].tolist() == wanted.tolist()


def test_frames_of_other_libraries() -> None:
    pl, pa = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    wanted = gfd.sample_rows(FRAME, 9, weights="w", rng=5)["number"].tolist()
    columns = {"w": WEIGHTS, "number": np.arange(N)}
    found = gfd.sample_rows(pl.DataFrame(columns), 9, weights="w", rng=5)
    assert isinstance(found, pl.DataFrame)
    assert found["number"].to_list() == wanted
    table = gfd.sample_rows(pa.table(columns), 9, weights="w", rng=5)
    assert isinstance(table, pa.Table)
    assert table["number"].to_pylist() == wanted
    assert gfd.sample_rows(FRAME, 9, weights=WEIGHTS, rng=5)["number"].tolist() == wanted
    assert gfd.sample_rows(FRAME, 9, weights=FRAME["w"], rng=5)["number"].tolist() == wanted


def test_rows_of_files(tmp_path: Any) -> None:
    """Dask may join the narrow partitions of the weights, and those of several files it may not."""
    pytest.importorskip("pyarrow")
    wanted = gfd.sample_rows(FRAME, 9, weights="w", rng=5)
    FRAME.to_parquet(tmp_path / "groups.parquet", row_group_size=37)
    (tmp_path / "files").mkdir()
    for i in range(4):
        FRAME.iloc[i * 80 : i * 80 + 80].to_parquet(tmp_path / "files" / f"{i}.parquet")
    for frame in (
        dd.read_parquet(tmp_path / "groups.parquet", split_row_groups=True),
        dd.read_parquet(tmp_path / "files"),
    ):
        assert frame.npartitions > 1
        found = gfd.sample_rows(frame, 9, weights="w", rng=5).compute(scheduler="sync")
        pd.testing.assert_frame_equal(found, wanted, check_dtype=False)


def test_a_generator_moves_by_the_rows() -> None:
    mine, theirs = gf.default_rng(1), gf.default_rng(1)
    for _ in range(2):
        found = gfd.sample_rows(cut(FRAME, [70, 200]), 5, weights="w", rng=mine).compute()["number"].tolist()
        assert found == gf.weighted_sample(WEIGHTS, 5, rng=theirs).indices.tolist()
        assert mine.offset == theirs.offset
    first, second = (gfd.sample_rows(cut(FRAME, [70]), 50, weights="w").compute() for _ in range(2))
    assert first["number"].tolist() != second["number"].tolist()


def test_a_generator_of_numpy_gives_one_key_or_stays_where_it_is() -> None:
    mine, theirs = np.random.default_rng(3), np.random.default_rng(3)
    frame = cut(FRAME, [70])
    before = mine.bit_generator.state
    with pytest.raises(ValueError, match="n=300 exceeds the 225 rows"):
        gfd.sample_rows(frame, N, weights="w", rng=mine)
    assert mine.bit_generator.state == before
    found = gfd.sample_rows(frame, 5, weights="w", rng=mine).compute()["number"].tolist()
    assert found == gf.weighted_sample(WEIGHTS, 5, rng=theirs).indices.tolist()
    assert mine.bit_generator.state == theirs.bit_generator.state


def test_other_draws_without_rng_do_not_meet_the_noise_of_a_pass() -> None:
    """They may happen while it reads the weights."""
    meanwhile: list[list[int]] = []

    def load(part: int) -> Any:
        meanwhile.append(gf.weighted_sample(WEIGHTS, 50).indices.tolist())
        return FRAME.iloc[part * 30 : part * 30 + 30]

    frame = dd.from_map(load, range(10), meta=FRAME.iloc[:0])
    found = gfd.sample_rows(frame, 50, weights="w").compute()["number"].tolist()
    assert len(meanwhile) >= 10
    assert found not in meanwhile


def test_weights_are_read_once_and_rows_from_their_partitions_alone() -> None:
    read: list[int] = []

    def load(part: int) -> Any:
        read.append(part)
        return FRAME.iloc[part * 30 : part * 30 + 30]

    frame = dd.from_map(load, range(10), meta=FRAME.iloc[:0])
    lazy = gfd.sample_rows(frame, 2, weights="w", rng=5)
    assert sorted(read) == list(range(10))
    read.clear()
    found = lazy.compute(scheduler="sync")["number"]
    assert set(read) == {number // 30 for number in found}


@pytest.mark.parametrize("lazy", [False, True])
def test_errors(lazy: bool) -> None:
    def frame(weights: Any) -> Any:
        made = pd.DataFrame({"w": weights})
        return cut(made, [2]) if lazy else made

    for weights, n, error, text in (
        ([1.0, 0, 2, np.nan], 1, ValueError, "weights must be finite and >= 0, got nan at index (3,)"),
        ([1.0, 0, 2, -1], 1, ValueError, "weights must be finite and >= 0, got -1.0 at index (3,)"),
        ([1.0, 0, 2, 0], 3, ValueError, "n=3 exceeds the 2 rows that weigh more than 0"),
        (list("abcd"), 1, TypeError, "expected float16, bfloat16, float32 or float64, got"),
        ([1.0, 0, 2, 0], 1.5, TypeError, "n must be an integer, got 1.5"),
        ([1.0, 0, 2, 0], -1, ValueError, "n must be >= 0, got -1"),
    ):
        rng = gf.default_rng(1)
        with pytest.raises(error, match=re.escape(text)):
            gfd.sample_rows(frame(weights), n, weights="w", rng=rng)
        assert rng.offset == 0
    with pytest.raises(KeyError):
        gfd.sample_rows(frame([1.0] * 4), 1, weights="v", rng=1)
    with (
        pytest.raises(TypeError, match="weights of a dask frame must name a column, got ndarray")
        if lazy
        else (pytest.raises(ValueError, match=re.escape("weights of shape (3,) do not fit a frame of 4 rows")))
    ):
        gfd.sample_rows(frame([1.0] * 4), 1, weights=np.ones(3), rng=1)


def test_what_is_no_frame() -> None:
    with pytest.raises(TypeError, match="expected a data frame of dask, pandas or polars, or an Arrow table, got list"):
        gfd.sample_rows([1, 2], 1)
    with pytest.raises(TypeError, match="got Series"):
        gfd.sample_rows(FRAME["w"], 1)
