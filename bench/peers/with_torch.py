"""PyTorch on the CPU: its own functions, and Gumbel-max as its users write it."""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np

import pin
from peers import Call, contender

torch: Any = importlib.import_module("torch")
torch.set_num_threads(pin.THREADS)
functional: Any = torch.nn.functional


def _tensor(x: Any, mask: Any = None) -> Any:
    tensor = torch.from_numpy(x)
    return tensor if mask is None else tensor.masked_fill(~torch.from_numpy(mask), -torch.inf)


def as_tensor(logits: Any) -> Any:
    """A tensor that shares memory with an array of float32 or bfloat16."""
    if logits.dtype.name == "bfloat16":
        return torch.from_numpy(logits.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(logits)


def _generator() -> Any:
    return torch.Generator().manual_seed(0)


@contender("gumbel", "torch")
def gumbel(n: int, dtype: Any) -> Call:
    rng, out = _generator(), torch.from_numpy(np.empty(n, dtype))
    return lambda: out.exponential_(generator=rng).log_().neg_()


@contender("categorical", "torch")
def categorical(logits: Any, mask: Any = None) -> Call:
    rng, x = _generator(), _tensor(logits, mask)
    work = torch.empty_like(x)
    return lambda: torch.sub(x, work.exponential_(generator=rng).log_(), out=work).argmax(-1)


@contender("categorical", "torch multinomial")
def multinomial(logits: Any, mask: Any = None) -> Call:
    rng, x = _generator(), _tensor(logits, mask)
    return lambda: torch.multinomial(torch.softmax(x, -1), 1, generator=rng).squeeze(-1)


@contender("top_k", "torch")
def top_k(logits: Any, k: int) -> Call:
    rng, x = _generator(), _tensor(logits)
    work = torch.empty_like(x)
    return lambda: torch.sub(x, work.exponential_(generator=rng).log_(), out=work).topk(k).indices


@contender("top_k", "torch multinomial")
def multinomial_k(logits: Any, k: int) -> Call:
    rng, x = _generator(), _tensor(logits)
    return lambda: torch.multinomial(torch.softmax(x, -1), k, generator=rng)


@contender("tokens", "torch as transformers")
def tokens(logits: Any, temperature: float, top_k: int, top_p: float) -> Call:
    rng, x = _generator(), _tensor(logits)

    def call() -> Any:
        scores = x / temperature
        if top_k:
            kth = torch.topk(scores, min(top_k, scores.shape[-1])).values[..., -1:]
            scores = scores.masked_fill(scores < kth, -torch.inf)
        if top_p < 1:
            ordered, index = torch.sort(scores, descending=False)
            out = ordered.softmax(-1).cumsum(-1) <= 1 - top_p
            out[..., -1:] = False
            scores = scores.masked_fill(out.scatter(1, index, out), -torch.inf)
        return torch.multinomial(torch.softmax(scores, -1), 1, generator=rng).squeeze(-1)

    return call


def _nucleus(values: Any, top_p: float, rng: Any) -> Any:
    """A place drawn from descending scores, as far as top-p leaves them; one exponential each."""
    p = values.softmax(-1)
    p = p.masked_fill_(p.cumsum(-1) - p >= top_p, 0)
    return p.div_(torch.empty_like(p).exponential_(generator=rng)).argmax(-1, keepdim=True)


@contender("tokens", "torch by hand")
def tokens_by_hand(logits: Any, temperature: float, top_k: int, top_p: float) -> Call:
    rng, x = _generator(), _tensor(logits)
    work = torch.empty_like(x)

    def call() -> Any:
        if top_k:
            found = torch.topk(x, min(top_k, x.shape[-1]))
        elif top_p < 1:
            found = torch.sort(x, descending=True)
        else:
            noise = work.exponential_(generator=rng).log_()
            return torch.sub(x * (1 / temperature), noise, out=noise).argmax(-1)
        return found.indices.gather(-1, _nucleus(found.values / temperature, top_p, rng)).squeeze(-1)

    return call


def _filtered(scores: Any, settings: dict[str, Any]) -> Any:
    """Scores with -inf where one of the filters that need no order says so."""
    if "min_p" in settings:
        limit = scores.amax(-1, keepdim=True) + math.log(settings["min_p"])
    elif "top_n_sigma" in settings:
        limit = scores.amax(-1, keepdim=True) - settings["top_n_sigma"] * scores.std(-1, keepdim=True, correction=0)
    elif "epsilon_cutoff" in settings:
        limit = scores.logsumexp(-1, keepdim=True) + math.log(settings["epsilon_cutoff"])
    elif "eta_cutoff" in settings:
        log_p, eta = scores.log_softmax(-1), settings["eta_cutoff"]
        less_entropy = (log_p.exp() * log_p).sum(-1, keepdim=True) + math.log(eta) / 2
        scores, limit = log_p, less_entropy.clamp_(max=math.log(eta))
    else:
        return scores
    return scores.masked_fill(scores < torch.minimum(limit, scores.amax(-1, keepdim=True)), -torch.inf)


@contender("serving", "torch by hand")
def serving(logits: Any, settings: dict[str, Any]) -> Call:
    x = as_tensor(logits)
    generators = [torch.Generator().manual_seed(row) for row in range(len(x))]
    work = torch.empty(x.shape)
    first, last = settings["temperature"], 1.0
    if settings.get("temperature_last"):
        first, last = last, first

    def race(scores: Any) -> Any:
        noise = work[:, : scores.shape[1]]
        for row, generator in zip(noise, generators, strict=True):
            row.exponential_(generator=generator)
        return torch.sub(scores, noise.log_(), out=noise).argmax(-1, keepdim=True)

    def in_order(scores: Any) -> Any:
        """Scores in the order of the filter, -inf behind what it keeps, and their tokens."""
        if "top_k" in settings:
            scores, token = scores.topk(min(settings["top_k"], scores.shape[1]))
        elif "typical_p" in settings:
            log_p = scores.log_softmax(-1)
            token = (log_p + (log_p.exp() * -log_p).sum(-1, keepdim=True)).abs().argsort(-1)
            scores = log_p.gather(-1, token)
        else:
            scores, token = scores.sort(-1, descending=True)
        p = scores.softmax(-1)
        mass = settings.get("top_p", settings.get("typical_p"))
        return scores.masked_fill_(p.cumsum(-1) - p >= mass, -torch.inf), token

    def call() -> Any:
        scores = x.float() * (1 / first) if first != 1 else x.float()
        if settings.keys().isdisjoint({"top_k", "top_p", "typical_p"}):
            return race(_filtered(scores, settings)).squeeze(-1)
        scores, token = in_order(scores)
        return token.gather(-1, race(scores * (1 / last))).squeeze(-1)

    return call


def _beam_search(first: Any, later: Any, k: int, steps: int, expand: Any) -> Call:
    """Stochastic beam search with k + 1 beams, for the threshold; `expand` gives m children of each row, moved."""
    x, y = _tensor(first), _tensor(later)
    prompts = len(x)
    place = torch.arange(prompts)[:, None]

    def call() -> Any:
        parents = torch.zeros(prompts, 1, 0, dtype=torch.int64)
        log_prob: Any = torch.zeros(prompts, 1)
        best: Any = None
        for step in range(steps):
            rows = y if step else x
            grown, scores, token = expand(torch.log_softmax(rows, -1).add_(log_prob.view(-1, 1)), best)
            best, index = scores.view(prompts, -1).topk(k + 1)
            each = token.shape[-1]
            chosen = token.reshape(prompts, -1).gather(1, index)
            parents = torch.cat([parents[place, index // each], chosen[..., None]], -1)
            log_prob = grown.reshape(prompts, -1).gather(1, index)
        return parents[:, :k], torch.full((prompts, k), steps), log_prob[:, :k], best[:, :k], best[:, k]

    return call


def _conditioned(z: Any, maximum: Any) -> Any:
    """Gumbels moved to a given maximum of their rows: Kool et al. 2019, appendix B.3."""
    most = maximum.view(-1, 1)
    v = most - z + torch.log1p(-torch.exp(z - z.max(-1, keepdim=True).values))
    return most - torch.relu(v) - torch.log1p(torch.exp(-v.abs()))


@contender("beams", "torch as in the paper", adapt=lambda r: [part.numpy() for part in r])
def beams(first: Any, later: Any, k: int, steps: int) -> Call:
    rng, work = _generator(), _tensor(later).clone()
    tokens = torch.arange(later.shape[1])

    def expand(log_prob: Any, best: Any) -> Any:
        z = torch.sub(log_prob, work[: len(log_prob)].exponential_(generator=rng).log_())
        return log_prob, z if best is None else _conditioned(z, best), tokens.expand_as(log_prob)

    return _beam_search(first, later, k, steps, expand)


@contender("beams", "torch by hand", adapt=lambda r: [part.numpy() for part in r])
def beams_by_hand(first: Any, later: Any, k: int, steps: int) -> Call:
    rng, work = _generator(), _tensor(later).clone()

    def expand(log_prob: Any, best: Any) -> Any:
        noise = work[: len(log_prob)].exponential_(generator=rng).log_()
        z, token = torch.sub(log_prob, noise, out=noise).topk(k + 1)
        return log_prob.gather(1, token), z if best is None else _conditioned(z, best), token

    return _beam_search(first, later, k, steps, expand)


@contender("weighted", "torch multinomial")
def weighted(weights: Any, k: int) -> Call:
    rng, w = _generator(), _tensor(weights.astype(np.float32))
    return lambda: torch.multinomial(w, k, generator=rng)


@contender("draws", "torch multinomial")
def draws(probabilities: Any, n: int) -> Call:
    rng, p = _generator(), _tensor(probabilities.astype(np.float32))
    return lambda: torch.multinomial(p, n, replacement=True, generator=rng)


@contender("viterbi", "torch")
def viterbi(unary: Any, pairwise: Any) -> Call:
    x, w = _tensor(unary), _tensor(pairwise)

    def call() -> Any:
        score, back = x[:, 0], []
        for t in range(1, x.shape[1]):
            best, place = (score[:, :, None] + w).max(1)
            back.append(place)
            score = best + x[:, t]
        label = score.argmax(1)
        found = [label]
        for place in reversed(back):
            label = place.gather(1, label[:, None])[:, 0]
            found.append(label)
        return torch.stack(found[::-1], 1)

    return call


@contender("viterbi", "torch, chains last")
def viterbi_chains_last(unary: Any, pairwise: Any) -> Call:
    x, w = _tensor(unary), _tensor(pairwise)

    def call() -> Any:
        score = list(x.permute(1, 2, 0).contiguous())
        for t in range(1, len(score)):
            score[t] = score[t] + (score[t - 1][:, None] + w[:, :, None]).amax(0)
        label = score[-1].argmax(0)
        found = [label]
        for before in reversed(score[:-1]):
            label = (before.T + w.T[label]).argmax(1)
            found.append(label)
        return torch.stack(found[::-1], 1)

    return call


def _with_gradient(function: Any, x: Any, grad: Any) -> Call:
    z, g = _tensor(x).requires_grad_(), _tensor(grad)

    def call() -> Any:
        y = function(z)
        return y.detach(), *torch.autograd.grad(y, z, g)

    return call


@contender("relaxed_top_k", "torch")
def relaxed_top_k(z: Any, grad: Any, k: int) -> Call:
    def function(alpha: Any) -> Any:
        y = torch.zeros_like(alpha)
        for _ in range(k):
            p = alpha.softmax(-1)
            y, alpha = y + p, alpha + (-p).log1p()
        return y

    return _with_gradient(function, z, grad)


@contender("sinkhorn", "torch")
def sinkhorn(z: Any, grad: Any, rounds: int) -> Call:
    def function(x: Any) -> Any:
        for _ in range(rounds):
            x = x.log_softmax(-1).log_softmax(-2)
        return x.exp()

    return _with_gradient(function, z, grad)


@contender("softmax", "torch")
def softmax(x: Any) -> Call:
    tensor = _tensor(x)
    out = torch.empty_like(tensor)
    return lambda: torch.softmax(tensor, -1, out=out)


@contender("softmax_backward", "torch")
def softmax_backward(grad: Any, y: Any) -> Call:
    g, tensor = _tensor(grad), _tensor(y)
    return lambda: torch._softmax_backward_data(g, tensor, -1, tensor.dtype)


@contender("log_softmax", "torch")
def log_softmax(x: Any) -> Call:
    tensor = _tensor(x)
    out = torch.empty_like(tensor)
    return lambda: torch.log_softmax(tensor, -1, out=out)


@contender("logsumexp", "torch")
def logsumexp(x: Any) -> Call:
    tensor = _tensor(x)
    out = torch.empty(len(tensor), dtype=tensor.dtype)
    return lambda: torch.logsumexp(tensor, -1, out=out)


@contender("log_softmax_backward", "torch")
def log_softmax_backward(grad: Any, y: Any) -> Call:
    g, tensor = _tensor(grad), _tensor(y)
    return lambda: torch._log_softmax_backward_data(g, tensor, -1, tensor.dtype)


@contender("relaxed", "torch")
def relaxed(logits: Any, tau: float) -> Call:
    x = _tensor(logits)
    torch.manual_seed(0)
    return lambda: functional.gumbel_softmax(x, tau)


@contender("gumbel_softmax", "torch")
def gumbel_softmax(logits: Any, grad: Any, tau: float, hard: bool) -> Call:
    x, g = _tensor(logits).requires_grad_(), _tensor(grad)
    torch.manual_seed(0)  # F.gumbel_softmax takes no generator

    def call() -> Any:
        x.grad = None
        y = functional.gumbel_softmax(x, tau, hard)
        y.backward(g)
        return y.detach(), x.grad

    return call
