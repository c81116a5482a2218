"""Says by what the next trial's configuration is drawn: the sampler of its number, and what is set before it draws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from optuna.samplers import BaseSampler

from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.samplers import make_sampler, redrawing_samplers, starting_values
from distrecvae.search.space.space import SearchSpace


class Proposals:
    """How a search proposes: a function of its settings, its space and a trial's number.

    Args:
        space: what is searched.
        config: the settings of the search.
        concurrent: trials at once.
        warm_starts: Optuna parameters of the trials after the first one, whole: what another search found good.
    """

    def __init__(
        self,
        space: SearchSpace,
        config: SearchConfig,
        *,
        concurrent: int = 1,
        warm_starts: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self.space, self._config = space, config
        self._concurrent, self._warm_starts = concurrent, tuple(warm_starts)

    def sampler(self, number: int) -> BaseSampler:
        """Return the sampler for the trial of that number; it remembers nothing of others."""
        return make_sampler(
            self._config.sampler, seed=self._config.seed, trial_number=number, concurrent=self._concurrent
        )

    def redraws(self, number: int) -> Iterator[BaseSampler]:
        """Yield the samplers that draw the trial of that number anew, where it was an earlier one again."""
        return redrawing_samplers(
            self._config.sampler, seed=self._config.seed, trial_number=number, concurrent=self._concurrent
        )

    def starting_values(self, number: int) -> dict[str, Any]:
        """Return the Optuna parameters that are set before the sampler draws the others."""
        if self.is_warm(number):
            return dict(self._warm_starts[number - 1])
        start = self.space.default_point()
        return starting_values(self._config.sampler, start, seed=self._config.seed, trial_number=number)

    def is_warm(self, number: int) -> bool:
        """Tell whether the trial of that number is one that another search found good."""
        return 1 <= number <= len(self._warm_starts)
