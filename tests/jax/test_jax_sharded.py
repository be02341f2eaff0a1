"""Within shard_map over two devices: the draws of the whole array."""

import doctest
import importlib
import json

import pytest
from helpers import run_python

pytest.importorskip("jax")

PREAMBLE = """
import json, jax, jax.numpy as jnp, numpy as np, gumbelfast as gf, gumbelfast.jax as gfj
from functools import partial
from jax.sharding import Mesh, PartitionSpec as P
from gumbelfast.jax import sharded
assert len(jax.devices()) == 2
key, mesh = jax.random.key(5), Mesh(np.array(jax.devices()), ("m",))
x = np.random.default_rng(0).normal(size=(4, 6, 70)).astype(np.float32) * 3
SPECS = {"columns": P(None, None, "m"), "rows": P("m")}
def over(function, way, out, checked=False):
    given = {"mesh": mesh, "in_specs": SPECS[way], "out_specs": out, "check_vma": checked}
    return jax.jit(jax.shard_map(partial(function, **{way: "m"}), **given))
def same(found, wanted):
    return found.dtype == wanted.dtype and bool((found == wanted).all())
"""

TWO = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}

DRAWS = """
answers = {}
mask = np.random.default_rng(1).random(x.shape) < 0.3
for dtype in (np.float32, np.float16, jnp.bfloat16):
    y = jnp.asarray(x).astype(dtype)
    wanted, top = gfj.categorical(key, y), gfj.gumbel_top_k(key, y, 40)
    for way, outs in (("columns", P()), ("rows", P("m"))):
        name = f"{np.dtype(dtype).name} {way}"
        for checked in (False, True):
            found = over(partial(sharded.categorical, key), way, outs, checked)(y)
            answers[f"{name} {checked}"] = same(found, wanted)
        found = over(lambda z, **axis: sharded.gumbel_top_k(key, z, 40, **axis), way, outs)(y)
        answers[f"{name} top"] = same(found.indices, top.indices) and same(found.perturbed, top.perturbed)
hidden = jnp.where(mask, x, -jnp.inf)
allowed = lambda z, **axis: sharded.categorical(key, jnp.abs(z), mask=jnp.isfinite(z), **axis)
answers["mask"] = same(over(allowed, "columns", P())(hidden), gfj.categorical(key, jnp.abs(x), mask=mask))
both = Mesh(np.array(jax.devices()).reshape(1, 2), ("r", "c"))
draw = partial(sharded.categorical, key, rows="r", columns="c")
found = jax.shard_map(draw, mesh=both, in_specs=P("r", None, "c"), out_specs=P("r"), check_vma=False)(x)
answers["both"] = same(found, gfj.categorical(key, x))
answers["of numpy"] = bool((found == gf.categorical(x, rng=gf.Generator(5))).all())
apart = over(lambda z, **_: gfj.categorical(key, z), "rows", P("m"))(x)
answers["each its own"] = not same(apart, gfj.categorical(key, x))
many = over(partial(sharded.categorical, key), "columns", P())
for _ in range(50):  # callbacks that wait for one another would end here
    many(x).block_until_ready()
print(json.dumps(answers))
"""


def test_draws_are_those_of_the_whole() -> None:
    done = run_python(PREAMBLE + DRAWS, timeout=180, **TWO)
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    assert len(answers) == 22
    assert all(answers.values()), answers


ERRORS = """
def told(y, way, out, function=sharded.categorical):
    try:
        np.asarray(over(partial(function, key), way, out)(y))
    except Exception as error:
        print(str(error).strip().splitlines()[-1])
nan, empty = x.copy(), x.copy()
nan[3, 2, 50], empty[3, 2] = np.nan, -np.inf
told(nan, "columns", P())
told(nan, "rows", P("m"))
told(empty, "columns", P())
told(empty, "rows", P("m"))
few = np.full_like(x, -np.inf)
few[..., :3] = 0
told(few, "columns", P(), lambda key, z, **axis: sharded.gumbel_top_k(key, z, 5, **axis).indices)
told(x, "columns", P(), lambda key, z, **axis: sharded.gumbel_top_k(key, z, 71, **axis).indices)
told(x[0, 0].astype(int), "columns", P())
told(x, "rows", P("m"), lambda key, z, **axis: sharded.categorical(key, z[0, 0], **axis))
"""


def test_all_devices_hear_of_a_fault() -> None:
    done = run_python(
        PREAMBLE.replace('P(None, None, "m")', "P(*[None] * (x.ndim - 1), 'm')") + ERRORS, timeout=120, **TWO
    )
    lines = done.stdout.splitlines()
    assert [line.removeprefix("ValueError: ") for line in lines[:6]] == [
        "logits contain NaN at index (3, 2, 50)",
        "logits contain NaN at index (3, 2, 50)",
        "row (3, 2) has no finite logit",
        "row (3, 2) has no finite logit",
        "k=5 exceeds the 3 allowed entries of row (0, 0)",
        "k=71 exceeds the 70 columns",
    ], done.stderr
    assert lines[-1] == "a single row, of shape (70,), is not divided over 'm'"


def test_the_example_is_true() -> None:
    found = doctest.testmod(importlib.import_module("gumbelfast.jax.sharded"))
    assert found.attempted
    assert not found.failed
