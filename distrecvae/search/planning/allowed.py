"""Tells which configurations a model takes and can be trained with here: how far a range may reach beyond its ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import ConfigError
from distrecvae.runs.ending import require_a_cycle
from distrecvae.training import registry


def allowed(model: str, max_passes: int, train: InteractionMatrix) -> Callable[[Mapping[str, Any]], bool]:
    """Return what tells whether a whole configuration can be trained.

    The model's config takes it, a cycle fits into the budget, and a batch is no larger than the training set: beyond,
    all batches are the same.

    Args:
        model: its name.
        max_passes: data passes that a trial gets at most.
        train: the training users.
    """

    def allows(config: Mapping[str, Any]) -> bool:
        try:
            require_a_cycle(model, registry.config_from_dict(model, dict(config)), max_passes)
        except ConfigError:
            return False
        batch = config.get("batch_size")
        return batch is None or batch <= train.n_users

    return allows
