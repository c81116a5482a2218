"""Compares two models over the same users: what one gains, the error of that, and how likely chance gives as much."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

from distrecvae.metrics import Float64Array


@dataclass(frozen=True)
class Gain:
    """What a model's users gain over another's, user by user.

    Attributes:
        mean: mean of the differences; not a number where there are no users.
        standard_error: of that mean; 0 of a single user, who tells nothing of others.
        p_value: two-sided, of a paired t-test; 1 of fewer than two users, and where no user gains or loses anything.
    """

    mean: float
    standard_error: float
    p_value: float


def paired_gain(best: Float64Array, other: Float64Array) -> Gain:
    """Return what `best` gains over `other`; both are a metric of the same users, float64, (n_users,).

    A value that is not a number makes all three not a number.
    """
    from scipy import stats  # it takes most of a second to import, and searches begin without it

    difference = best - other
    if difference.size < 2:
        return Gain(float(difference[0]) if difference.size else float("nan"), 0.0, 1.0)
    mean, error = float(difference.mean()), float(stats.sem(difference))
    if error == 0.0:
        return Gain(mean, 0.0, 1.0 if mean == 0.0 else 0.0)
    with warnings.catch_warnings():
        # All users gain the same but for rounding: SciPy finds the variance too small to be believed, p is about 0.
        warnings.simplefilter("ignore", RuntimeWarning)
        return Gain(mean, error, float(stats.ttest_rel(best, other).pvalue))
