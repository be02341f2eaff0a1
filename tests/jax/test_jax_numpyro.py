"""Distributions for NumPyro: laws of torch and NumPy, SVI that learns, gradients by differences."""

import doctest
import itertools
from typing import Any

import numpy as np
import pytest

jax = pytest.importorskip("jax")
numpyro = pytest.importorskip("numpyro")

import jax.numpy as jnp  # noqa: E402
from jax.test_util import check_grads  # noqa: E402

import gumbelfast.jax as gj  # noqa: E402
from gumbelfast.distributions import BinaryConcrete, Concrete, ExpConcrete, plackett_luce_log_prob  # noqa: E402
from gumbelfast.jax import numpyro as gn  # noqa: E402

X = np.array([[0.3, -1.0, 0.5], [2.0, 0.0, -0.5]])
TAU = np.array([0.5, 1.5])
KEY = 3


def key() -> Any:
    return jax.random.key(KEY)


def test_densities_and_draws(x64: None) -> None:
    law = gn.RelaxedOneHotCategorical(TAU, X)
    y = law.sample(key(), (4,))
    np.testing.assert_allclose(law.log_prob(y), Concrete(X, TAU).log_prob(np.asarray(y)), rtol=1e-9)
    drawn = gj.gumbel_softmax(key(), jnp.broadcast_to(X, (4, 2, 3)), TAU)
    np.testing.assert_allclose(y, drawn, rtol=1e-12)
    log_y = gn.ExpRelaxedCategorical(TAU, X).sample(key(), (4,))
    np.testing.assert_allclose(
        gn.ExpRelaxedCategorical(TAU, X).log_prob(log_y), ExpConcrete(X, TAU).log_prob(np.asarray(log_y)), rtol=1e-9
    )
    binary = gn.RelaxedBernoulli(TAU[:, None], X)
    z = binary.sample(key(), (4,))
    own = BinaryConcrete(X, np.broadcast_to(TAU[:, None], (2, 3)))
    np.testing.assert_allclose(binary.log_prob(z), own.log_prob(np.asarray(z)), rtol=1e-9)
    t = gn.LogitRelaxedBernoulli(TAU[:, None], X).sample(key(), (4,))
    np.testing.assert_allclose(jax.nn.sigmoid(t), z, rtol=1e-14)
    noise = np.log(np.expm1(gj.exponential(key(), (4, 2, 3), np.float64)))
    np.testing.assert_allclose(t, (X + noise) / TAU[:, None], rtol=1e-12)


def test_what_rounds_to_the_boundary_scores_itself() -> None:
    for law in (gn.RelaxedOneHotCategorical(1e-3, jnp.zeros((5, 3))), gn.RelaxedBernoulli(1e-3, jnp.zeros((5, 3)))):
        y, intermediates = law.sample_with_intermediates(key(), (10,))
        assert (np.asarray(y) <= np.finfo(np.float32).tiny).any()  # NumPyro keeps numbers off 0
        assert np.isfinite(law.log_prob(y, intermediates)).all()


def test_gradients(x64: None) -> None:
    x, tau = jnp.asarray(X), jnp.asarray(TAU)
    for sample in (
        lambda x, tau: gn.RelaxedOneHotCategorical(tau, x).sample(key(), (2,)),
        lambda x, tau: gn.RelaxedBernoulli(tau[:, None], x).sample(key(), (2,)),
    ):
        check_grads(sample, (x, tau), 1)
    y = gn.RelaxedOneHotCategorical(tau, x).sample(key())
    check_grads(lambda x, tau: gn.RelaxedOneHotCategorical(tau, x).log_prob(y), (x, tau), 1)
    value = jnp.arange(3.0)
    found = jax.grad(lambda x: (gn.OneHotCategoricalStraightThrough(x).sample(key()) @ value).sum())(x)
    np.testing.assert_allclose(found, jax.grad(lambda x: (jax.nn.softmax(x) @ value).sum())(x))


def test_one_hot_samples() -> None:
    x = jnp.array([0.0, -3.0, 1.0])
    law = gn.OneHotCategoricalStraightThrough(x)
    hot = np.asarray(law.sample(key(), (20_000,)))
    index = gj.categorical(key(), x, shape=(20_000,))
    assert np.array_equal(hot.argmax(-1), index)
    np.testing.assert_allclose(law.log_prob(jnp.eye(3)), jax.nn.log_softmax(x), rtol=1e-6)


@pytest.mark.parametrize("k", [1, 2, 4, None])
def test_orders_are_enumerated(x64: None, k: int | None) -> None:
    x = np.random.default_rng(0).normal(size=4)
    every = np.array(list(itertools.permutations(range(4), k or 4)))
    law = gn.PlackettLuce(x, k)
    wanted = plackett_luce_log_prob(np.broadcast_to(x, (len(every), 4)), every)
    np.testing.assert_allclose(law.log_prob(every), wanted, rtol=1e-12)
    check_grads(lambda x: gn.PlackettLuce(x, k).log_prob(every), (jnp.asarray(x),), 1)
    drawn = law.sample(key(), (3, 2))
    assert drawn.shape == (3, 2, k or 4)
    tiled = jnp.broadcast_to(x, (3, 2, 4))
    assert np.array_equal(drawn, gj.gumbel_top_k(key(), tiled, k or 4).indices)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"^k=4 exceeds the 3 columns$"):
        gn.PlackettLuce(jnp.zeros(3), 4)
    with pytest.raises(ValueError, match="temperature"):
        gn.RelaxedOneHotCategorical(-1.0, jnp.zeros(3), validate_args=True)
    with pytest.raises(ValueError, match="logits"):
        gn.OneHotCategoricalStraightThrough(jnp.full(3, jnp.nan), validate_args=True)


LAWS = {
    "RelaxedOneHotCategorical": lambda x: gn.RelaxedOneHotCategorical(0.5, x),
    "RelaxedBernoulli": lambda x: gn.RelaxedBernoulli(0.5, x).to_event(1),
    "OneHotCategoricalStraightThrough": lambda x: gn.OneHotCategoricalStraightThrough(x),
}


@pytest.mark.parametrize("name", LAWS)
def test_svi_learns(name: str) -> None:
    from numpyro.infer import SVI, Trace_ELBO

    make, code = LAWS[name], 4 * jnp.eye(3)
    seen = jnp.broadcast_to(code[1], (5, 3))

    def model() -> None:
        with numpyro.plate("rows", 5):
            z = numpyro.sample("z", make(jnp.zeros((5, 3))))
            numpyro.sample("seen", numpyro.distributions.Normal(z @ code, 0.7).to_event(1), obs=seen)

    def guide() -> None:
        logits = numpyro.param("logits", jnp.zeros(3))
        with numpyro.plate("rows", 5):
            numpyro.sample("z", make(jnp.broadcast_to(logits, (5, 3))))

    svi = SVI(model, guide, numpyro.optim.Adam(0.1), Trace_ELBO())
    found = svi.run(jax.random.PRNGKey(0), 150, progress_bar=False)
    losses = np.asarray(found.losses)
    assert np.isfinite(losses).all()
    assert losses[-20:].mean() < losses[:20].mean()
    logits = np.asarray(found.params["logits"])
    assert logits.argmax() == 1
    assert logits[1] - logits[0] > 1


def test_docstrings() -> None:
    found = doctest.testmod(gn)
    assert (found.failed, found.attempted > 0) == (0, True)
