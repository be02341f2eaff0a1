"""What this package does, as a careful user of PyTorch writes it: its own functions, and Gumbel-max by exponentials."""

from __future__ import annotations

from typing import Any

from .. import text

torch: Any = text.optional("torch")


def noise(rng: Any, n: int) -> Any:
    """Gumbel noise in float32."""
    return torch.empty(n).exponential_(generator=rng).log_().neg_()


def categorical(rng: Any, logits: Any) -> Any:
    """Gumbel-max of each row."""
    return torch.empty_like(logits).exponential_(generator=rng).log_().neg_().add_(logits).argmax(-1)


def multinomial(rng: Any, logits: Any) -> Any:
    """One of each row by torch's own function, which asks for probabilities."""
    return torch.multinomial(logits.softmax(-1), 1, generator=rng)[:, 0]


def top_k(rng: Any, logits: Any, k: int) -> Any:
    """The k largest perturbed logits in order."""
    return torch.empty_like(logits).exponential_(generator=rng).log_().neg_().add_(logits).topk(k).indices


def choice(rng: Any, p: Any, k: int) -> Any:
    """Different items."""
    return torch.multinomial(p, k, generator=rng)


def draws(rng: Any, p: Any, n: int) -> Any:
    """Items with replacement."""
    return torch.multinomial(p, n, replacement=True, generator=rng)


def tokens(rng: Any, logits: Any, temperature: float, k: int, share: float) -> Any:
    """Of each row: top-k, then top-p of what it leaves, then one of these."""
    found = logits.topk(k)
    p = (found.values / temperature).softmax(-1)
    p = p.masked_fill_(p.cumsum(-1) - p >= share, 0)
    place = p.div_(torch.empty_like(p).exponential_(generator=rng)).argmax(-1, keepdim=True)
    return found.indices.gather(-1, place)[:, 0]


def softmax(rng: Any, x: Any) -> Any:
    """Softmax, which needs no noise."""
    return x.softmax(-1)


def gumbel_softmax(rng: Any, logits: Any, tau: float) -> Any:
    """A relaxed draw of each row, by torch's own function, which takes no generator."""
    return torch.nn.functional.gumbel_softmax(logits, tau)


def relaxed(rng: Any, logits: Any, grad: Any, tau: float) -> tuple[Any, Any]:
    """Gumbel-softmax, and the gradient by its logits."""
    x = logits.detach().requires_grad_()
    y = gumbel_softmax(rng, x, tau)
    return y.detach(), *torch.autograd.grad(y, x, grad)
