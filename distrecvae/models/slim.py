"""Owns SLIM: sparse, non-negative linear weights between items with a zero diagonal.

Ning, Karypis, "SLIM: Sparse Linear Methods for Top-N Recommender Systems", ICDM 2011. For each item j on its own:

    min over w   1/2 ||x_j - X w||^2 + beta/2 ||w||^2 + lambda ||w||_1     with w >= 0, w_j = 0

by coordinate descent, which needs of the data G = X^T X alone:

    w_k <- max(0, (G_kj - sum_(l != k) G_kl w_l - lambda) / (G_kk + beta))

Coordinate k is updated for all items j at once. The sums of a block of coordinates are one product of matrices; within
the block they are kept up to date by updates of rank one. So the iterates are those of coordinate descent, one
coordinate after the other, at the speed of matrix products.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import DivergedError
from distrecvae.models.checks import require_number
from distrecvae.models.item_weights import gram_bytes, lent_gram, load_item_weights
from distrecvae.models.precision import fast_float32

load_slim = load_item_weights

TOLERANCE = 1e-4
"""An item is done when a sweep over all coordinates changed none of its weights by more than this share of its
greatest: scikit-learn's rule and its value."""
MAX_SWEEPS = 1000
BLOCK = 64
"""Coordinates in a block: enough for fast products, few enough that updates of rank one stay in the cache."""

COMPACT_AT = 8
"""Items that are done are left out once they are one in so many. Each time costs a copy, and oneDNN keeps something of
every shape that it multiplies: measured at 200 MB for one a sweep."""


@dataclass(frozen=True, kw_only=True)
class SLIMConfig:
    """Settings of SLIM.

    Attributes:
        l1: lambda, weight of ||w||_1; it makes weights zero.
        l2: beta, weight of ||w||^2 / 2.

    Raises:
        ConfigError: a value breaks its rule.
    """

    l1: float = 1.0
    l2: float = 5.0

    def __post_init__(self) -> None:
        require_number("l1", self.l1, at_least=0)
        require_number("l2", self.l2, at_least=0)


def solve_slim(
    config: SLIMConfig,
    train: InteractionMatrix,
    device: torch.device | str = "cpu",
    common: Mapping[str, npt.NDArray[Any]] | None = None,
) -> dict[str, torch.Tensor]:
    """Return the parameters: ``weight``, float32, (n_items, n_items); column j are item j's w.

    Raises:
        DivergedError: weights still changed in the last sweep.
    """
    with fast_float32():
        return {"weight": descend(lent_gram(train, common).to(device), config)}


def descend(gram: torch.Tensor, config: SLIMConfig, tolerance: float = TOLERANCE) -> torch.Tensor:
    """Return the weights, (n_items, n_items), by coordinate descent.

    Args:
        gram: G, (n_items, n_items); its dtype is that of the arithmetic.
        config: the regularization.
        tolerance: when an item is done; see `TOLERANCE`.

    Raises:
        DivergedError: weights still changed in the last sweep.
    """
    n_items = gram.shape[0]
    weight = torch.zeros_like(gram)
    active = torch.arange(n_items, device=gram.device)  # the items that are not done
    current = weight.clone()
    for _ in range(MAX_SWEEPS):
        if not active.numel():
            return weight
        change = _sweep(gram, current, active, config)
        done = change <= tolerance * current.amax(dim=0)
        if int(done.sum()) * COMPACT_AT >= active.numel():
            weight[:, active[done]] = current[:, done]
            active, current = active[~done], current[:, ~done]
    raise DivergedError(
        f"weights of {active.numel()} items still changed after {MAX_SWEEPS} sweeps; raise l2 or l1"
    )


def _sweep(gram: torch.Tensor, weight: torch.Tensor, items: torch.Tensor, config: SLIMConfig) -> torch.Tensor:
    """Update every coordinate of the columns `items`, in place; return each column's greatest change.

    Args:
        gram: (n_items, n_items).
        weight: (n_items, n_active), the columns.
        items: int64, (n_active,), which items they are.
        config: the regularization.
    """
    n_items = gram.shape[0]
    greatest = weight.new_zeros(items.numel())
    diagonal = gram.diagonal()
    curvature = diagonal + config.l2
    curvature = torch.where(
        curvature > 0, curvature, 1.0
    )  # an item of nobody: its weight is 0 whatever divides
    for start in range(0, n_items, BLOCK):
        stop = min(start + BLOCK, n_items)
        # What is left to explain: G_kj - sum_l G_kl w_l, for the coordinates k of the block.
        left = gram[start:stop][:, items] - gram[start:stop] @ weight
        for k in range(start, stop):
            row = left[k - start]
            new = ((row + diagonal[k] * weight[k] - config.l1) / curvature[k]).clamp_(min=0.0)
            new.masked_fill_(items == k, 0.0)
            delta = new - weight[k]
            weight[k] = new
            left[k + 1 - start :].addr_(gram[k + 1 : stop, k], delta, alpha=-1)
            torch.maximum(greatest, delta.abs_(), out=greatest)
    return greatest


def slim_bytes(
    config: SLIMConfig,  # noqa: ARG001
    train: InteractionMatrix,
    lent: bool = False,
) -> tuple[int, int]:
    """Return what solving takes at its peak, and the weights: bytes."""
    size = 4 * train.n_items**2
    # The Gram matrix, the result, the columns at work, those that are left when some are done, and oneDNN's copy.
    return max(0 if lent else gram_bytes(train, 4), (4 if lent else 5) * size), size
