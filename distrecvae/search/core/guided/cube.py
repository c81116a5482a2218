"""Shows trials to samplers as points of the unit cube, and goes back from there to values.

A range is taken as it is searched: a logarithmic one in the logarithm. Of a `one_of`, whose branches are all drawn
(docs/spaces.md), what the chosen branch does not use stands in the middle: it makes no difference.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

Point = npt.NDArray[np.float64]


def at_unit(distribution: BaseDistribution, u: float) -> Any:
    """Return the value at `u` in [0, 1]: equal parts of the range for equal parts of [0, 1].

    Whole numbers take the part from a half below them to a half above. A category is one of as many equal parts.
    """
    if isinstance(distribution, CategoricalDistribution):
        choices = distribution.choices
        return choices[min(int(u * len(choices)), len(choices) - 1)]
    numbers = _numbers(distribution)
    low, high, step = numbers.low, numbers.high, numbers.step
    start, end = _ends(numbers)
    value = start + u * (end - start)
    if numbers.log:
        value = math.exp(value)
    if step is not None:
        value = low + step * round((value - low) / step)
    value = min(max(value, low), high)
    return round(value) if isinstance(numbers, IntDistribution) else value


def unit_of(distribution: BaseDistribution, value: Any) -> float:
    """Return the `u` in [0, 1] at which `at_unit` gives the value: the middle of those for a category."""
    if isinstance(distribution, CategoricalDistribution):
        return (distribution.choices.index(value) + 0.5) / len(distribution.choices)
    numbers = _numbers(distribution)
    start, end = _ends(numbers)
    if end <= start:
        return 0.5
    known = math.log(value) if numbers.log else float(value)
    return min(max((known - start) / (end - start), 0.0), 1.0)


def _numbers(distribution: BaseDistribution) -> FloatDistribution | IntDistribution:
    if not isinstance(distribution, FloatDistribution | IntDistribution):
        raise TypeError(f"{distribution!r} is no distribution of Optuna's suggest methods")
    return distribution


def _ends(numbers: FloatDistribution | IntDistribution) -> tuple[float, float]:
    """Return where [0, 1] begins and ends in a range, in the logarithm where it is searched so."""
    margin = 0.5 * numbers.step if isinstance(numbers, IntDistribution) else 0.0
    start, end = numbers.low - margin, numbers.high + margin
    return (math.log(start), math.log(end)) if numbers.log else (start, end)


class Cube:
    """A space of Optuna parameters as a unit cube, a coordinate a parameter; whole arrays of points at once.

    Attributes:
        names: the parameters, in the order of the coordinates.
    """

    def __init__(self, space: Mapping[str, BaseDistribution]) -> None:
        self._space = dict(space)
        self.names = tuple(self._space)
        self._used: list[
            tuple[int, int, int]
        ] = []  # coordinate, that of its entry, the branch that it belongs to
        for k, name in enumerate(self.names):
            entry, _, rest = name.partition("/")
            branch, _, field = rest.partition("/")
            chooses = self._space.get(entry)
            if field and isinstance(chooses, CategoricalDistribution) and branch in chooses.choices:
                self._used.append((k, self.names.index(entry), chooses.choices.index(branch)))

    @property
    def categories(self) -> Mapping[int, int]:
        """The number of choices of each coordinate that is a category."""
        return {
            k: len(d.choices)
            for k, d in enumerate(self._space.values())
            if isinstance(d, CategoricalDistribution)
        }

    def point(self, params: Mapping[str, Any]) -> Point:
        """Return the coordinates of a trial's parameters."""
        return np.array([unit_of(d, params[name]) for name, d in self._space.items()])

    def params(self, point: Point) -> dict[str, Any]:
        """Return the parameters at a point."""
        return {name: at_unit(d, float(u)) for (name, d), u in zip(self._space.items(), point, strict=True)}

    def unit(self, k: int, value: float) -> float:
        """Return where a value of the range at coordinate `k` lies in [0, 1]; the nearest end for one outside."""
        return unit_of(self._space[self.names[k]], value)

    def width(self, k: int, within: float | None) -> float:
        """Return a distance in the range at coordinate `k`: of a factor if it is logarithmic; 1 for None."""
        if within is None:
            return 1.0
        numbers = _numbers(self._space[self.names[k]])
        start, end = _ends(numbers)
        far = math.log(within) if numbers.log else within
        return far / (end - start) if end > start else 1.0

    def used(self, points: Point) -> npt.NDArray[np.bool_]:
        """Return which coordinates of the rows of `points` make a difference: not those of branches not chosen."""
        found = np.ones(points.shape, dtype=bool)
        for k, entry, branch in self._used:
            found[:, k] = self._chosen(points, entry) == branch
        return found

    def _chosen(self, points: Point, k: int) -> npt.NDArray[np.int64]:
        """Return which choice of the category at coordinate `k` the rows of `points` have."""
        n = self.categories[k]
        return np.minimum((points[:, k] * n).astype(np.int64), n - 1)

    def features(self, points: Point) -> Point:
        """Return what makes a difference at the rows of `points`: a number a range, one a choice of a category.

        What a branch that is not chosen would use stands in the middle.
        """
        seen = np.where(self.used(points), points, 0.5)
        chosen = {k: self._chosen(points, k) for k in self.categories}
        columns = [
            np.eye(self.categories[k])[chosen[k]] if k in chosen else seen[:, [k]]
            for k in range(len(self.names))
        ]
        return np.hstack(columns)
