"""A table as a function by trees: a second judge, of another kind than the Gaussian processes of `surrogate.py`.

What a process favours (smoothness, a length a feature) trees do not know: their curves are steps in the configuration.
Nothing is stored: trees are grown in a second from what was recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.record import PARTS
from bench.surrogate import Recorded, features, grid_of, read_recorded
from bench.tables import TABLES

TREES, LEAF = 100, 3
"""Trees, and recorded configurations in a leaf at least: curves are means of some of them."""
PREFIX = "forest:"
"""Before a table's name: judged by trees."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Forest:
    """A table as a function: the same promises as `surrogate.Surrogate`."""

    max_passes: int
    grid: Array
    curve_trees: Any
    second_trees: Any
    published: float
    best: float
    report_noise: float
    training_noise: float

    def curves(self, x: Array) -> Array:
        """Return true curves at `grid`, a row for each row of features."""
        found: Array = self.curve_trees.predict(x)
        return found

    def seconds_a_pass(self, x: Array) -> Array:
        """Return the CPU seconds of a pass for each row of features."""
        seconds: Array = np.exp(self.second_trees.predict(x))
        return seconds

    def scores(self, config: Mapping[str, Any], passes: Array) -> Array:
        """Return the true scores of a configuration after so many passes."""
        curve = self.curves(features(config)[None])[0]
        found: Array = np.interp(passes, np.append(0.0, self.grid), np.append(0.0, curve))
        return found


def grow(name: str, recorded: Recorded) -> Forest:
    """Return the forest of what was recorded."""
    from sklearn.ensemble import ExtraTreesRegressor

    curves, seconds = (
        ExtraTreesRegressor(TREES, min_samples_leaf=LEAF, random_state=0).fit(recorded.x, y)
        for y in (recorded.curves, recorded.log_s)
    )
    true = curves.predict(recorded.x).max(axis=1)
    published = float(true[[d == "published" for d in recorded.drawn]].mean())
    return Forest(
        TABLES[name].max_passes, grid_of(TABLES[name].max_passes), curves, seconds, published, float(true.max()),
        recorded.report_noise, recorded.training_noise,
    )  # fmt: skip


@lru_cache(maxsize=8)
def load_forest(name: str, parts: Path = PARTS) -> Forest:
    """Return the forest of a table so far."""
    return grow(name, read_recorded(name, parts))
