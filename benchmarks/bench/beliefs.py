"""A sampler that begins from what is believed good, learns what pays from the trials, and what a pass costs.

Each proposal is chosen among a few hundred drawn from a mixture: around the points that are believed good, around the
best trials so far, and anywhere. Mallik et al., PriorBand (NeurIPS 2023), draw from such a mixture; here it offers,
and what is taken is what a Gaussian process over configuration and passes (`process.py`) expects to improve most for
its time (expected improvement per second: Snoek et al., Practical Bayesian Optimization, NeurIPS 2012, section 3.2). So
a belief that is wrong costs no more than the draws around it, until the first trials have spoken.

What it knows it reads from the study: parameters, the values reported on the way, and a user attribute with the seconds
that a pass took, where there is one. It works in any Optuna study that maximises one value.
"""

# ruff: noqa: ARG002  (the arguments of Optuna's interface)
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.search_space import IntersectionSearchSpace
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from bench.process import fit_process
from distrecvae.rng import stream
from distrecvae.search.core.guided.cube import Cube
from distrecvae.search.core.guided.guide import log_expected_improvement

SECONDS_KEY = "seconds_a_pass"
"""User attribute of a study's trial: seconds that a pass of it took."""
FEW = 4
"""Trials before anything is learnt from them: until then proposals lie around what is believed good."""
AROUND_BELIEFS, AROUND_EACH, ANYWHERE = 80, 80, 80
"""Offers: around what is believed good, around each of the three best, and from the whole space."""
WIDTH = 0.2
"""Of a belief: standard deviation in units of a range."""
MOST_POINTS = 100

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Known:
    """A trial that has ended: where, (passes, value) of its reports, and the seconds that a pass took, where known."""

    point: Array
    curve: Sequence[tuple[int, float]]
    seconds: float | None


class BeliefSampler(BaseSampler):
    """Proposes the point of most expected improvement for its time, out of draws around beliefs and what was good.

    Args:
        seed: of this proposal's draws.
        beliefs: parameters that are believed good, whole; none makes it draw anywhere.
        thrift: how much the seconds weigh: expected improvement is divided by their power of this.
        pace: returns the seconds that a pass of a trial took; without it a user attribute says so.
    """

    def __init__(
        self,
        seed: int,
        beliefs: Sequence[Mapping[str, Any]] = (),
        *,
        thrift: float = 1.0,
        pace: Callable[[FrozenTrial], float | None] = lambda trial: trial.user_attrs.get(SECONDS_KEY),
    ) -> None:
        self._seed, self._beliefs, self._thrift, self._pace = seed, tuple(beliefs), thrift, pace
        self._space = IntersectionSearchSpace(include_pruned=True)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the parameters that every ended trial has, or before any has ended, every one under way."""
        found = self._space.calculate(study)
        if not found:
            known = [
                t for t in study.get_trials(deepcopy=False) if t.distributions and t.number != trial.number
            ]
            found = dict(sorted(known[0].distributions.items())) if known else {}
        return {name: distribution for name, distribution in found.items() if not distribution.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return a point; nothing where no trial is known."""
        if not search_space:
            return {}
        random = stream(self._seed, "beliefs", trial.number)
        cube = Cube(search_space)
        trials = [
            t for t in study.get_trials(deepcopy=False)
            if t.number != trial.number and search_space.keys() <= t.params.keys()
        ]  # fmt: skip
        beliefs = [cube.point(belief) for belief in self._beliefs if search_space.keys() <= belief.keys()]
        ended = [Known(cube.point(t.params), curve_of(t), self._pace(t)) for t in trials if curve_of(t)]
        running = [cube.point(t.params) for t in trials if t.state == TrialState.RUNNING]
        if len(ended) < FEW:
            start = beliefs[random.integers(len(beliefs))] if beliefs else None
            return cube.params(drawn_around(start, WIDTH, cube, random, 1)[0])
        offers = _offers(ended, beliefs, cube, random)
        return cube.params(offers[_chosen(offers, ended, running, cube, self._thrift)])

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a draw around a belief, or anywhere."""
        random = stream(self._seed, "beliefs", trial.number, param_name)
        cube = Cube({param_name: param_distribution})
        near = [cube.point(belief) for belief in self._beliefs if param_name in belief]
        point = drawn_around(near[0] if near else None, WIDTH, cube, random, 1)[0]
        return cube.params(point)[param_name]

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Do nothing: all that counts is in the study."""


def curve_of(trial: FrozenTrial) -> list[tuple[int, float]]:
    """Return (passes, value) of an ended trial, in order; of one that reported nothing on the way, its value at 1."""
    if trial.state not in (TrialState.COMPLETE, TrialState.PRUNED):
        return []
    points = sorted(trial.intermediate_values.items())
    if not points and trial.value is not None:
        points = [(1, trial.value)]
    return [(passes, value) for passes, value in points if np.isfinite(value)]


def drawn_around(
    point: Array | None, width: float | Array, cube: Cube, random: np.random.Generator, n: int
) -> Array:
    """Return `n` points drawn around `point`, or anywhere where it is None.

    Each coordinate stays with probability 0.3, else moves by a Gaussian step of `width` (one, or one a point), mirrored
    at the ends of its range; a category is drawn anew with probability twice the width.
    """
    shape = (n, len(cube.names))
    anywhere = random.random(shape)
    if point is None:
        return anywhere
    stays, steps, anew = random.random(shape) < 0.3, random.standard_normal(shape), random.random(shape)
    width = np.broadcast_to(np.reshape(width, (-1, 1)), shape)
    moved = np.abs(point + width * steps) % 2
    moved = np.where(moved > 1, 2 - moved, moved)
    for k in cube.categories:
        moved[:, k] = np.where(anew[:, k] < 2 * width[:, k], anywhere[:, k], point[k])
    return np.where(stays, point, moved)


def _offers(
    ended: Sequence[Known], beliefs: Sequence[Array], cube: Cube, random: np.random.Generator
) -> Array:
    best = sorted(ended, key=lambda known: -max(value for _, value in known.curve))[:3]
    found = [drawn_around(None, 1.0, cube, random, ANYWHERE)]
    a_belief = -(-AROUND_BELIEFS // max(1, len(beliefs)))
    found += [drawn_around(belief, WIDTH, cube, random, a_belief) for belief in beliefs]
    for known in best:
        widths = 0.3 * random.random(AROUND_EACH) ** 1.5 + 0.03
        found.append(drawn_around(known.point, widths, cube, random, AROUND_EACH))
    return np.vstack(found)


def _chosen(
    offers: Array, ended: Sequence[Known], running: Sequence[Array], cube: Cube, thrift: float
) -> int:
    """Return which offer is expected to improve most for its time."""
    most = max(known.curve[-1][0] for known in ended)
    places = cube.features(np.array([known.point for known in ended]))
    told = [
        (place, passes, value)
        for place, known in zip(places, ended, strict=True)
        for passes, value in _told(known)
    ]
    told = told[-MOST_POINTS:]
    x = np.array([np.append(place, _depth(passes, most)) for place, passes, _ in told])
    warp = _Warp(np.array([value for _, _, value in told]))
    y = warp(np.array([value for _, _, value in told]))
    process = fit_process(x, y)
    if running:
        # Those under way are taken for what is expected of them, so that no two at once are alike.
        at = _whole(cube.features(np.array(running)))
        process = process.given(np.vstack([x, at]), np.concatenate([y, process.at(at)[0]]))
    incumbent = float(process.at(_whole(places))[0].max())
    offered = cube.features(offers)
    gain = log_expected_improvement(*process.at(_whole(offered)), incumbent)
    return int(np.argmax(gain - thrift * _log_seconds(offered, places, ended)))


def _whole(features: Array) -> Array:
    """Return the rows with the depth of a whole training beside them."""
    return np.hstack([features, np.zeros((len(features), 1))])


class _Warp:
    """Stretches what lies near the best: -log(1 + (best - y) / s), s the median distance from the best."""

    def __init__(self, values: Array) -> None:
        self._best = float(values.max())
        self._scale = float(np.median(self._best - values)) or 1.0

    def __call__(self, values: Array) -> Array:
        stretched: Array = -np.log1p((self._best - values) / self._scale)
        return stretched


def _told(known: Known) -> list[tuple[int, float]]:
    """Return the reports that are learnt from: the last one, and the one nearest to a third of its passes."""
    end = known.curve[-1][0]
    early = min(known.curve, key=lambda point: abs(point[0] - end / 3))
    return sorted({early, known.curve[-1]})


def _depth(passes: int, most: int) -> float:
    return float(np.log(passes / most)) / 3


def _log_seconds(offered: Array, places: Array, ended: Sequence[Known]) -> Array:
    """Return the logarithm of the seconds a pass at each offer, by ridge regression; 0 where too few say."""
    told = [(place, known.seconds) for place, known in zip(places, ended, strict=True) if known.seconds]
    if len(told) < FEW:
        return np.zeros(len(offered))
    x = np.array([place for place, _ in told])
    y = np.log([seconds for _, seconds in told])
    centre, mean = x.mean(axis=0), float(y.mean())
    z = x - centre
    slope = np.linalg.solve(z.T @ z + 0.1 * np.eye(z.shape[1]), z.T @ (y - mean))
    # Beyond what was seen a line knows nothing.
    estimate: Array = np.clip((offered - centre) @ slope + mean, y.min() - 0.7, y.max() + 0.7)
    return estimate
