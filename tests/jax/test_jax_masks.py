"""`mask` of `gumbelfast.jax`: what it leaves is drawn as in NumPy's door, what it hides is not looked at."""

from functools import partial
from typing import Any

import numpy as np
import pytest
from helpers import DTYPES, assert_same_bytes, normal

import gumbelfast as gf

jax = pytest.importorskip("jax")
from gumbelfast import jax as gj  # noqa: E402

KEY = jax.random.key(11)
AT: Any = {"rng": gf.Generator(11), "offset": 0}
INF = np.inf


@pytest.mark.parametrize("dtype", DTYPES[:3])
@pytest.mark.parametrize(
    ("mask_shape", "axis"), [((4, 5, 60), -1), ((60,), -1), ((5, 1), -1), ((4, 1, 60), 0), ((5, 60), 1), ((), -1)]
)
def test_draws_are_those_of_gumbelfast(route: str, dtype: str, mask_shape: tuple[int, ...], axis: int) -> None:
    x = normal(dtype, (4, 5, 60))
    mask = np.random.default_rng(1).random(mask_shape) < 0.6
    if axis == -1 and mask_shape and mask_shape[-1] > 1:
        mask[..., :3] = True
    elif mask_shape != (4, 5, 60):
        mask = np.ones_like(mask)
        if axis == 0:
            mask[0] = False
        elif axis == 1:
            mask[1] = False
    both: Any = {"axis": axis, "mask": mask}
    batch = tuple(np.delete(x.shape, axis))
    for wrap in (lambda f: f, jax.jit):
        draw = wrap(lambda key, x, mask: gj.categorical(key, x, axis, mask=mask))
        assert np.array_equal(draw(KEY, x, mask), gf.categorical(x, **both, **AT))
    many = gj.categorical(KEY, x, shape=(7, *batch), method="alias", **both)
    assert np.array_equal(many, gf.categorical(x, size=7, method="alias", **both, **AT))
    found, wanted = gj.gumbel_top_k(KEY, x, 2, **both), gf.gumbel_top_k(x, 2, **both, **AT)
    assert np.array_equal(found.indices, wanted.indices)
    assert_same_bytes(found.perturbed, wanted.perturbed.astype(found.perturbed.dtype))
    without = gj.categorical(KEY, x, shape=(2, *batch), replace=False, **both)
    assert np.array_equal(without, np.moveaxis(wanted.indices, axis, 0))


def test_what_is_masked_is_not_looked_at(route: str) -> None:
    x = normal("float32", (3, 40))
    mask = np.arange(40) % 4 == 0
    bad = np.where(mask, x, np.array([np.nan, INF], np.float32)[np.arange(40) % 2])
    for call in (
        partial(gj.categorical, KEY, mask=mask),
        partial(gj.categorical, KEY, mask=mask, shape=(50, 3)),
        partial(gj.categorical, KEY, mask=mask, shape=(50, 3), method="alias"),
        partial(gj.categorical, KEY, mask=mask, shape=(5, 3), replace=False),
        lambda x: gj.gumbel_top_k(KEY, x, 5, mask=mask).indices,
    ):
        found = np.asarray(call(bad))
        assert np.array_equal(found, call(x))
        assert mask[found].all()


def test_vmap_maps_masks_too(route: str) -> None:
    keys, x = jax.random.split(KEY, 4), normal("float32", (4, 3, 20))
    masks = np.random.default_rng(2).random((4, 20)) < 0.7
    found = jax.vmap(lambda key, x, mask: gj.categorical(key, x, mask=mask))(keys, x, masks)
    assert np.array_equal(found, [gj.categorical(*each[:2], mask=each[2]) for each in zip(keys, x, masks, strict=True)])
    shared = jax.vmap(lambda mask: gj.categorical(KEY, x[0], mask=mask))(masks)
    assert np.array_equal(shared, [gj.categorical(KEY, x[0], mask=mask) for mask in masks])


def test_gradients_are_those_of_what_is_left(route: str) -> None:
    x, mask = normal("float32", (3, 12)), np.arange(12) % 3 != 0
    bad = np.where(mask, x, np.nan).astype(np.float32)
    drawn = gj.gumbel_top_k(KEY, x, 4, mask=mask)
    found = jax.grad(lambda x: (gj.gumbel_top_k(KEY, x, 4, mask=mask).perturbed * np.arange(1.0, 5)).sum())(bad)
    wanted = np.zeros((3, 12), np.float32)
    np.put_along_axis(wanted, np.asarray(drawn.indices), np.broadcast_to(np.arange(1.0, 5), (3, 4)), -1)
    assert np.array_equal(found, wanted)


X = np.zeros((2, 3), np.float32)


@pytest.mark.parametrize(
    ("mask", "error", "text"),
    [
        (np.ones((2, 3)), TypeError, "mask must be boolean (True: allowed), got float64"),
        (np.ones((2, 3), np.int8), TypeError, "mask must be boolean (True: allowed), got int8"),
        (np.ones(2, bool), ValueError, "mask of shape (2,) does not broadcast to logits of shape (2, 3)"),
        (np.ones((4, 2, 3), bool), ValueError, "mask of shape (4, 2, 3) does not broadcast to logits of shape (2, 3)"),
    ],
)
def test_bad_masks(mask: Any, error: type[Exception], text: str) -> None:
    calls = [gj.categorical, partial(gj.gumbel_top_k, k=1)]
    for call in calls:
        for run in (call, jax.jit(call)):
            with pytest.raises(error) as caught:
                run(KEY, X, mask=mask)
            assert str(caught.value).replace("float32", "float64") == text
    with pytest.raises(error) as caught:
        gf.categorical(X, mask=mask, rng=3)
    assert str(caught.value) == text


def test_rows_that_a_mask_empties(route: str) -> None:
    mask = np.array([[1, 0, 1], [0, 0, 0]], bool)
    for call in (gj.categorical, partial(gj.categorical, method="alias")):
        with pytest.raises(jax.errors.JaxRuntimeError, match="row 1 has no finite logit"):
            jax.block_until_ready(call(KEY, X, mask=mask))
    mask[1, 0] = True
    with pytest.raises(jax.errors.JaxRuntimeError, match="k=2 exceeds the 1 allowed entries of row 1"):
        jax.block_until_ready(gj.gumbel_top_k(KEY, X, 2, mask=mask).indices)
