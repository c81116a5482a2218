"""Models over several data sets: their mean ranks, Friedman's test, and how far ranks must lie apart (Nemenyi).

As Demšar has it, "Statistical Comparisons of Classifiers over Multiple Data Sets" (JMLR 7, 2006), section 3.2.2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distrecvae.search.comparison.significance import LEVEL


@dataclass(frozen=True)
class Ranks:
    """The ranks of models over data sets, 1 the best; equal scores share the mean of their ranks.

    Attributes:
        names: of the models, the best mean rank first.
        mean: float64, (n_models,), mean rank over the data sets.
        n_sets: data sets.
        p_value: of Friedman's test: whether any two differ; not a number for fewer than three models or two data sets.
        critical_difference: mean ranks that lie further apart differ (Nemenyi, at `LEVEL`, corrected for all pairs).
    """

    names: tuple[str, ...]
    mean: npt.NDArray[np.float64]
    n_sets: int
    p_value: float
    critical_difference: float

    @property
    def can_tell(self) -> bool:
        """Whether so few data sets can show anything: the largest difference that there can be is n_models - 1."""
        return self.critical_difference < len(self.names) - 1

    def alike(self) -> list[tuple[int, int]]:
        """Return the longest runs of models, first and last position, whose mean ranks are not told apart."""
        runs: list[tuple[int, int]] = []
        for first in range(len(self.names)):
            near = np.flatnonzero(self.mean - self.mean[first] <= self.critical_difference)
            last = int(near[-1])
            if last > first and (not runs or last > runs[-1][1]):
                runs.append((first, last))
        return runs


def rank_models(names: Sequence[str], scores: npt.NDArray[np.float64]) -> Ranks:
    """Return the models' ranks.

    Args:
        names: of the models.
        scores: float64, (n_sets, n_models), higher is better; no NaN.
    """
    from scipy import stats  # it takes most of a second to import

    n_sets, n_models = scores.shape
    ranks = stats.rankdata(-scores, axis=1)
    mean = ranks.mean(axis=0)
    order = np.argsort(mean, kind="stable")
    p_value = math.nan
    if n_sets > 1 and n_models > 2 and np.ptp(mean) > 0:
        p_value = float(stats.friedmanchisquare(*scores.T).pvalue)
    elif n_sets > 1 and n_models > 2:
        p_value = 1.0
    critical = math.nan
    if n_models > 1:
        q = float(stats.studentized_range.ppf(1 - LEVEL, n_models, np.inf)) / math.sqrt(2)
        critical = q * math.sqrt(n_models * (n_models + 1) / (6 * n_sets))
    return Ranks(tuple(names[place] for place in order), mean[order], n_sets, p_value, critical)


def ranks_text(ranks: Ranks, title: str) -> str:
    """Return the ranks in words; `title` is the metric's."""
    listed = ", ".join(f"{name} {mean:.2f}" for name, mean in zip(ranks.names, ranks.mean, strict=True))
    text = f"Mean ranks by test {title} over {ranks.n_sets} data sets: {listed}."
    if math.isnan(ranks.p_value):
        return f"{text} Friedman's test takes three models and two data sets, or more."
    text += (
        f" Friedman's test: p = {ranks.p_value:.3g}. Critical difference (Nemenyi, {LEVEL:g}, corrected for all pairs):"
        f" {ranks.critical_difference:.2f} ranks."
    )
    if not ranks.can_tell:
        text += (
            f" So few data sets cannot tell any two of {len(ranks.names)} models apart: ranks differ by"
            f" {len(ranks.names) - 1} at most."
        )
    return text
