"""Compares two models over the same users: what one gains, how likely chance gives as much, what the users can tell."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

from distrecvae.metrics import Float64Array

CONFIDENCE = 0.95
"""Of an interval: of so many made like it, that share holds the true gain."""
POWER = 0.8
"""How likely so many users as `users_to_tell` says would show a gain that is there."""
MOST_USERS = 1_000_000
"""Beyond that a number of users says no more than that there are never enough."""


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


def interval(mean: float, error: float, n_users: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return between which values the true gain lies, by Student's t: (low, high).

    Args:
        mean: of the users' gains.
        error: its standard error.
        n_users: how many they are; of one, nothing can be said: the interval is without end.
        confidence: of intervals that are made like this one, the share that holds the true gain.
    """
    from scipy import special

    if n_users < 2:
        return -math.inf, math.inf
    reach = float(special.stdtrit(n_users - 1, (1 + confidence) / 2)) * error
    return mean - reach, mean + reach


def effect_size(mean: float, error: float, n_users: int) -> float:
    """Return Cohen's d of paired values, d_z: the mean gain in units of a user's gain's deviation (with n - 1).

    0.2 is called small, 0.8 large (Cohen, "Statistical Power Analysis", 1988, sections 2.2 and 2.3.5). It does not grow
    with the number of users, as t does. Not a number where nothing can be said: of fewer than two users, or where all
    gain the same.

    Args:
        mean: of the users' gains.
        error: its standard error.
        n_users: how many they are.
    """
    if n_users < 2 or not error > 0.0:
        return 0.0 if n_users >= 2 and mean == 0.0 else math.nan
    return mean / (error * math.sqrt(n_users))


def users_to_tell(mean: float, error: float, n_users: int, confidence: float = CONFIDENCE) -> float:
    """Return how many users would show a gain of this size, with a chance of `POWER`; infinite for no gain at all.

    The textbook's sample size of a paired test, by the normal distribution:
    (z_confidence + z_power)^2 * variance of a user's gain / gain^2.

    Args:
        mean: of the users' gains.
        error: its standard error.
        n_users: how many they are.
        confidence: of the interval that would have to leave out zero.
    """
    from scipy import special

    if mean == 0.0:
        return math.inf
    z = float(special.ndtri((1 + confidence) / 2) + special.ndtri(POWER))
    return n_users * (z * error / mean) ** 2


def what_users_tell(mean: float, error: float, n_users: int) -> str:
    """Return, in a sentence or two, what these test users can tell of a gain: how large it is, or how many it takes.

    That they cannot tell two models apart is no evidence that these are equally good.

    Args:
        mean: of the users' gains.
        error: its standard error.
        n_users: how many they are.
    """
    if n_users < 2:
        return "A single test user tells nothing of others."
    low, high = interval(mean, error, n_users)
    between = f"between {low:+.4f} and {high:+.4f} ({CONFIDENCE:.0%} interval)"
    if low > 0.0:
        return f"That is a gain beyond chance, {between}."
    if high < 0.0:
        return f"That is a loss beyond chance, {between}."
    cannot = f"These {n_users:,} test users cannot tell the two apart: the gain is {between}."
    if mean == 0.0:
        return cannot
    return f"{cannot} To show one as large as measured takes {users_in_words(users_to_tell(mean, error, n_users))}."


def users_in_words(number: float) -> str:
    """Return a number that `users_to_tell` gave, as people say it: to two digits, for it is known no better."""
    if number > MOST_USERS:
        return f"more than {MOST_USERS:,} users"
    unit = 10 ** max(0, math.floor(math.log10(max(1.0, number))) - 1)
    return f"about {math.ceil(number / unit) * unit:,} users"
