"""A good call of everything public that takes integers, and what each integer may and may not be."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
from estimator_cases import SETS, SLOPED

import gumbelfast as gf
from gumbelfast import distributions, estimators, permutations, sequences, shards, streams, structures, subsets

X = np.log(np.arange(1.0, 10.0).reshape(3, 3))
P = np.exp(X)
U = np.array([0.1, 0.5, 0.9])
HALVES = np.full((2, 2), 0.5)
LATIN = [[0, 1, 2], [1, 2, 0], [2, 0, 1]]  # different columns along either axis
GRID = np.log(np.arange(1.0, 9.0).reshape(2, 2, 2))
EMPTY_ROW = np.where(np.arange(3)[:, None] == 1, -np.inf, X)
LEFT = gf.gumbel_top_k(X, 2, rng=5, offset=0, row_stride=6)
RIGHT = gf.gumbel_top_k(X, 2, rng=5, offset=3, row_stride=6)


def prepared(weights: Any, axis: int) -> Any:
    return distributions.PlackettLuce(weights, axis=axis).sample(2, rng=5)


def updated(items: Any) -> Any:
    urn = distributions.PlackettLuce(P)
    urn.update(items, 5.0)
    return urn.weights


def step(tokens: Any, state: Any) -> tuple[Any, Any]:
    """A Markov chain for three prompts."""
    return X[np.arange(3) if tokens is None else tokens], None


def values_of(z: Any) -> Any:
    return (z * X).sum(-1)


def slopes_of(z: Any) -> Any:
    return np.broadcast_to(X, z.shape)


def solve(block: Any) -> Any:
    return structures.viterbi(block, np.eye(3))


def perturbed(**given: Any) -> Any:
    """The value of an argmax over so many axes."""
    return structures.make_perturbed_argmax(lambda x: x * (x == x.max(axis=-1, keepdims=True)), **given)(X, rng=5)[0]


def threads_after(num_threads: Any) -> int:
    before = gf.get_num_threads()
    try:
        gf.set_num_threads(num_threads)
        return gf.get_num_threads()
    finally:
        gf.set_num_threads(before)


def place(rng: Any) -> Any:
    """Where a generator stands."""
    return rng.key, rng.offset, rng.bit_generator.state["state"]["counter"]


def reservoir(rng: Any = 5, **given: Any) -> Any:
    kept = streams.WeightedReservoir(rng=rng, **given)
    kept.update(P[0])
    return kept.sample()[:2]


def words(**given: Any) -> Any:
    return gf.Philox4x32(**given).random_raw(5)


LAWS = {law.__name__: law(X, tau=0.5) for law in (distributions.Concrete, distributions.ExpConcrete)}
F: dict[str, Any] = {"logits": X, "f": values_of}
SEARCH: dict[str, Any] = {"step": step, "initial_state": None, "k": 2, "max_steps": 3}

# By the name under which `parameters` finds it: a call, and its other arguments.
CALLS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    **{f"sequences.{name}": (getattr(sequences, name), SEARCH) for name in ("ancestral_sample", "beam_search",
       "stochastic_beam_search")},
    **{name: (getattr(gf, name), {"logits": X}) for name in ("categorical", "filter_tokens", "gumbel_softmax",
       "sample_tokens")},
    **{name: (getattr(gf, name), {"x": X}) for name in ("log_softmax", "logsumexp", "softmax")},
    **{name: (getattr(gf, name), {}) for name in ("exponential", "gumbel")},
    **{name: (getattr(gf, name), {"ids": LATIN, "columns": 5}) for name in ("exponential_at", "gumbel_at")},
    **{f"distributions.{name}": (lambda law=name, **g: getattr(distributions, law)(X, 0.5, **g).sample(rng=5), {})
       for name in LAWS},
    **{f"distributions.{name}.sample": (law.sample, {}) for name, law in LAWS.items()},
    **{f"estimators.{name}": (getattr(estimators, name), F | {"k": 2}) for name in ("importance_weighted",
       "unordered_set")},
    **{f"estimators.{name}": (getattr(estimators, name), F | {"grad_f": slopes_of}) for name in SLOPED},
    **{f"estimators.{name}": (getattr(estimators, name), F) for name in ("arm", "disarm", "score_function")},
    "estimators.vimco": (estimators.vimco, {"logits": X, "log_joint": values_of}),
    "Categorical": (lambda **g: gf.Categorical(X, **g).probs, {}),
    "Categorical.log_prob": (gf.Categorical(X).log_prob, {}),
    "Categorical.sample": (gf.Categorical(X).sample, {}),
    "Generator": (lambda **g: place(gf.Generator(**g)), {"bit_generator": 9}),
    "Philox4x32": (words, {}),
    "Philox4x32.advance": (lambda delta: gf.Philox4x32(7).advance(delta).random_raw(5), {}),
    "Philox4x32.jumped": (lambda jumps: gf.Philox4x32(7).jumped(jumps).random_raw(5), {}),
    "conditional_gumbel": (gf.conditional_gumbel, {"logits": X, "index": 0}),
    "default_rng": (lambda seed: place(gf.default_rng(seed)), {}),
    "distributions.BinaryConcrete.sample": (distributions.BinaryConcrete(X, 0.5).sample, {}),
    "distributions.BinaryConcrete.sample_logits": (distributions.BinaryConcrete(X, 0.5).sample_logits, {}),
    "distributions.Gumbel.sample": (distributions.Gumbel(X).sample, {}),
    "estimators.relax": (estimators.relax, F | {"control": values_of, "grad_control": slopes_of}),
    "gumbel_softmax_backward": (gf.gumbel_softmax_backward, {"grad": X, "y_soft": gf.softmax(X)}),
    "gumbel_top_k": (gf.gumbel_top_k, {"logits": X, "k": 2}),
    "distributions.inverse_transform": (gf.distributions.inverse_transform, {"probs": P, "u": U}),
    "log_softmax_backward": (gf.log_softmax_backward, {"grad": X, "log_y": gf.log_softmax(X)}),
    "shards.merge": (gf.shards.merge, {"states": [LEFT, RIGHT], "starts": [0, 3]}),
    "distributions.PlackettLuce": (prepared, {"weights": P}),
    "distributions.PlackettLuce.sample": (distributions.PlackettLuce(P).sample, {"k": 2}),
    "distributions.PlackettLuce.update": (updated, {}),
    "distributions.plackett_luce_log_prob": (gf.distributions.plackett_luce_log_prob, {"logits": X, "order": LATIN}),
    "distributions.plackett_luce_log_prob_backward": (
        gf.distributions.plackett_luce_log_prob_backward,
        {"grad": U, "logits": X, "order": LATIN},
    ),
    "distributions.plackett_luce_set_log_prob": (
        gf.distributions.plackett_luce_set_log_prob,
        {"logits": X, "items": LATIN},
    ),
    "set_num_threads": (threads_after, {}),
    "softmax_backward": (gf.softmax_backward, {"grad": X, "y": gf.softmax(X)}),
    "structures.brute_force": (structures.brute_force, {"unary": GRID}),
    "structures.make_perturbed_argmax": (perturbed, {"num_samples": 3}),
    "structures.perturb_and_map": (structures.perturb_and_map, {"unary": X, "solver": solve, "num_samples": 2}),
    "structures.viterbi": (structures.viterbi, {"unary": X, "pairwise": np.eye(3)}),
    "structures.viterbi_tree": (structures.viterbi_tree, {"unary": X, "pairwise": np.eye(3), "parents": [-1, 0, 0]}),
    "structures.sample_labellings": (structures.sample_labellings, {"unary": X, "pairwise": np.eye(3)}),
    **{f"structures.{name}": (getattr(structures, name), {"unary": X, "pairwise": np.eye(3)})
       for name in ("label_marginals", "log_partition")},
    "structures.label_marginals_backward": (
        structures.label_marginals_backward,
        {"grad_nodes": X, "grad_edges": np.ones((2, 3, 3)), "unary": X, "pairwise": np.eye(3)},
    ),
    "structures.log_partition_backward": (
        structures.log_partition_backward,
        {"grad": 1.0, "unary": X, "pairwise": np.eye(3)},
    ),
    "counterfactual": (gf.counterfactual, {"logits": X, "observed": 0, "new_logits": X[::-1]}),
    "hindsight_gumbel": (gf.hindsight_gumbel, {"logits": X, "observed": 0}),
    "distributions.HardConcrete.sample": (distributions.HardConcrete(X, 0.5).sample, {}),
    **{f"subsets.{name}": (getattr(subsets, name), {"logits": X, "k": 2}) for name in ("relaxed_top_k",
       "sample_subsets", "subset_log_partition", "subset_marginals")},
    "subsets.relaxed_top_k_backward": (subsets.relaxed_top_k_backward, {"grad": X, "perturbed": X, "k": 2}),
    "subsets.subset_marginals_backward": (subsets.subset_marginals_backward, {"grad": X, "logits": X, "k": 2}),
    "subsets.subset_log_prob": (subsets.subset_log_prob, {"logits": X, "items": LATIN}),
    "subsets.inclusion_probabilities": (subsets.inclusion_probabilities, {"sizes": P, "k": 2}),
    "subsets.conditional_poisson_logits": (subsets.conditional_poisson_logits, {"inclusion": HALVES}),
    "subsets.sample_sampford": (subsets.sample_sampford, {"inclusion": HALVES}),
    "permutations.gumbel_sinkhorn": (permutations.gumbel_sinkhorn, {"logits": X}),
    "permutations.gumbel_sinkhorn_backward": (permutations.gumbel_sinkhorn_backward, {"grad": X, "perturbed": X}),
    "streams.WeightedReservoir": (reservoir, {"k": 2}),
    "weighted_sample": (gf.weighted_sample, {"weights": P, "k": 2}),
}  # fmt: skip


def losses(prefix: str, door: Any, given: dict[str, Any], control: Any) -> dict[str, Any]:
    """The estimators of a door, for logits and perhaps a key."""
    several = given | {"f": lambda z: z.sum(-1)}
    names = ("arm", "disarm", "score_function", *SLOPED)
    found: dict[str, Any] = {name: (getattr(door, name), several) for name in names}
    found |= {name: (getattr(door, name), several | {"k": 2}) for name in SETS}
    found["relax"] = door.relax, several | {"control": control}
    found["vimco"] = door.vimco, given | {"log_joint": lambda z: z.sum(-1)}
    return {f"{prefix}.{name}": call for name, call in found.items()}


DOORS: dict[str, Any] = {
    "": gf,
    "distributions": distributions,
    "estimators": estimators,
    "permutations": permutations,
    "sequences": sequences,
    "shards": shards,
    "streams": streams,
    "structures": structures,
    "subsets": subsets,
}

if find_spec("torch"):
    import torch

    import gumbelfast.torch as gt
    from gumbelfast.torch import estimators as torch_estimators

    DOORS |= {"torch": gt, "torch.estimators": torch_estimators}
    T = torch.from_numpy(X)
    CALLS |= {
        **{
            f"torch.{name}": (getattr(gt, name), {"logits": T})
            for name in ("categorical", "gumbel_softmax", "sample_tokens")
        },
        **{f"torch.{name}": (getattr(gt, name), {"input": T}) for name in ("log_softmax", "softmax")},
        **{f"torch.{name}": (getattr(gt, name), {}) for name in ("exponential", "gumbel")},
        "torch.gumbel_top_k": (gt.gumbel_top_k, {"logits": T, "k": 2}),
        "torch.multinomial": (gt.multinomial, {"input": torch.from_numpy(P)}),
        **losses("torch.estimators", torch_estimators, {"logits": T}, lambda z: z.detach().sum(-1)),
    }

if find_spec("jax"):
    import jax

    import gumbelfast.jax as gj
    from gumbelfast.jax import estimators as jax_estimators

    DOORS |= {"jax": gj, "jax.estimators": jax_estimators}
    SINGLE = X.astype(np.float32)
    KEYED: dict[str, Any] = {"key": jax.random.key(3), "logits": SINGLE}
    CALLS |= {
        **{f"jax.{name}": (getattr(gj, name), KEYED) for name in ("categorical", "gumbel_softmax")},
        **{f"jax.{name}": (getattr(gj, name), {"key": KEYED["key"]}) for name in ("exponential", "gumbel")},
        "jax.choice": (gj.choice, {"key": KEYED["key"], "a": SINGLE}),
        "jax.gumbel_top_k": (gj.gumbel_top_k, KEYED | {"k": 2}),
        **losses("jax.estimators", jax_estimators, KEYED, lambda z: z.sum(-1)),
    }

# What goes with an argument.
COMPANIONS: dict[str, dict[str, Any]] = {
    "row_stride": {"offset": 3},
    "positions": {"seeds": [3, 4, 5]},
    "counter": {"key": 9},
    "empty": {"logits": EMPTY_ROW},
    "columns": {"ids": LATIN},
}

# Good values: one integer, and several where an argument takes them.
GOOD: dict[str, tuple[Any, ...]] = {
    "top_logprobs": (0,),
    "axis": (0,), "dim": (0,), "k": (2,), "size": (2,), "sample_shape": (2,), "shape": (3,), "row_stride": (5,),
    "offset": (40, [0, 40, 80]), "seeds": (7, [7, 8, 9]), "positions": (4, [2, 0, 1]), "top_k": (2, [1, 2, 3]),
    "empty": (5,), "invalid": (5,), "num_threads": (2,),
    "eos": (1,), "max_steps": (2,), "num_samples": (2,), "num_conditional": (2,),
    "site_ndim": (2,), "event_ndim": (2,), "index": (1, [0, 2, 1]), "order": (LATIN,),
    "items": (LATIN,), "parents": ([-1, 0, 0],), "starts": ([0, 3],), "columns": (5,), "value": (2, [0, 2, 1]),
    "bit_generator": (9,),
    "seed": (7,), "counter": (9, [1, 2, 3, 4]), "key": (9, [1, 2]), "delta": (9,), "jumps": (3,),
    "observed": (1, [0, 2, 1]), "start": (4,), "iterations": (3,),
}  # fmt: skip

HUGE = [2**63, 2**64 + 1]
COLUMNS = [-1, 3, 2**63 + 1, 2**64]
OUT_OF_RANGE: dict[str, list[int]] = {
    "top_logprobs": [-1, *HUGE],
    "axis": [5, -3, *HUGE], "dim": [5, -4, *HUGE], "k": [-1, *HUGE], "size": [-1], "sample_shape": [-1, *HUGE],
    "shape": [-1], "row_stride": [-1, 2, *HUGE], "offset": [-1, 2**62 + 1, *HUGE], "seeds": [-1, 2**64],
    "positions": [-1, 2**63 + 1, 2**64], "top_k": [-2], "empty": [*HUGE, -(2**63) - 1],
    "invalid": [*HUGE, -(2**63) - 1],
    "num_threads": [0, -1, 4097, *HUGE], "eos": [-1, 3, *HUGE], "max_steps": [0, *HUGE], "num_samples": [0, *HUGE],
    "num_conditional": [0, *HUGE], "site_ndim": [0], "event_ndim": [0], "index": COLUMNS,
    "order": COLUMNS, "items": COLUMNS, "value": COLUMNS, "parents": [-2, 0, 2**63 + 1, 2**64],
    "starts": [-1, 2**62, 2**63 + 1, 2**64], "bit_generator": [-1, 2**64], "counter": [-1, 2**128],
    "observed": COLUMNS, "start": [-1, 2**62 + 1, *HUGE], "columns": [-1, 0, *HUGE], "iterations": [-1, *HUGE],
    "key": [-1, 2**64], "seed": [], "delta": [], "jumps": [],
}  # fmt: skip

# Parameters that take integers without saying so in their annotation.
NAMES = {"index", "items", "observed", "parents", "positions", "seed", "seeds", "starts", "top_k"}
QUALIFIED = {"Categorical.log_prob.value", "Philox4x32.counter", "Philox4x32.key", "Philox4x32.advance.delta",
             "Philox4x32.jumped.jumps", "Philox4x32.spawn.n_children", "distributions.plackett_luce_log_prob.order",
             "distributions.plackett_luce_log_prob_backward.order"}  # fmt: skip
EXCEPTIONS = {
    "Generator.choice.axis": "NumPy's method, with NumPy's errors",
    "Philox4x32.seed": "NumPy's SeedSequence takes it",
    "Philox4x32.spawn.n_children": "NumPy's SeedSequence takes it",
    "structures.PerturbedArgmax.event_ndim": "a result: make_perturbed_argmax looks at what goes into it",
    "structures.PerturbedArgmax.num_samples": "a result: make_perturbed_argmax looks at what goes into it",
    "streams.ReservoirSample.items": "a result: whatever was given",
    "streams.WeightedReservoir.update.items": "anything that weights belong to",
    "jax.choice.a": "an integer, or an array to choose from, in test_jax_choice.py",
    "torch.logsumexp.dim": "one or several, in test_torch_logsumexp.py",
}


class Row(NamedTuple):
    """One argument: a function of its value and a generator, a good value, and integers that are bad ones."""

    name: str
    argument: str
    call: Callable[..., Any]
    good: Any
    out_of_range: list[int]
    none_allowed: bool = False


def parameters() -> Iterator[tuple[str, inspect.Parameter]]:
    """Every public parameter that takes integers, behind the name of its function; doors first."""
    seen = set()
    for prefix, door in reversed(DOORS.items()):
        for name in (f"{prefix}.{name}".lstrip(".") for name in door.__all__):
            thing = getattr(door, name.rsplit(".")[-1])
            if inspect.ismodule(thing) or id(thing) in seen:
                continue
            seen.add(id(thing))
            functions = {name: thing}
            if inspect.isclass(thing):
                if thing.__mro__[-2].__module__.startswith("torch.distributions"):
                    continue  # torch's methods, with torch's errors
                own = {
                    at: value
                    for at, value in vars(thing).items()
                    if callable(value) and not at.startswith("_") and at not in gf.__all__
                }
                functions |= {f"{name}.{at}": value for at, value in own.items()}
            for function, value in functions.items():
                for parameter in inspect.signature(value).parameters.values():
                    said = re.search(r"\bint\b", str(parameter.annotation)) or parameter.name in NAMES
                    if said or f"{function}.{parameter.name}" in QUALIFIED:
                        yield function, parameter


def _bound(call: Callable[..., Any], given: dict[str, Any], argument: str) -> Callable[..., Any]:
    """A function of the argument alone, and of the generator to draw from where there is one."""
    source = {"rng", "generator"} & set(inspect.signature(call).parameters)

    def bound(value: Any, rng: gf.Generator | None = None) -> Any:
        drawn = {} if argument in ("seeds", "positions") else dict.fromkeys(source, rng or gf.default_rng(5))
        return call(**{**given, **drawn, argument: value})

    return bound


def _placed(name: str) -> Callable[..., Any]:
    """Sets an attribute of a generator."""

    def bound(value: Any, rng: gf.Generator | None = None) -> Any:
        rng = rng or gf.default_rng(5)
        setattr(rng if name == "offset" else rng.bit_generator, name, value)
        return place(rng)

    return bound


def _loaded(value: Any, rng: gf.Generator | None = None) -> Any:
    bits = (rng or gf.default_rng(5)).bit_generator
    bits.state = dict(bits.state) | {"buffer_pos": value}
    return bits.random_raw(3)


def _merged(value: Any, rng: gf.Generator | None = None) -> Any:
    return gf.shards.merge([gf.TopK(value, LEFT.perturbed), RIGHT], starts=[0, 3])


def _labelled(value: Any, rng: gf.Generator | None = None) -> Any:
    return structures.perturb_and_map(X, lambda block: (value, np.zeros(1)), 1, rng=rng or gf.default_rng(5)).samples


def rows() -> list[Row]:
    """The table, a row for one integer and one for several where a parameter takes them."""
    found = [
        Row("Generator", "offset =", _placed("offset"), 40, [-1, 2**62 + 1, *HUGE]),
        Row("Philox4x32", "noise_offset =", _placed("noise_offset"), 40, [-1, 2**62 + 1, *HUGE]),
        Row("Philox4x32", "buffer_pos", _loaded, 2, [-1, 4, *HUGE]),
        Row("merge", "indices", _merged, LEFT.indices.tolist(), [2**62, *HUGE, -(2**63) - 1]),
        Row("solver", "label", _labelled, [[0, 2, 1]], COLUMNS),
    ]
    for name, parameter in parameters():
        at = parameter.name
        if f"{name}.{at}" in EXCEPTIONS:
            continue
        call, others = CALLS[name]
        several = "ArrayLike" in str(parameter.annotation) or at in ("counter", "key")
        goods = GOOD[at] if several else GOOD[at][:1]
        if at == "seeds":  # one serves several rows only where their positions differ
            placed = "positions" in inspect.signature(call).parameters
            others, goods = others | ({"positions": [2, 0, 1]} if placed else {}), goods if placed else goods[1:]
        bound = _bound(call, others | COMPANIONS.get(at, {}), at)
        for good in goods:
            found.append(Row(name, at, bound, good, OUT_OF_RANGE[at], parameter.default is None))
    return found
