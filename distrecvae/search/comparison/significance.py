"""Tests whether one model beats another: paired tests over the same users, corrected for their number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from distrecvae.metrics import Float64Array
from distrecvae.paired import Gain, paired_gain

LEVEL = 0.05
"""Chance of calling any difference of a table real where none is."""


@dataclass(frozen=True)
class Difference(Gain):
    """What a model's users gain over another's, one comparison of several.

    Attributes:
        adjusted: the p-value after Holm's correction for all comparisons made with it; at most 1.
    """

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
    found = {name: paired_gain(best, values) for name, values in others.items()}
    adjusted = holm([gain.p_value for gain in found.values()])
    return {
        name: Difference(gain.mean, gain.standard_error, gain.p_value, corrected)
        for (name, gain), corrected in zip(found.items(), adjusted, strict=True)
    }


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values, in the order given: reject where one is below the level."""
    adjusted = [1.0] * len(p_values)
    running = 0.0
    for rank, position in enumerate(np.argsort(p_values, kind="stable")):
        running = max(running, (len(p_values) - rank) * p_values[position])
        adjusted[int(position)] = min(1.0, running)
    return adjusted
