"""What several tests of `gumbelfast.torch` need."""

import torch
from scipy import stats
from torch import Tensor


def assert_frequencies(index: Tensor, p: Tensor) -> None:
    """Chi-square at a chance of 1e-6, and nothing where p is 0."""
    counts = torch.bincount(index.flatten(), minlength=len(p)).double()
    expected = p.double() / p.double().sum() * index.numel()
    assert counts[p == 0].sum() == 0
    some = p > 0
    statistic = ((counts - expected)[some] ** 2 / expected[some]).sum()
    assert statistic < stats.chi2.isf(1e-6, int(some.sum()) - 1)


def normal(shape: tuple[int, ...], dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    """Normal numbers of a seed, the same in all dtypes but for rounding."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)
