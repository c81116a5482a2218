"""Tells which configurations a model takes and can be trained with here: how far a range may reach beyond its ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import ConfigError
from distrecvae.runs.ending import require_a_cycle
from distrecvae.search.space.space import SearchSpace
from distrecvae.training import registry


def allowed(
    space: SearchSpace, max_passes: int, train: InteractionMatrix
) -> Callable[[Mapping[str, Any]], bool]:
    """Return what tells whether a whole configuration can be trained.

    The model's config takes it, a cycle fits into the budget, and a batch is no larger than the training set, beyond
    which all are the same, or than the space had it from the beginning.

    Args:
        space: as it was begun.
        max_passes: data passes that a trial gets at most.
        train: the training users.
    """

    reached = [space.base, *(values for each in space.parameters.values() for values in each.extremes())]
    largest = max(train.n_users, *(values.get("batch_size") or 0 for values in reached))

    def allows(config: Mapping[str, Any]) -> bool:
        try:
            require_a_cycle(space.model, registry.config_from_dict(space.model, config), max_passes)
        except ConfigError:
            return False
        batch = config.get("batch_size")
        return batch is None or batch <= largest

    return allows
