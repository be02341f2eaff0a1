"""Rows so long that groups of tiles are told apart by bounds on their noise: still the argmax of what the law gives."""

import numpy as np
import pytest
from helpers import DTYPES, Array, assert_same_bytes, dtype_of, largest_first, perturb, work_of
from sampling_cases import KINDS, make_logits

import gumbelfast as gf

COLUMNS = [24_576, 32_001, 140_000]  # where groups begin to count; no whole group at the end; more than one piece
OFFSETS = [0, 37, 512 * 7 + 31]


def noise_at(offset: int, columns: int, dtype: str) -> Array:
    return gf.gumbel(size=columns, dtype=work_of(dtype), rng=4, offset=offset)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_argmax_of_perturbed_logits(compiled: str, kind: str, dtype: str) -> None:
    rng = np.random.default_rng(1)
    for columns, offset in zip(COLUMNS, OFFSETS, strict=True):
        x = np.array(make_logits(kind, (columns,), dtype, rng)).astype(dtype_of(dtype))
        noise = noise_at(offset, columns, dtype)
        for mask in (None, rng.random(columns) < 0.5):
            allowed = x if mask is None else np.where(mask, x, -np.inf).astype(x.dtype)
            if not np.isfinite(allowed.astype(float)).any():
                continue
            for temperature in (0.01, 1.0, 30.0):
                found = gf.categorical(
                    x, mask=mask, temperature=temperature, rng=4, offset=offset, return_perturbed=True
                )
                value = perturb(allowed, noise, temperature)
                assert found.indices == largest_first(allowed, noise, temperature)[0]
                assert_same_bytes(found.perturbed, value.max())


def test_one_high_logit_in_every_group(compiled: str) -> None:
    x = np.full(70_000, -40, np.float32)
    x[11::512] = np.random.default_rng(2).normal(size=x[11::512].size)
    for offset in (0, 5, 512, 100_000):
        value = perturb(x, noise_at(offset, x.size, "float32"))
        assert gf.categorical(x, rng=4, offset=offset) == value.argmax()


@pytest.mark.parametrize("place", [0, 511, 512, 20_000, 131_071, 131_072, 139_999])
def test_bad_logits_are_seen_wherever_they_lie(compiled: str, place: int) -> None:
    x = np.zeros((2, 140_000), np.float32)
    for value, text in ((np.nan, "NaN"), (np.inf, r"\+inf")):
        x[1, place] = value
        with pytest.raises(ValueError, match=rf"logits contain {text} at index \(1, {place}\)"):
            gf.categorical(x, rng=1)
