"""Calls that compiled steps leave to the Python functions: same results, errors and states."""

import pickle
from typing import Any

import numpy as np
import pytest
from direct_cases import ONES, PLACES, SAMPLERS, SEEDS, WEIGHTS, X, check, runs_python

import gumbelfast as gf


def test_what_methods_decline() -> None:
    bad = (np.nan, np.inf, -1.0, -0.0, 1, np.float64(2), [1.0, 2.0], "1", 1j, None)
    for value in bad:
        check("gumbel", False, 0.0, value)
        check("exponential", False, value)
    for value in (np.nan, np.inf, 1, [1.0], None):
        check("gumbel", False, value)
    for size in (0, -1, 4097, (2, 3), True, 2.0, np.int64(3), 2**70):
        check("standard_exponential", False, size)
        check("gumbel", False, size=size)
    check("standard_exponential", False, np.float32)
    check("standard_exponential", False, dtype=np.float32)
    check("gumbel", False, unknown=3)
    check("gumbel", False, 0.0, loc=0.0)
    for p in ([0.5, 0.5], [0.1, 0.2, 0.3, 0.3], [0.1, -0.1, 0.5, 0.5], [1, 0, 0, 0], [np.nan] * 4, [0.25 + 2e-9] * 4,
              np.float32(WEIGHTS), np.array(WEIGHTS)[::-1], tuple(WEIGHTS), None):  # fmt: skip
        check("choice", False, 4, p=p)
    check("choice", False, 4, 2, p=WEIGHTS)
    check("choice", False, 4, replace=False, p=WEIGHTS)
    check("choice", False, [1, 2, 3, 4], p=WEIGHTS)
    check("choice", False, 0, p=[])
    derived = type("Derived", (gf.Generator,), {})(3)
    assert runs_python(lambda: derived.gumbel())


def odd_arrays(x: Any) -> list[Any]:
    """Arrays that steps leave to Python, good ones and bad ones."""
    wide = np.zeros((8, 20), x.dtype)
    shifted = np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(x.dtype).reshape(x.shape)
    with_nan, with_inf, empty_row = x.copy(), x.copy(), x.copy()
    with_nan[3, 4], with_inf[7, 9], empty_row[2] = np.nan, np.inf, -np.inf
    return [
        x.T, x[::2], x[::-1], x[:, ::2], wide[:, :10], x.astype(x.dtype.newbyteorder()), shifted, x.view(np.matrix),
        np.ma.array(x), x.tolist(), x.astype("f2"), x.astype("i8"), x.astype(complex), x.astype(np.longdouble),
        pickle.loads(pickle.dumps(x)).astype("O"), np.zeros((0, 3), x.dtype), np.zeros((3, 0), x.dtype),
        np.array(1.0, x.dtype), None, "text", x > 0, with_nan, with_inf, empty_row,
    ]  # fmt: skip


@pytest.mark.parametrize("dtype", X)
@pytest.mark.parametrize(("name", "more"), SAMPLERS)
def test_arrays_that_steps_decline(name: str, more: tuple[Any, ...], dtype: str) -> None:
    for x in odd_arrays(X[dtype]):
        half = name == "sample_tokens" and getattr(x, "dtype", None) == np.float16
        check(name, half, x, *more)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_arrays_that_softmax_declines(name: str) -> None:
    for x in odd_arrays(X["float32"])[:-3]:
        check(name, False, x, drawn=False)
    for options in ({"axis": 0}, {"axis": 1}, {"axis": None}, {"axis": (0, 1)}, {"axis": -1.0}, {"axis": True},
                    {"temperature": 0.0}, {"temperature": 2}, {"temperature": None}, {"temperature": np.ones(8)},
                    {"num_threads": 1}, {"b": 2.0}, {"rng": 3}):  # fmt: skip
        check(name, False, X["float32"], drawn=False, **options)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "gumbel_softmax"])
def test_targets_that_steps_decline(name: str) -> None:
    x = X["float32"].copy()
    drawn = name == "gumbel_softmax"
    flat = np.concatenate([x.ravel(), x[0]])
    overlapping = flat[:80].reshape(8, 10), flat[10:].reshape(8, 10)
    fixed = np.empty_like(x)
    fixed.flags.writeable = False
    strided = np.empty((10, 8), np.float32).T
    for source, out in (
        overlapping,
        (x, fixed),
        (x, np.empty_like(x[:4])),
        (x, x.astype(np.float64)),
        (x, strided),
        (x, 3),
    ):
        before = np.array(source)
        check(name, False, source, out=out, drawn=drawn)
        np.testing.assert_array_equal(source, before)


BAD_OPTIONS: list[dict[str, Any]] = [
    {"temperature": np.nan}, {"temperature": 0.0}, {"temperature": -1.0}, {"temperature": 1e-40}, {"temperature": 2},
    {"temperature": np.ones(8)}, {"temperature": None}, {"mask": ONES[:, :9]}, {"mask": ONES.astype(np.uint8)},
    {"mask": ONES[:1]}, {"mask": ONES.tolist()}, {"mask": ~ONES}, {"mask": ONES.T.copy().T}, {"mask": ONES[0][0]},
    {"seeds": SEEDS[:7]}, {"seeds": 3}, {"seeds": SEEDS.astype(np.int64)}, {"seeds": -SEEDS.astype(np.int64) // 8},
    {"seeds": SEEDS.astype("f8")}, {"seeds": SEEDS.astype("i4")}, {"seeds": SEEDS[::-1]},
    {"seeds": SEEDS.tolist()[:7]}, {"seeds": [SEEDS.tolist()]}, {"seeds": [None, *SEEDS.tolist()[1:]]},
    {"seeds": [-1] * 8, "positions": PLACES}, {"seeds": [2**64] * 8, "positions": PLACES}, {"seeds": [1.0] * 8},
    {"seeds": [True] * 8, "positions": PLACES}, {"seeds": tuple(SEEDS.tolist())}, {"seeds": True}, {"seeds": 3.0},
    {"seeds": SEEDS, "positions": PLACES - 1}, {"seeds": SEEDS, "positions": PLACES + 2**57}, {"positions": PLACES},
    {"seeds": SEEDS, "positions": np.full(8, 2**57)}, {"seeds": SEEDS, "positions": np.full(4, 2**57 - 1)},
    {"seeds": SEEDS, "positions": -1}, {"seeds": SEEDS, "positions": 2**57}, {"seeds": SEEDS, "positions": True},
    {"seeds": SEEDS, "positions": 1.0}, {"seeds": SEEDS, "positions": [2**57] * 8},
    {"rng": True}, {"rng": -1}, {"rng": 2**64}, {"rng": 2**200}, {"rng": "7"},
    {"rng": np.int64(3)}, {"rng": [1, 2]}, {"rng": 1.0}, {"offset": 5}, {"num_threads": 1},
    {"axis": -1}, {"unknown": 1},
]  # fmt: skip


@pytest.mark.parametrize(("name", "more"), SAMPLERS)
def test_options_that_steps_decline(name: str, more: tuple[Any, ...]) -> None:
    for options in BAD_OPTIONS:
        if name == "gumbel_softmax" and "temperature" in options:
            options = {"tau": options["temperature"]}
        greedy = (
            name == "sample_tokens" and isinstance(options.get("temperature"), float) and not options["temperature"]
        )
        check(name, greedy, X["float32"], *more, **options)
    for make in (np.random.PCG64, np.random.default_rng, lambda seed: type("Derived", (gf.Generator,), {})(seed)):
        assert runs_python(lambda m=make: getattr(gf, name)(X["float32"], *more, rng=m(2)))


def test_single_options_that_steps_decline() -> None:
    x = X["float32"]
    for k in (0, 11, -1, True, 2.0, np.int64(2), 2**70, None):
        check("gumbel_top_k", False, x, k)
    for options in ({"top_k": 0}, {"top_k": -1}, {"top_k": True}, {"top_k": [3] * 8}, {"top_p": 0.0},
                    {"top_p": 1}, {"top_p": 1.5}, {"min_p": -0.1}, {"min_p": np.nan},
                    {"top_p": np.full(8, 0.5)}, {"temperature_last": 1}, {"temperature_last": np.True_},
                    {"min_tokens_to_keep": 0}, {"min_tokens_to_keep": 2.0}, {"top_n_sigma": 0.0},
                    {"top_n_sigma": np.inf}, {"top_n_sigma": 1}, {"typical_p": 0.0}, {"typical_p": 1.1},
                    {"epsilon_cutoff": -1.0}, {"eta_cutoff": [0.1] * 8}, {"invalid": -1}, {"size": 2},
                    {"return_logprobs": True}):  # fmt: skip
        check("sample_tokens", False, x, **options)
    check("sample_tokens", False, x.view("V4"))
    check("sample_tokens", False, np.zeros((2, 4), "V2"))
    check("sample_tokens", False, np.zeros((2, 4), ">f2"))
    for options in ({"hard": 1}, {"hard": None}, {"return_soft": True}, {"mask": ONES}):
        check("gumbel_softmax", False, x, **options)
    for options in ({"size": 3}, {"size": None}, {"return_perturbed": True}, {"empty": -1}, {"method": "alias"},
                    {"k": 3}):  # fmt: skip
        check("categorical", False, x, **options)
    check("categorical", False)
    check("categorical", False, x, x)
    check("categorical", False, x, logits=x)
    check("gumbel_softmax", False, x, 1.0, False, -1)


def test_the_reference_takes_no_step() -> None:
    with gf.use_backend("reference"):
        for name, more in SAMPLERS:
            check(name, False, X["float32"], *more)
        check("softmax", False, X["float32"], drawn=False)
        check("gumbel", False)
    assert runs_python(lambda: gf.reference.softmax(X["float32"]))  # type: ignore[attr-defined]
