"""A sampler that learns from whole learning curves and from what a pass costs.

A Gaussian process over configuration and passes (`process.py`) is told of every trial's curve. Of many offers, drawn
anywhere and around the best trials, it takes the one whose expected improvement is greatest for its time (`guide.py`).

What it knows it reads from the study: parameters, the values reported on the way, and a user attribute with the seconds
that a pass took, where there is one. It works in any Optuna study of one value.
"""

# ruff: noqa: ARG002  (the arguments of Optuna's interface)
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.search_space import IntersectionSearchSpace
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from distrecvae.rng import stream
from distrecvae.search.core.guided.belief import Belief, Expected, is_believed
from distrecvae.search.core.guided.cube import Cube, at_unit
from distrecvae.search.core.guided.guide import FIRST, Array, Guide, Known
from distrecvae.search.core.study import SECONDS_KEY

PATIENCE = 6
"""Once so many trials were begun after the best one, every second proposal comes from the whole space: what lies around
the best has been tried."""


class GuidedSampler(BaseSampler):
    """Proposes the point of most expected improvement for its time.

    Args:
        seed: of this proposal's draws.
        most: passes of a whole training; without them the most that were reported.
        expected: where the best values are expected before anything was tried, by parameter.
    """

    def __init__(self, seed: int, most: int | None = None, expected: Expected | None = None) -> None:
        self._seed, self._most, self._expected = seed, most, expected or {}
        self._space = IntersectionSearchSpace(include_pruned=True)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the parameters that every ended trial has, or before any has ended, the first one under way."""
        found = self._space.calculate(study)
        if not found:
            begun = (t for t in study.get_trials(deepcopy=False) if t.number != trial.number)
            first = next((t for t in begun if t.distributions), None)
            found = dict(sorted(first.distributions.items())) if first is not None else {}
        return {name: distribution for name, distribution in found.items() if not distribution.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return a point.

        Where too few trials have ended, every second one is what is expected to be good, where anything is; the others
        are nothing, which is drawn anywhere: if the belief is wrong, they show it.
        """
        guide = self.guide(study, trial.number, search_space)
        if guide is None:
            cube = Cube(search_space)
            belief = Belief(self._expected, cube)
            if not belief or not is_believed(trial.number):
                return {}
            return cube.params(belief.drawn(stream(self._seed, "expected", trial.number)))
        return guide.cube.params(self.proposed(guide, trial.number))

    def proposed(self, guide: Guide, number: int) -> Array:
        """Return the point that trial `number` is given."""
        random = stream(self._seed, "guided", number)
        far = number % 2 == 1 and guide.behind >= PATIENCE
        return guide.far(random) if far else guide.near(random)

    def guide(
        self, study: Study, number: int, space: Mapping[str, BaseDistribution] | None = None
    ) -> Guide | None:
        """Return what the trials say; None where too few have ended.

        Args:
            study: the trials.
            number: of the trial that is to be proposed, which may be among them.
            space: the parameters; without it those that every ended trial has.
        """
        if space is None:
            space = {n: d for n, d in self._space.calculate(study).items() if not d.single()}
        sign = 1.0 if study.direction == StudyDirection.MAXIMIZE else -1.0
        cube = Cube(space)
        begun = [
            t for t in study.get_trials(deepcopy=False)
            if t.number != number and space.keys() <= t.params.keys()
        ]  # fmt: skip
        known = [
            Known(t.number, cube.point(t.params), curve, t.user_attrs.get(SECONDS_KEY), t.state.is_finished())
            for t in begun
            if (curve := curve_of(t, sign))
        ]
        if not space or sum(each.ended for each in known) < FIRST:
            return None
        heard = {each.number for each in known}
        unheard = (t for t in begun if t.state == TrialState.RUNNING and t.number not in heard)
        belief = Belief(self._expected, cube)
        return Guide(known, [cube.point(t.params) for t in unheard], cube, self._most, belief)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a uniform draw."""
        return at_unit(
            param_distribution, float(stream(self._seed, "guided", trial.number, param_name).random())
        )

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Do nothing: all that counts is in the study."""


def curve_of(trial: FrozenTrial, sign: float = 1.0) -> list[tuple[int, float]]:
    """Return (passes, value) of a trial's reports, in order; nothing of one that failed.

    A value in the end that is worse than every report on the way, as of a training that diverged, counts alone; so does
    one without reports.
    """
    if trial.state not in (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED):
        return []
    points = [(max(step, 1), sign * value) for step, value in sorted(trial.intermediate_values.items())]
    points = [(passes, value) for passes, value in points if np.isfinite(value)]
    if trial.value is not None and np.isfinite(trial.value):
        end = sign * trial.value
        if not points or end < min(value for _, value in points):
            return [(points[-1][0] if points else 1, end)]
    return points
