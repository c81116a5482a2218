"""What the trials so far let a search expect of any point of its space: improvement, seconds, ends of trials.

Improvement is expected improvement for its time (per second: Snoek, Larochelle and Adams, Practical Bayesian
Optimization, NeurIPS 2012, section 3.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import log_ndtr

from distrecvae.search.core.guided.belief import Belief
from distrecvae.search.core.guided.cube import Cube
from distrecvae.search.core.guided.process import Process, fit

FIRST = 4
"""Trials that end before anything is learnt from them."""
ANYWHERE, AROUND_EACH, LEADERS = 200, 80, 3
"""Offers from the whole space, around each of the trials expected to be best, and how many of these there are."""
REFINED, REFINED_EACH, ROUNDS = 8, 25, 2
"""The best offers, offers around each of them, and how often that is done."""
EARLIER = (3.0, 9.0)
"""A trial's last report is told of, and those nearest to its passes divided by each of these."""
MOST_REPORTS = 140
TOLD_ALWAYS = 20
"""Where there are more reports, those of so many best trials are told of, and else of the latest ones."""

FAR = 600
"""Offers from the whole space, where what lies around the best has been tried."""

Array = npt.NDArray[np.float64]
Curve = Sequence[tuple[int, float]]
"""(passes, value) of a trial's reports, in order, greater values being better."""


@dataclass(frozen=True)
class Known:
    """A trial that has reported.

    Attributes:
        number: the trial's number.
        point: of the unit cube.
        curve: its reports.
        seconds: that a pass took, where it is known.
        ended: whether it has; else it runs.
    """

    number: int
    point: Array
    curve: Curve
    seconds: float | None
    ended: bool = True


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
        unheard: points of trials that run and have not reported: they are taken for what is expected of them, so that
            no two at once are alike.
        cube: the space.
        most: passes of a whole training; without them the most that were reported.
        belief: what is expected of its points; None for nothing.

    Attributes:
        known, cube: as given.
        told: the process given the known trials' reports.
        whole: (n, features) the known trials as whole trainings, as the process sees them.
        best: what is to be improved on: the best report that it was told of, or the end that is expected of one that
            runs, if that is better.
    """

    def __init__(
        self,
        known: Sequence[Known],
        unheard: Sequence[Array],
        cube: Cube,
        most: int | None = None,
        belief: Belief | None = None,
    ) -> None:
        self.known, self.cube = known, cube
        points = np.array([each.point for each in known])
        self._places = cube.features(points)
        self._belief = belief or None
        self._usual = float(self._belief.at(points).mean()) if self._belief else 0.0
        self.whole = self._whole(points)
        self.told, reached = self._learnt(most or max(each.curve[-1][0] for each in known))
        if self._belief and not self.told.believes:
            self._belief = None
            self.whole = self._whole(points)
        self._process = self.told.believing(self._whole(np.array(unheard))) if unheard else self.told
        self._expected = self._process.at(self.whole)[0]
        running = [i for i, each in enumerate(known) if not each.ended]
        self.best = max([reached, *self.told.ends(self.whole)[0][running].tolist()])
        self._timed = [i for i, each in enumerate(known) if each.seconds]

    def _learnt(self, most: int) -> tuple[Process, float]:
        ranks = np.argsort(np.argsort([-each.curve[-1][1] for each in self.known], kind="stable"))
        order = sorted(range(len(ranks)), key=lambda i: (min(ranks[i], TOLD_ALWAYS), -self.known[i].number))
        reports = [(i, *report) for i in order for report in told(self.known[i].curve)][:MOST_REPORTS]
        trials = np.array([i for i, _, _ in reports])
        depth = np.log([passes / most for _, passes, _ in reports]) / 3
        y = _stretched(np.array([value for _, _, value in reports]))
        x = self.whole[trials]
        x[:, -1] = depth
        return fit(x, trials, y), float(y.max())

    def _whole(self, points: Array) -> Array:
        """Return what the process sees of points as whole trainings: features, what is expected, a depth of 0."""
        expects = self._belief.at(points) - self._usual if self._belief else np.zeros(len(points))
        return np.column_stack([self.cube.features(points), expects, np.zeros(len(points))])

    def ends(self) -> tuple[Array, Array]:
        """Return mean and standard deviation of each known trial's whole training, its luck included."""
        return self.told.ends(self.whole)

    @property
    def behind(self) -> int:
        """How many trials have reported that were begun after the best one."""
        best = max(self.known, key=lambda each: (each.curve[-1][1], -each.number))
        return sum(each.number > best.number for each in self.known)

    def far(self, random: np.random.Generator) -> Array:
        """Return the best of offers from the whole space."""
        points = random.random((FAR, len(self.cube.names)))
        chosen: Array = points[int(np.argmax(self.worth(points)))]
        return chosen

    def near(self, random: np.random.Generator) -> Array:
        """Return the best of offers from the whole space, around the best trials, and around the best offers."""
        offers = [random.random((ANYWHERE, len(self.cube.names)))]
        for i in np.argsort(-self._expected, kind="stable")[:LEADERS]:
            widths = 0.3 * random.random(AROUND_EACH) ** 1.5 + 0.03
            offers.append(drawn_around(self.known[i].point, widths, self.cube, random))
        points = np.vstack(offers)
        worth = self.worth(points)
        for k in range(ROUNDS):
            widths = np.full(REFINED_EACH, 0.12 * 0.5**k)
            best = points[np.argsort(-worth, kind="stable")[:REFINED]]
            near = np.vstack([drawn_around(point, widths, self.cube, random) for point in best])
            points, worth = np.vstack([points, near]), np.concatenate([worth, self.worth(near)])
        chosen: Array = points[int(np.argmax(worth))]
        return chosen

    def worth(self, points: Array) -> Array:
        """Return the logarithm of the expected improvement for each second at the rows of `points`."""
        mean, spread = self._process.at(self._whole(points))
        return log_expected_improvement(mean, spread, self.best) - self.log_seconds(points)

    def log_seconds(self, points: Array) -> Array:
        """Return the logarithm of the seconds a pass at the rows of `points`, by ridge regression; else 0."""
        if len(self._timed) < FIRST:
            return np.zeros(len(points))
        features = self.cube.features(points)
        x = self._places[self._timed]
        y = np.log([self.known[i].seconds or 1.0 for i in self._timed])
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
