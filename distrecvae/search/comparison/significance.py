"""Owns the question whether one model beats another: paired tests over the same users, corrected for their number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from distrecvae.metrics import Float64Array

LEVEL = 0.05
"""Chance of calling any difference of a table real where none is."""


@dataclass(frozen=True)
class Difference:
    """What a model's users gain over another's, user by user.

    Attributes:
        mean: mean of the differences.
        standard_error: of that mean.
        p_value: two-sided, of a paired t-test.
        adjusted: the same after Holm's correction for all comparisons made with it; at most 1.
    """

    mean: float
    standard_error: float
    p_value: float
    adjusted: float

    @property
    def significant(self) -> bool:
        """Whether the difference is called real."""
        return self.adjusted < LEVEL


def differences(best: Float64Array, others: Mapping[str, Float64Array]) -> dict[str, Difference]:
    """Return what `best` gains over each of `others`, Holm-corrected for their number.

    The t-test is over some hundreds of users or more, where it agrees with the randomization test (Smucker, Allan,
    Carterette, CIKM 2007); the correction is Holm's (Scandinavian Journal of Statistics 6, 1979), which
    assumes nothing on how the comparisons depend on each other: all of them share the best model.

    Args:
        best: a metric of each user, float64, (n_users,).
        others: the same users' values under other models.
    """
    found = {name: _paired(best - values) for name, values in others.items()}
    adjusted = holm([p_value for _, _, p_value in found.values()])
    return {
        name: Difference(mean, error, p_value, corrected)
        for (name, (mean, error, p_value)), corrected in zip(found.items(), adjusted, strict=True)
    }


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values, in the order given: reject where one is below the level."""
    adjusted = [1.0] * len(p_values)
    running = 0.0
    for rank, position in enumerate(np.argsort(p_values, kind="stable")):
        running = max(running, (len(p_values) - rank) * p_values[position])
        adjusted[int(position)] = min(1.0, running)
    return adjusted


def _paired(difference: Float64Array) -> tuple[float, float, float]:
    """Return mean, standard error and p-value; equal values for every user are no difference."""
    if difference.size < 2:
        return float(difference.sum()), 0.0, 1.0
    mean, error = float(difference.mean()), float(difference.std(ddof=1) / np.sqrt(difference.size))
    if error == 0.0:
        return mean, 0.0, 1.0 if mean == 0.0 else 0.0
    return mean, error, float(2 * stats.t.sf(abs(mean) / error, difference.size - 1))
