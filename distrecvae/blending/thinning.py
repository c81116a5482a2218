"""Thinning: dense weights between items, of which the greatest alone keep the score, stored sparse.

Kept are the weights of greatest magnitude in the whole matrix: on MovieLens-1M a tenth of EASE's lose 0.001 of NDCG@100
so, and 0.005 where each column keeps as many as any other (benchmarks/results/2026-11-26-blend).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from distrecvae.blending.candidate import Candidate, candidate
from distrecvae.kernels.sparse_weights import stored_weights

SHARES = (0.02, 0.05, 0.1, 0.2)
"""Of the weights that may be kept, fewest first; beyond a quarter nothing is saved."""
KEEPS = 0.0005
"""Loss of a blend's validation metric up to which thin weights keep the score: less than thousands of users tell."""


def thin_weights(weight: torch.Tensor, share: float) -> dict[str, torch.Tensor]:
    """Return the parameters of a model with the weights of greatest magnitude, the others 0.

    Args:
        weight: float32, (n_items, n_items).
        share: of the weights that are kept, in 0..1; one at least, and all of equal magnitude with the last.
    """
    n_weights = weight.numel()
    kept = min(max(1, round(share * n_weights)), n_weights)
    magnitude = weight.abs()
    least = magnitude.flatten().kthvalue(n_weights - kept + 1).values
    rows, columns = ((magnitude >= least) & (weight != 0)).nonzero(as_tuple=True)
    return stored_weights(rows.int(), columns.int(), weight[rows, columns], weight.shape[0])


def thin_as(
    state: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]
) -> Mapping[str, torch.Tensor]:
    """Return the parameters of a model as thin as `other`, another training's of the same model; whole as that one."""
    if not can_be_thin(state) or can_be_thin(other):
        return state
    return thin_weights(state["weight"], other["values"].numel() / state["weight"].numel())


def can_be_thin(state: Mapping[str, torch.Tensor]) -> bool:
    """Return whether a model is one dense matrix between items, and nothing else."""
    weight = state.get("weight")
    return len(state) == 1 and weight is not None and weight.ndim == 2 and weight.shape[0] == weight.shape[1]


def thin_variants(whole: Candidate, shares: Sequence[float] = SHARES) -> list[Candidate]:
    """Return a candidate with ever more of its weights, itself not among them; none where it cannot be thin."""
    if not can_be_thin(whole.state):
        return []
    weight = whole.state["weight"]
    device = getattr(whole.recommender, "weight", weight).device
    found = []
    for share in shares:
        state = thin_weights(weight, share)
        name = f"{whole.name}, {100 * share:g} % of its weights"
        thin = candidate(
            name, whole.source, whole.model, whole.config, state, weight.shape[0], device, whole.trained
        )
        if thin.size_bytes < whole.size_bytes:
            found.append(replace(thin, thin_of=whole.whole))
    return found
