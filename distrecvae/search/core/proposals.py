"""Says by what the next trial's configuration is drawn: the sampler of its number, and what is set before it draws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from optuna.samplers import BaseSampler
from optuna.trial import FixedTrial

from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.samplers import make_sampler, redrawing_samplers, starting_values
from distrecvae.search.core.steering import Steering
from distrecvae.search.space.changing import fitting_point


class Proposals:
    """How a search proposes: a function of its settings, of how it was steered, and of a trial's number.

    Args:
        steering: what is searched, and how many trials run at once, now.
        config: the settings of the search.
        warm_starts: Optuna parameters of the trials after the first one, whole: what another search found good.
    """

    def __init__(
        self, steering: Steering, config: SearchConfig, warm_starts: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        self._steering, self._config, self._warm_starts = steering, config, tuple(warm_starts)
        self._begun = steering.space

    def sampler(self, number: int) -> BaseSampler:
        """Return the sampler for the trial of that number; it remembers nothing of others."""
        return make_sampler(
            self._config.proposer,
            seed=self._config.seed,
            trial_number=number,
            concurrent=self._steering.concurrent,
            most_passes=self._config.most_passes,
            expected=self._steering.space.expected(),
        )

    def redraws(self, number: int) -> Iterator[BaseSampler]:
        """Yield the samplers that draw the trial of that number again, where it was an earlier one again.

        What a person added stays as it was added: there are none.
        """
        if self._steering.added:
            return iter(())
        return redrawing_samplers(
            self._config.proposer,
            seed=self._config.seed,
            trial_number=number,
            concurrent=self._steering.concurrent,
            most_passes=self._config.most_passes,
            expected=self._steering.space.expected(),
        )

    def starting_values(self, number: int) -> dict[str, Any]:
        """Return the Optuna parameters that are set before the sampler draws the others."""
        if (added := self._steering.next_point()) is not None:
            return added
        space = self._steering.space
        if self.is_warm(number):
            point = dict(self._warm_starts[number - 1])
            return (
                fitting_point(space, self._begun.suggest(FixedTrial(point)))
                if self._steering.changed
                else point
            )
        start = fitting_point(space, space.base) if self._steering.changed else space.default_point()
        return starting_values(self._config.proposer, start, seed=self._config.seed, trial_number=number)

    def is_warm(self, number: int) -> bool:
        """Tell whether the trial of that number is one that another search found good."""
        return not self._steering.added and 1 <= number <= len(self._warm_starts)
