"""A sampler that learns from whole learning curves and from what a pass costs.

A Gaussian process over configuration and passes (`process.py`) is told of the curve of every trial that ended. Of many
offers, drawn anywhere and around the best trials, it takes the one whose expected improvement is greatest for its time
(expected improvement per second: Snoek, Larochelle and Adams, Practical Bayesian Optimization, NeurIPS 2012, section
3.2).

What it knows it reads from the study: parameters, the values reported on the way, and a user attribute with the seconds
that a pass took, where there is one. It works in any Optuna study of one value.
"""

# ruff: noqa: ARG002  (the arguments of Optuna's interface)
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.search_space import IntersectionSearchSpace
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState
from scipy.special import log_ndtr

from distrecvae.rng import stream
from distrecvae.search.core.guided.cube import Cube, at_unit
from distrecvae.search.core.guided.process import Process, fit
from distrecvae.search.core.study import SECONDS_KEY

FIRST = 4
"""Trials that end before anything is learnt from them."""
ANYWHERE, AROUND_EACH, LEADERS = 200, 80, 3
"""Offers from the whole space, around each of the trials expected to be best, and how many of these there are."""
PATIENCE, FAR = 6, 600
"""Once so many trials ended that were begun after the best one, every second proposal is one of so many offers, all
from the whole space: what lies around the best has been tried."""
REFINED, REFINED_EACH, ROUNDS = 8, 25, 2
"""The best offers, offers around each of them, and how often that is done."""
EARLIER = (3.0, 9.0)
"""A trial's last report is told of, and those nearest to its passes divided by each of these."""
MOST_REPORTS = 140
TOLD_ALWAYS = 20
"""Where there are more reports, those of so many best trials are told of, and else of the latest ones."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Known:
    """A trial that has ended.

    Attributes:
        number: the trial's number.
        point: of the unit cube.
        curve: (passes, value) of its reports, in order, greater values being better.
        seconds: that a pass took, where it is known.
    """

    number: int
    point: Array
    curve: Sequence[tuple[int, float]]
    seconds: float | None


class GuidedSampler(BaseSampler):
    """Proposes the point of most expected improvement for its time.

    Args:
        seed: of this proposal's draws.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
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
        """Return a point; nothing where too few trials have ended."""
        sign = 1.0 if study.direction == StudyDirection.MAXIMIZE else -1.0
        cube = Cube(search_space)
        begun = [
            t for t in study.get_trials(deepcopy=False)
            if t.number != trial.number and search_space.keys() <= t.params.keys()
        ]  # fmt: skip
        known = [
            Known(t.number, cube.point(t.params), curve, t.user_attrs.get(SECONDS_KEY))
            for t in begun
            if (curve := curve_of(t, sign))
        ]
        if not search_space or len(known) < FIRST:
            return {}
        running = [cube.point(t.params) for t in begun if t.state == TrialState.RUNNING]
        random = stream(self._seed, "guided", trial.number)
        guide = Guide(known, running, cube)
        far = trial.number % 2 == 1 and guide.behind >= PATIENCE
        return cube.params(guide.far(random) if far else guide.near(random))

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
    """Return (passes, value) of a trial's reports, in order; nothing of one that failed, or has not ended.

    What is under way is not looked at: a search that was resumed may know other reports of it than one that was not.

    A value in the end that is worse than every report on the way, as of a training that diverged, counts alone; so does
    one without reports.
    """
    if trial.state not in (TrialState.COMPLETE, TrialState.PRUNED):
        return []
    points = [(max(step, 1), sign * value) for step, value in sorted(trial.intermediate_values.items())]
    points = [(passes, value) for passes, value in points if np.isfinite(value)]
    if trial.value is not None and np.isfinite(trial.value):
        end = sign * trial.value
        if not points or end < min(value for _, value in points):
            return [(points[-1][0] if points else 1, end)]
    return points


def drawn_around(point: Array, width: Array, cube: Cube, random: np.random.Generator) -> Array:
    """Return a point for each of `width`, drawn around `point`.

    Each coordinate stays with probability one half, else moves by a Gaussian step of that width, mirrored at the ends
    of its range; a category is drawn anew with probability twice the width.
    """
    shape = (len(width), len(point))
    stays, anew, anywhere = random.random(shape) < 0.5, random.random(shape), random.random(shape)
    moved = np.abs(point + width[:, None] * random.standard_normal(shape)) % 2
    moved = np.where(moved > 1, 2 - moved, moved)
    for k in cube.categories:
        moved[:, k] = np.where(anew[:, k] < 2 * width, anywhere[:, k], point[k])
    found: Array = np.where(stays, point, moved)
    return found


class Guide:
    """What the trials so far say of any point of the cube.

    Args:
        known: trials that have reported, at least one.
        running: points of trials that are taken for what is expected of them, so that no two at once are alike.
        cube: the space.
        most: passes of a whole training; without them the most that were reported.

    Attributes:
        told: the process given the known trials' reports.
        whole: (n, features) the known trials as whole trainings, as the process sees them.
        reached: the best report that it was told of, in its units.
    """

    def __init__(
        self, known: Sequence[Known], running: Sequence[Array], cube: Cube, most: int | None = None
    ) -> None:
        self._known, self._cube = known, cube
        self._places = cube.features(np.array([each.point for each in known]))
        self.whole = _whole(self._places)
        self.told, self.reached = self._learnt(most or max(each.curve[-1][0] for each in known))
        self._process = (
            self.told.believing(_whole(cube.features(np.array(running)))) if running else self.told
        )
        self._expected = self._process.at(self.whole)[0]
        self._best = float(self._expected.max())
        self._timed = [i for i, each in enumerate(known) if each.seconds]

    def _learnt(self, most: int) -> tuple[Process, float]:
        ranks = np.argsort(np.argsort([-each.curve[-1][1] for each in self._known], kind="stable"))
        order = sorted(range(len(ranks)), key=lambda i: (min(ranks[i], TOLD_ALWAYS), -self._known[i].number))
        reports = [(i, *report) for i in order for report in told(self._known[i].curve)][:MOST_REPORTS]
        trials = np.array([i for i, _, _ in reports])
        depth = np.log([passes / most for _, passes, _ in reports]) / 3
        y = _stretched(np.array([value for _, _, value in reports]))
        return fit(np.column_stack([self._places[trials], depth]), trials, y), float(y.max())

    def aim(self, best: float) -> None:
        """Let improvement be what exceeds `best`; without this it is the best that is expected of a known trial."""
        self._best = best

    @property
    def behind(self) -> int:
        """How many trials ended that were begun after the best one."""
        best = max(self._known, key=lambda each: (each.curve[-1][1], -each.number))
        return sum(each.number > best.number for each in self._known)

    def far(self, random: np.random.Generator) -> Array:
        """Return the best of offers from the whole space."""
        points = random.random((FAR, len(self._cube.names)))
        chosen: Array = points[int(np.argmax(self.worth(points)))]
        return chosen

    def near(self, random: np.random.Generator) -> Array:
        """Return the best of offers from the whole space, around the best trials, and around the best offers."""
        offers = [random.random((ANYWHERE, len(self._cube.names)))]
        for i in np.argsort(-self._expected, kind="stable")[:LEADERS]:
            widths = 0.3 * random.random(AROUND_EACH) ** 1.5 + 0.03
            offers.append(drawn_around(self._known[i].point, widths, self._cube, random))
        points = np.vstack(offers)
        worth = self.worth(points)
        for k in range(ROUNDS):
            widths = np.full(REFINED_EACH, 0.12 * 0.5**k)
            best = points[np.argsort(-worth, kind="stable")[:REFINED]]
            near = np.vstack([drawn_around(point, widths, self._cube, random) for point in best])
            points, worth = np.vstack([points, near]), np.concatenate([worth, self.worth(near)])
        chosen: Array = points[int(np.argmax(worth))]
        return chosen

    def worth(self, points: Array) -> Array:
        """Return the logarithm of the expected improvement for each second at the rows of `points`."""
        mean, spread = self._process.at(_whole(self._cube.features(points)))
        return log_expected_improvement(mean, spread, self._best) - self.log_seconds(points)

    def log_seconds(self, points: Array) -> Array:
        """Return the logarithm of the seconds a pass at the rows of `points`, by ridge regression; else 0."""
        if len(self._timed) < FIRST:
            return np.zeros(len(points))
        features = self._cube.features(points)
        x = self._places[self._timed]
        y = np.log([self._known[i].seconds or 1.0 for i in self._timed])
        centre, mean = x.mean(axis=0), float(y.mean())
        z = x - centre
        slope = np.linalg.solve(z.T @ z + 0.1 * np.eye(z.shape[1]), z.T @ (y - mean))
        # Beyond what was seen a line knows nothing.
        seconds: Array = np.clip((features - centre) @ slope + mean, y.min() - 0.7, y.max() + 0.7)
        return seconds


def told(curve: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """Return the reports of a curve that the process is told of, the last one first."""
    end = curve[-1][0]
    found = {min(curve, key=lambda point: abs(np.log(point[0] * part / end))) for part in EARLIER}
    return sorted({curve[-1], *found}, reverse=True)


def _whole(features: Array) -> Array:
    """Return the rows with the depth of a whole training beside them."""
    return np.column_stack([features, np.zeros(len(features))])


def _stretched(values: Array) -> Array:
    """Return -log(1 + (best - y) / s), s the median distance from the best, at mean 0 and standard deviation 1.

    What lies near the best is told apart more finely, and what failed badly counts as bad and no more.
    """
    off = values.max() - values
    y = -np.log1p(off / (float(np.median(off)) or 1.0))
    found: Array = (y - y.mean()) / (float(y.std()) or 1.0)
    return found


def log_expected_improvement(mean: Array, spread: Array, best: float) -> Array:
    """Return log E[max(f - best, 0)] of Gaussian f; far below `best` by its leading term, so that it still ranks."""
    z = (mean - best) / spread
    log_density = -0.5 * z**2 - 0.5 * np.log(2 * np.pi)
    near = np.exp(log_density) + z * np.exp(log_ndtr(z))
    far = log_density - 2 * np.log(np.maximum(np.abs(z), 1.0))
    found: Array = np.where(z > -6, np.log(np.maximum(near, 1e-300)), far) + np.log(spread)
    return found
