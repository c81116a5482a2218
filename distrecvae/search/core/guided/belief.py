"""What the author of a space expects of a point before any trial: the farther from the likely values, the worse.

A score falls off with the square of the distance from each likely value, in units of how far it matters. How much of
all differences that explains is learnt with the rest (`process.py`); so a belief that is wrong fades.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from distrecvae.search.core.guided.cube import Cube, Point

Expected = Mapping[str, tuple[float, float | None]]
"""Where the best value of a parameter is expected, and how far from there matters; see `SearchSpace.expected`."""

EXPLAINS = 0.7
"""Standard deviation of the belief over the whole space, in units of that of the scores: half of what differs."""
DRAWS = 50
"""Before anything is learnt, the best of so many random points is tried, where there is a belief."""
_POINTS = 512


def is_believed(number: int) -> bool:
    """Whether a trial that comes before anything is learnt is drawn by what is expected: every second one is.

    The others are drawn anywhere: if the belief is wrong, they show it.
    """
    return number % 2 == 1


class Belief:
    """What is expected of the points of a cube.

    Args:
        expected: by parameter; those that the cube does not have say nothing.
        cube: the space.
    """

    def __init__(self, expected: Expected, cube: Cube) -> None:
        self._cube = cube
        self._fades = [
            (k, cube.unit(k, value), cube.width(k, within))
            for k, name in enumerate(cube.names)
            if name in expected and k not in cube.categories
            for value, within in (expected[name],)
        ]
        self._scale = 1.0
        anywhere = self.at(np.random.default_rng(0).random((_POINTS, len(cube.names))))
        self._scale = EXPLAINS / (float(anywhere.std()) or 1.0)

    def __bool__(self) -> bool:
        """Whether anything is expected."""
        return bool(self._fades)

    def at(self, points: Point) -> Point:
        """Return what is expected at the rows of `points`; greater is better, 0 is best."""
        used = self._cube.used(points)
        total: Point = np.zeros(len(points))
        for k, best, width in self._fades:
            total -= np.where(used[:, k], ((points[:, k] - best) / width) ** 2, 0.0)
        return self._scale * total

    def drawn(self, random: np.random.Generator) -> Point:
        """Return the best of some points that are drawn anywhere."""
        points = random.random((DRAWS, len(self._cube.names)))
        chosen: Point = points[int(np.argmax(self.at(points)))]
        return chosen
