"""What the fuzzer has found in functions that ask a function of the user's, and in those for what is drawn."""

import numpy as np
import pytest
from estimator_cases import SLOPED
from helpers import assert_refused

import gumbelfast as gf
from gumbelfast import estimators, structures
from gumbelfast._engine import sources
from gumbelfast.estimators import _problem

ZEROS = np.zeros((2, 3), np.float32)
NAMES = ("score_function", "importance_weighted", "unordered_set", "arm", "disarm", "vimco")


class _StopError(Exception):
    pass


def _stops(*_: object) -> None:
    raise _StopError


def _sum(z: np.ndarray) -> np.ndarray:
    return z.sum(-1)


def _estimate(name: str, f, slope, **given):
    more = {"unordered_set": (2,), "importance_weighted": (2,)}
    return getattr(estimators, name)(ZEROS, f, *more.get(name, (slope,) if name in SLOPED else ()), **given)


@pytest.mark.parametrize("name", [*NAMES, *SLOPED])
def test_what_f_raises_leaves_the_generator(name: str) -> None:
    for f, slope in ((_stops, np.ones_like), (_sum, _stops if name in SLOPED else None)):
        if slope is None:
            continue
        own, numpy_rng = gf.Generator(3, 50), np.random.default_rng(3)
        before = str(numpy_rng.bit_generator.state)
        for rng in (own, numpy_rng):
            with pytest.raises(_StopError):
                _estimate(name, f, slope, rng=rng)
        assert own.offset == 50
        assert str(numpy_rng.bit_generator.state) == before


DRAWS = [("gumbel_rao", 11), ("rebar", 2), ("score_function", 1), ("unordered_set", 1)]


@pytest.mark.parametrize(("name", "draws"), DRAWS)
def test_noise_that_ends_in_the_middle(name: str, draws: int) -> None:
    extent = 32 * (draws - 1) + 6  # each draw begins at a multiple of 32
    rng = gf.Generator(3, 2**62 - 32 * draws)
    _estimate(name, _sum, np.ones_like, rng=rng)
    assert rng.offset == 2**62 - 32 * draws + extent
    rng = gf.Generator(3, 2**62 - 32 * draws + 1)
    with pytest.raises(ValueError, match="the noise of this key ends"):
        _estimate(name, _sum, np.ones_like, rng=rng)
    assert rng.offset == 2**62 - 32 * draws + 1


@pytest.mark.parametrize("name", [*NAMES, *SLOPED])
def test_estimators_take_no_noise_that_is_not_theirs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = []

    def generator(*args: int) -> gf.Generator:
        ends.append(gf.Generator(*args))
        return ends[-1]

    monkeypatch.setattr(_problem, "Generator", generator)
    rng = gf.Generator(3, 50)
    _estimate(name, _sum, np.ones_like, rng=rng)
    assert (rng.key, rng.offset) == (ends[0].key, ends[0].offset)


@pytest.mark.parametrize("name", [*NAMES, *SLOPED])
def test_without_rng_it_is_the_generator_of_the_process(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_shared", gf.Philox4x32(key=9))
    found = _estimate(name, _sum, np.ones_like)
    assert (found.samples == _estimate(name, _sum, np.ones_like, rng=gf.Generator(9)).samples).all()
    assert sources._shared.noise_offset > 0


@pytest.mark.parametrize("noise", ["gumbel", "normal"])
def test_perturbed_argmax_without_rng(noise: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_shared", gf.Philox4x32(key=9))
    perturbed = structures.make_perturbed_argmax(lambda x: x, 3, noise=noise)
    assert (perturbed(ZEROS)[0] == perturbed(ZEROS, rng=gf.Generator(9))[0]).all()
    assert not (perturbed(ZEROS)[0] == perturbed(ZEROS, rng=gf.Generator(9))[0]).any()


@pytest.mark.parametrize("name", [*NAMES, *SLOPED])
def test_functions_return_real_numbers(name: str) -> None:
    text = "f returned complex64, expected real numbers"
    one = np.complex64(1)
    assert_refused(lambda rng: _estimate(name, lambda z: _sum(z) * one, np.ones_like, rng=rng), TypeError, text)
    if name in SLOPED:
        text = "grad_f returned complex64, expected real numbers"
        assert_refused(lambda rng: _estimate(name, _sum, lambda z: z * one, rng=rng), TypeError, text)


def test_argmax_and_its_gradient_are_real() -> None:
    perturbed = structures.make_perturbed_argmax(lambda x: x * 1j, 3)
    text = "argmax_fn returned complex64, expected real numbers"
    assert_refused(lambda rng: perturbed(ZEROS, rng=rng), TypeError, text)
    _, vjp = structures.make_perturbed_argmax(lambda x: x, 3)(ZEROS, rng=0)
    with pytest.raises(TypeError, match=r"^grad must be real numbers, got complex64$"):
        vjp(ZEROS * 1j)


def test_argmax_of_another_shape_than_that_of_theta() -> None:
    shapes = iter([(1, 2, 3), (5, 2)])
    perturbed = structures.make_perturbed_argmax(lambda _: np.zeros(next(shapes)), 5)
    with pytest.raises(ValueError, match=r"^argmax_fn returned shape \(5, 2\), expected \(5, 2, 3\) as for theta$"):
        perturbed(ZEROS, rng=0)


def test_eta_is_one_number() -> None:
    text = "eta must be a real number, got [1, 2]"
    assert_refused(lambda rng: _estimate("rebar", _sum, np.ones_like, eta=[1, 2], rng=rng), TypeError, text)


@pytest.mark.parametrize("name", ["k", "max_steps", "eos"])
def test_settings_of_a_search_beyond_int64(name: str) -> None:
    given = {"k": 1, "max_steps": 1, "eos": 0} | {name: 2**63}
    none = np.zeros((0, 3))

    def call(rng: gf.Generator) -> object:
        return gf.sequences.ancestral_sample(lambda tokens, state: (none, state), none, **given, rng=rng)

    assert_refused(call, ValueError, f"{name} must be < 2**63, got {2**63}")


def test_more_perturbations_than_there_is_memory_for() -> None:
    rng = np.random.PCG64(3)
    before = str(rng.state)
    for noise in ("gumbel", "normal"):
        with pytest.raises(ValueError, match=r"too large|too big"):
            structures.make_perturbed_argmax(lambda x: x, 2**62, noise=noise)(ZEROS, rng=rng)
    assert str(rng.state) == before


def test_f_that_returns_fewer_axes_at_times() -> None:
    def f(z: np.ndarray) -> np.ndarray:
        return z.sum((1, 2) if len(z) in (1, 5) else -1)

    with pytest.raises(ValueError, match=r"^f returned shape \(9, 2\), expected \(9,\), as of another call$"):
        estimators.exact(ZEROS, f)
    text = "f returned shape (1,), expected (1, 2), as of another call"
    assert_refused(lambda rng: estimators.muprop(ZEROS, f, np.ones_like, num_samples=3, rng=rng), ValueError, text)


def test_running_means_move_with_results_only() -> None:
    mean = estimators.RunningMean()
    mean.update([])
    estimators.score_function(np.zeros((0, 3)), _sum, baseline=mean, rng=0)
    assert mean.value == 0
    with pytest.raises(TypeError, match=r"^f returned complex64"):
        estimators.score_function(ZEROS, lambda z: _sum(z) + 5j, baseline=mean, rng=0)
    assert mean.value == 0
    estimators.score_function(ZEROS, _sum, baseline=mean, rng=0)
    assert mean.value == pytest.approx(1)


def test_baselines_are_real() -> None:
    text = "baseline must be real numbers, got complex128"
    assert_refused(lambda rng: estimators.score_function(ZEROS, _sum, baseline=1j, rng=rng), TypeError, text)


@pytest.mark.parametrize("place", range(4))
def test_samples_without_replacement_are_real(place: int) -> None:
    given = [[-1.0, -2.0], [0.0, 0.0], -1.0, [1.0, 1.0]]
    given[place] = np.asarray(given[place]) + 0j
    name = ("log_probs", "perturbed", "kappa", "values")[place]
    for function in (estimators.without_replacement, estimators.score_weights):
        with pytest.raises(TypeError, match=f"^{name} must be real numbers, got complex128$"):
            function(*given)


def test_missing_samples_weigh_nothing() -> None:
    log_p, g, f = np.array([-1.0, -np.inf, -2.0]), np.zeros(3), np.array([1.0, np.inf, np.inf])
    with np.errstate(invalid="ignore"):
        for method in ("unordered_set", "importance"):
            assert estimators.score_weights(log_p, g, -np.inf, f, method=method)[1] == 0
    with pytest.raises(ValueError, match=r"^kappa must be -inf where samples are missing, got -3.0 at index \(1,\)$"):
        estimators.score_weights([log_p] * 2, [g] * 2, [-np.inf, -3.0], [f] * 2)


def test_what_cannot_be_merged() -> None:
    good = gf.shards.Argmax(np.zeros(2, np.int32), np.zeros(2, np.float32))
    assert gf.shards.merge([good]).indices.dtype == np.int64
    for states, given, error, text in (
        (["a"], {}, TypeError, "states must all be Argmax or all TopK, got str at 0"),
        ([good, gf.TopK(*good)], {}, TypeError, "states must all be Argmax or all TopK, got TopK at 1"),
        ([gf.shards.Argmax(0.5, 0.5)], {}, TypeError, "indices of states must be integers, got float64 at 0"),
        ([gf.shards.Argmax(0, 1j)], {}, TypeError, "expected float16, bfloat16, float32 or float64, got complex128"),
        (
            [good, gf.shards.Argmax(0, ZEROS)],
            {},
            ValueError,
            "state 1 has indices of shape (), perturbed of shape (2, 3)",
        ),
        ([good], {"starts": [2**63]}, ValueError, f"starts must lie in [0, 2**62), got {2**63}"),
        ([good], {"starts": [-1]}, ValueError, "starts must lie in [0, 2**62), got -1"),
        ([good], {"starts": [1, 2]}, ValueError, "starts has 2 entries for 1 states"),
    ):
        with pytest.raises(error) as caught:
            gf.shards.merge(states, **given)
        assert str(caught.value) == text
    with pytest.raises(np.exceptions.AxisError):
        gf.shards.merge([gf.TopK(*good)], axis=5)


def test_solvers_that_keep_their_scores_to_themselves() -> None:
    calls = []

    def solver(block: np.ndarray):
        calls.append(0)
        found = structures.viterbi(block, np.eye(3))
        return found if len(calls) % 2 else found.labels

    text = "order='full' needs a solver that returns scores as well"
    assert_refused(lambda rng: structures.perturb_and_map(ZEROS, solver, 2, order="full", rng=rng), ValueError, text)


@pytest.mark.parametrize("axes", [2, 2**31, 10**400])
def test_more_axes_of_sites_than_there_are(axes: int) -> None:
    text = f"unary must have an axis of labels behind {axes} axes of sites, got shape (2, 3)"
    assert_refused(lambda rng: structures.brute_force(ZEROS, site_ndim=axes), ValueError, text)


def test_a_site_without_any_label() -> None:
    x = np.zeros((2, 4, 3))
    x[1, 2] = -np.inf
    text = "unary forbids all labels at index (1, 2)"
    for order in ("unary", "full"):
        assert_refused(
            lambda rng, o=order: structures.perturb_and_map(x, lambda b: b.argmax(-1), 2, order=o, rng=rng),
            ValueError,
            text,
        )


@pytest.mark.parametrize("name", ["stochastic_beam_search", "ancestral_sample", "beam_search"])
def test_a_first_state_without_its_rows_is_refused_before_anything_is_drawn(name: str) -> None:
    for state, error, text in (
        (np.zeros(1), ValueError, "step 0: state['h'][1] has shape (1,), expected 2 rows"),
        (4, TypeError, "step 0: state['h'][1] is a int, expected an array"),
    ):

        def call(rng: object, state: object = state) -> None:
            given = {} if name == "beam_search" else {"rng": rng}
            getattr(gf.sequences, name)(lambda *_: (ZEROS, {"h": (None, state)}), None, 2, 3, **given)

        assert_refused(call, error, text)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [(10**400, ValueError, "length_penalty must be finite, got 1000"),
     ("1", TypeError, "length_penalty must be a real number, got '1'")],
)  # fmt: skip
def test_length_penalties(value: object, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{text}"):
        gf.sequences.beam_search(lambda *_: (ZEROS, None), None, 2, 1, length_penalty=value)
