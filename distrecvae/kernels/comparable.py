"""Makes scores of different models comparable, a user at a time, over the items the user does not have.

- standardized: minus the mean, over the standard deviation. What a model finds outstanding counts, whatever its unit.
- log-softmax: minus the logarithm of the sum of exponentials, so that all models give log-probabilities.
- ranks: 1 / (60 + rank), rank 1 for the best (Cormack, Clarke, Buettcher, "Reciprocal Rank Fusion", SIGIR 2009).

Each keeps the order of a user's items. Items that a user already has are mapped in the same way, but the map does not
depend on them: models differ in how they score what they were shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch

RANK_OFFSET = 60
"""Of reciprocal ranks, as published: the first item counts 1/61, the second 1/62."""

FLAT = 1e-6
"""A deviation below this share of the greatest score is rounding, not taste: such a user's scores are all the same."""


def standardized(scores: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    """Return (s - mean) / deviation, over the unseen items; 0 where a user's unseen scores are all equal.

    Args:
        scores: float, (n_users, n_items).
        seen: bool, the same shape, where a user has the item.
    """
    unseen = (~seen).to(scores.dtype)
    count = unseen.sum(dim=1, keepdim=True).clamp(min=1)
    centred = scores - (scores * unseen).sum(dim=1, keepdim=True) / count
    deviation = ((centred * unseen).square().sum(dim=1, keepdim=True) / count).sqrt()
    least = FLAT * (scores * unseen).abs().amax(dim=1, keepdim=True)
    flat = deviation <= least
    return torch.where(flat, torch.zeros_like(scores), centred / torch.where(flat, 1.0, deviation))


def log_softmax(scores: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    """Return s - log sum exp s, over the unseen items; s minus its maximum where a user has all items.

    Arguments are those of `standardized`.
    """
    greatest = scores.amax(dim=1, keepdim=True)
    everything = seen.all(dim=1, keepdim=True)
    total = scores.masked_fill(seen & ~everything, -math.inf).logsumexp(dim=1, keepdim=True)
    return scores - torch.where(everything, greatest, total)


def reciprocal_ranks(scores: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    """Return 1 / (60 + rank): unseen items first, each by its score, equal ones by position.

    Arguments are those of `standardized`.
    """
    masked = scores.masked_fill(seen, -math.inf)
    order = masked.sort(dim=1, descending=True, stable=True).indices
    fused = 1.0 / torch.arange(RANK_OFFSET + 1, RANK_OFFSET + 1 + scores.shape[1], device=scores.device)
    return torch.empty_like(scores).scatter_(1, order, fused.to(scores.dtype).expand_as(scores))


RULES: Mapping[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "standardized": standardized,
    "log-softmax": log_softmax,
    "ranks": reciprocal_ranks,
}
"""By name: from scores and what is seen to comparable scores, float, (n_users, n_items)."""
