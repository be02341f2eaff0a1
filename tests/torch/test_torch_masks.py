"""`mask=` of `gumbelfast.torch.categorical` and `gumbel_top_k`."""

import math
from typing import Any

import numpy as np
import pytest
import torch

import gumbelfast as gf
import gumbelfast.torch as gt

X = torch.randn(3, 4, 20, generator=torch.Generator().manual_seed(0))
MASKS = {
    "whole": torch.rand(X.shape, generator=torch.Generator().manual_seed(1)) < 0.5,
    "row": torch.arange(20) % 3 > 0,
    "rows": (torch.arange(60).reshape(3, 1, 20) % 7 > 2),
}


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_same_draws_as_the_numpy_functions(compiled: str, name: str, dtype: torch.dtype) -> None:
    x, mask = X.to(dtype), MASKS[name]
    rng, same = gf.default_rng(5), gf.default_rng(5)
    for size in (3, 300):
        wanted = gf.categorical(x.numpy(), size=size, mask=mask.numpy(), rng=rng)
        np.testing.assert_array_equal(gt.categorical(x, size, mask=mask, generator=same).numpy(), wanted)
    index, perturbed = gf.gumbel_top_k(x.numpy(), 3, mask=mask.numpy(), rng=rng)
    values, indices = gt.gumbel_top_k(x, 3, mask=mask, generator=same)
    np.testing.assert_array_equal(indices.numpy(), index)
    np.testing.assert_array_equal(values.numpy(), perturbed.astype(values.numpy().dtype))


def test_masked_entries_are_not_looked_at() -> None:
    x, mask = torch.full((50, 4), math.nan), torch.tensor([False, True, False, True])
    x[:, mask] = 0
    assert set(gt.categorical(x, mask=mask).tolist()) == {1, 3}
    assert gt.gumbel_top_k(x, 2, mask=mask).indices.sort().values.tolist() == [[1, 3]] * 50
    assert set(gt.categorical(x.T, dim=0, mask=mask[:, None]).tolist()) == {1, 3}
    assert x.isnan().sum() == 100


def test_gradient_of_values_is_that_of_what_was_drawn() -> None:
    x = X[0].clone().requires_grad_()
    values, indices = gt.gumbel_top_k(x, 2, mask=MASKS["row"])
    (g,) = torch.autograd.grad(values.sum(), x)
    assert torch.equal(g, torch.zeros_like(x).scatter(-1, indices, 1.0))


@pytest.mark.parametrize(
    ("mask", "error", "text"),
    [
        (torch.ones(20), TypeError, r"^mask must be a boolean tensor \(True: allowed\), got torch.float32$"),
        ([True] * 20, TypeError, r"^mask must be a boolean tensor \(True: allowed\), got list$"),
        (torch.ones(19, dtype=torch.bool), ValueError, r"^mask of shape \(19,\) does not broadcast to logits of shape"),
        (torch.ones(2, 3, 4, 20, dtype=torch.bool), ValueError, r"^mask of shape \(2, 3, 4, 20\) does not broadcast"),
        (torch.zeros(20, dtype=torch.bool), ValueError, "finite logit"),
    ],
)
def test_bad_masks(mask: Any, error: type[Exception], text: str) -> None:
    state = torch.get_rng_state()
    for call in (gt.categorical, lambda x, mask: gt.gumbel_top_k(x, 1, mask=mask)):
        with pytest.raises(error, match=text):
            call(X, mask=mask)
    assert torch.equal(torch.get_rng_state(), state)
