"""Corrects the score of a model that was chosen because it had the best one: the best of many is partly lucky.

The best of the scores lie about as those of a normal distribution do: its mean and deviation are those of the line
through them in a normal probability plot (Blom, "Statistical Estimates and Transformed Beta-Variables", 1958). A score
is a true one and the luck of the users that it was measured on; given the distribution, the true one is expected nearer
to the mean, by the share of luck in the variance (Efron, "Tweedie's Formula and Selection Bias", JASA 2011: such
an estimate needs no correction for the choice). Only luck that models do not share counts: users who are hard are hard
for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist, linear_regression

from distrecvae.metrics import Float64Array

TOP_SHARE = 0.4
"""The share of the scores that the distribution is fitted to: the others were stopped early, or went wrong. With the
better half a search expects too much of further trials, with a third too little (benchmarks/results,
2026-11-26-enough)."""
FEWEST = 6
"""Scores below which there is no telling how they lie."""
_NORMAL = NormalDist()


@dataclass(frozen=True, kw_only=True)
class ExpectedScore:
    """What a chosen model's score can be expected to be over users who did not choose it.

    Attributes:
        mean: the expected score.
        standard_error: of it.
        luck: the standard deviation of what users' luck gives one model and not another.
        models: how many models' users were compared to know that.
        chosen_from: how many scores the best was chosen from.
    """

    mean: float
    standard_error: float
    luck: float
    models: int
    chosen_from: int


def expected_of_chosen(
    scores: Sequence[float], per_user: Sequence[Float64Array], score: float, standard_error: float
) -> ExpectedScore | None:
    """Return what to expect of the model with the best score; None where too few scores or models tell.

    Args:
        scores: of all models that it was chosen from, its own among them.
        per_user: a metric of the same users under some of the best models, each float64, (n_users,).
        score: the chosen one's.
        standard_error: of that score, over its users.
    """
    if len(scores) < FEWEST or len(per_user) < 2 or per_user[0].size < 2:
        return None
    n_users = per_user[0].size
    pairs = [float((one - other).var(ddof=1)) for one, other in combinations(per_user, 2)]
    luck = sum(pairs) / len(pairs) / 2 / n_users  # as a variance: a difference has that of two models
    mean, deviation = fitted(scores)
    variance = max(deviation**2, luck)
    share = luck / variance if variance else 0.0
    left = standard_error**2 - luck * share  # what is known of the luck is no error any more
    return ExpectedScore(
        mean=score - share * max(0.0, score - mean),
        standard_error=math.sqrt(max(0.0, left)),
        luck=math.sqrt(luck),
        models=len(per_user),
        chosen_from=len(scores),
    )


def fitted(scores: Sequence[float]) -> tuple[float, float]:
    """Return mean and standard deviation of the normal distribution whose best draws the best scores are."""
    n = len(scores)
    top = sorted(scores, reverse=True)[: max(3, math.ceil(TOP_SHARE * n))]
    places = [_NORMAL.inv_cdf(1 - (rank - 0.375) / (n + 0.25)) for rank in range(1, len(top) + 1)]
    deviation, mean = linear_regression(places, top)
    return mean, max(0.0, deviation)
