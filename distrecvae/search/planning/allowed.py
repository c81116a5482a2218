"""Tells which configurations a model takes and can be trained with here: how far a range may reach beyond its ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import ConfigError
from distrecvae.runs.ending import cycle_passes, require_a_cycle
from distrecvae.search.space.space import SearchSpace
from distrecvae.training import registry


def require_cycles_fit(space: SearchSpace, max_passes: int) -> None:
    """Refuse a budget that is too small for the longest cycle of the space: a trial trains its first one whole.

    Args:
        space: what is searched.
        max_passes: data passes that a trial gets at most.

    Raises:
        ConfigError: the longest cycle does not fit.
    """
    longest = registry.config_from_dict(space.model, space.default_config())
    require_a_cycle(space.model, longest, max_passes)
    for parameter in space.parameters.values():
        ends = [replace(longest, **values) for values in parameter.extremes()]
        longest = max([longest, *ends], key=cycle_passes)
    needed = cycle_passes(longest)
    if max_passes < needed:
        raise ConfigError(
            f"--max-passes is {max_passes} and a cycle of {space.model} takes up to {needed} in its space:"
            f" {longest.encoder_passes} encoder and {longest.decoder_passes} decoder passes; give {needed} or more, or"
            " a space with fewer"
        )


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
