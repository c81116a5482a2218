"""Holds a trial's budget against the longest cycle of a space: a trial trains its first one whole."""

from __future__ import annotations

from distrecvae.errors import ConfigError
from distrecvae.runs.ending import cycle_passes, require_a_cycle
from distrecvae.search.space.checks import made
from distrecvae.search.space.space import SearchSpace


def require_cycles_fit(space: SearchSpace, config_class: type, max_passes: int) -> None:
    """Refuse a budget that is too small for the longest cycle of a space.

    Args:
        space: what is searched.
        config_class: the model's config.
        max_passes: data passes that a trial gets at most.

    Raises:
        ConfigError: the longest cycle does not fit.
    """
    values = dict(space.base)
    for parameter in space.parameters.values():
        ends = [{**values, **each} for each in parameter.extremes()]
        values = max(ends, key=lambda each: cycle_passes(made(config_class, each)), default=values)
    longest = made(config_class, values)
    needed = cycle_passes(longest)
    if needed == cycle_passes(made(config_class, space.base)):
        require_a_cycle(space.model, longest, max_passes)
    if max_passes < needed:
        raise ConfigError(
            f"--max-passes is {max_passes} and a cycle of {space.model} takes up to {needed} in its space:"
            f" {longest.encoder_passes} encoder and {longest.decoder_passes} decoder passes; give {needed} or more, or"
            " a space with fewer"
        )
