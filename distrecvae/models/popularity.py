"""Popularity, the model to beat: all users get the same scores, an item's number of interactions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import CheckpointError


@dataclass(frozen=True, kw_only=True)
class PopularityConfig:
    """Popularity has no settings."""


class Popularity:
    """Scores items by their number of training interactions.

    Attributes:
        counts: float32, (n_items,).
    """

    def __init__(self, counts: torch.Tensor) -> None:
        self.counts = counts

    @property
    def n_items(self) -> int:
        """Number of items."""
        return self.counts.numel()

    def score(self, fold_in: InteractionMatrix) -> torch.Tensor:
        """Return the same float32 row of counts for each user: (n_users, n_items)."""
        return self.counts.repeat(fold_in.n_users, 1)

    def dense_scores(self, x: torch.Tensor) -> torch.Tensor:
        """Return the same from rows with a place for every item, as a graph of tensors: (n_rows, n_items)."""
        return self.counts.repeat(x.shape[0], 1)


def solve_popularity(
    config: PopularityConfig,  # noqa: ARG001
    train: InteractionMatrix,
    device: torch.device | str = "cpu",
) -> dict[str, torch.Tensor]:
    """Return the parameters: ``counts``, float32, (n_items,)."""
    return {"counts": torch.from_numpy(train.item_counts()).float().to(device)}


def popularity_bytes(
    config: PopularityConfig,  # noqa: ARG001
    train: InteractionMatrix,
) -> tuple[int, int]:
    """Return what counting takes, and the counts: bytes."""
    return 12 * train.n_items, 4 * train.n_items  # int64 counts, and float32 ones


def load_popularity(
    config: PopularityConfig,  # noqa: ARG001
    n_items: int,
    state: Mapping[str, torch.Tensor],
    device: torch.device | str = "cpu",
) -> Popularity:
    """Return the model with the parameters `state`.

    Raises:
        CheckpointError: `state` is not this model's, or of another number of items.
    """
    counts = state.get("counts")
    if counts is None or counts.shape != (n_items,) or counts.dtype != torch.float32:
        raise CheckpointError(
            f"the file does not hold the float32 counts of {n_items} items; it is another model's"
        )
    return Popularity(counts.to(device))
