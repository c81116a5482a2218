"""A quasi-random sampler without state: trial number n gets point n of a scrambled Sobol sequence.

Optuna's own QMC sampler keeps its place in the sequence in the study, so a suggestion that was interrupted
takes a point twice, and it draws at random what was not in the first finished trial.
"""

# ruff: noqa: ARG002  (the arguments of Optuna's interface)
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from distrecvae.rng import stream

_DIMENSIONS = 128  # fixed, because scrambling depends on it: a space that grows keeps its first coordinates


class SobolSampler(BaseSampler):
    """The point of trial n is point n of the sequence; its k-th parameter is coordinate k.

    Owen-scrambled (A. B. Owen 1998, by scipy) with one seed for the whole search, so that points of different
    trials belong together. Parameters beyond the 128th are drawn at random.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._point: tuple[int, list[float]] | None = None

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return nothing: each parameter is asked for by itself."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return the value at the next coordinate: as many as the trial has parameters already."""
        coordinate = len(trial.params)
        if coordinate < _DIMENSIONS:
            u = self._coordinates(trial.number)[coordinate]
        else:
            u = float(stream(self._seed, trial.number, coordinate).random())
        return at_quantile(param_distribution, u)

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Do nothing."""

    def _coordinates(self, number: int) -> list[float]:
        if self._point is None or self._point[0] != number:
            from scipy.stats import qmc  # it takes half a second to import, and most searches never ask

            engine = qmc.Sobol(_DIMENSIONS, scramble=True, seed=np.random.default_rng(self._seed))
            if number:
                engine.fast_forward(number)
            self._point = (number, engine.random(1)[0].tolist())
        return self._point[1]


def at_quantile(distribution: BaseDistribution, u: float) -> Any:
    """Return the value of `distribution` at `u` in [0, 1): equal parts of it for equal parts of its range.

    In a log distribution the range is that of the logarithm; a whole number takes the part from a half below
    it to a half above.
    """
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(u * len(distribution.choices))]
    if not isinstance(distribution, FloatDistribution | IntDistribution):
        raise TypeError(f"{distribution!r} is not a distribution of Optuna's suggest methods")
    low, high, step = distribution.low, distribution.high, distribution.step
    if distribution.log:
        margin = 0.5 if isinstance(distribution, IntDistribution) else 0.0
        start, end = math.log(low - margin), math.log(high + margin)
        value = math.exp(start + u * (end - start))
    elif step is not None:
        value = low + step * int(u * (round((high - low) / step) + 1))
    else:
        value = low + u * (high - low)
    value = min(max(value, low), high)
    return round(value) if isinstance(distribution, IntDistribution) else value
