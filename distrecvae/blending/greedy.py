"""The choice of weights: greedy selection with replacement, cross-fitted over folds of the validation users.

Caruana, Niculescu-Mizil, Crew, Ksikes, "Ensemble Selection from Libraries of Models" (ICML 2004): from the best model
on, the one is added whose addition helps most, any of them again and again; how often a model was added is its weight.
Here `STEPS` additions are made, then single steps are moved from one member to another while that helps. A blend of few
members in twentieths has too few degrees of freedom to learn some hundred users by heart, and how much of its gain is
luck is measured: the whole choice, rule and all, is made again without each fold, and judged by the fold's users.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from distrecvae.blending.pool import Pool

STEPS = 20
"""Additions: weights are multiples of a twentieth, in units of a candidate's deviation."""
FOLDS = 5
"""Parts of the validation users, each judged by weights that were chosen on the others."""

Counts = tuple[int, ...]
"""How often each candidate was added."""
Users = npt.NDArray[np.bool_]
Allowed = Callable[[Sequence[int]], bool]
"""Whether a blend may have these candidates."""


@dataclass(eq=False)
class Judge:
    """Each user's metric under any blend of a pool, computed once.

    Attributes:
        pool: the candidates' scores.
        metric: what is maximised.
    """

    pool: Pool
    metric: str
    _known: dict[Counts, npt.NDArray[np.float64]] = field(default_factory=dict)

    def weights(self, counts: Counts) -> tuple[float, ...]:
        """Return the weights of candidates that were added so often, on the simplex.

        A candidate is added by as much as makes its scores deviate as any other's: log-probabilities of models may have
        tenfold deviations, and then twentieths of weight would be too coarse for some and too fine for others.
        """
        units = np.where(self.pool.deviations > 0, self.pool.deviations, 1.0)
        shares = np.asarray(counts) / units
        return tuple((shares / shares.sum()).tolist())

    def per_user(self, counts: Counts) -> npt.NDArray[np.float64]:
        """Return the metric of each user: float64, (n_users,)."""
        divisor = int(np.gcd.reduce(counts))
        reduced = tuple(count // divisor for count in counts)
        if reduced not in self._known:
            self._known[reduced] = self.pool.per_user(self.weights(reduced), self.metric)
        return self._known[reduced]

    def mean(self, counts: Counts, users: Users) -> float:
        """Return the mean over some users."""
        return float(self.per_user(counts)[users].mean())


@dataclass(frozen=True)
class Chosen:
    """A choice of rule and weights.

    Attributes:
        rule: by which scores are made comparable.
        counts: how often each candidate was added.
        weights: of the candidates, on the simplex.
        score: the mean over the users that it was chosen on.
    """

    rule: str
    counts: Counts
    weights: tuple[float, ...]
    score: float


def everything(_members: Sequence[int]) -> bool:
    """Allow every blend."""
    return True


def best_single(judge: Judge, users: Users, allowed: Allowed = everything) -> Counts | None:
    """Return the best single candidate on some users, the first of equals; None where none is allowed."""
    able = [_one(judge, place) for place in range(judge.pool.n_candidates) if allowed([place])]
    return max(able, key=lambda counts: judge.mean(counts, users), default=None)


def greedy(
    judge: Judge, users: Users, *, most_members: int, allowed: Allowed = everything, steps: int = STEPS
) -> Counts | None:
    """Return the counts of the best blend that greedy selection meets on some users; None where nothing is allowed.

    Args:
        judge: the candidates.
        users: bool, (n_users,), on whom.
        most_members: of the blend.
        allowed: which candidates may be together; if some are, so are fewer of them.
        steps: additions.
    """
    start = best_single(judge, users, allowed)
    if start is None:
        return None
    counts = best = start

    def fits(further: Counts) -> bool:
        members = [place for place, count in enumerate(further) if count]
        return len(members) <= most_members and allowed(members)

    for _ in range(steps - 1):
        able = [further for place in range(len(counts)) if fits(further := _added(counts, place, 1))]
        counts = max(able, key=lambda further: judge.mean(further, users))
        if judge.mean(counts, users) > judge.mean(best, users):
            best = counts
    for begun in (counts, _scaled(best, steps)):
        ended = _exchanged(judge, users, begun, fits)
        if judge.mean(ended, users) > judge.mean(best, users):
            best = ended
    return best


def _exchanged(judge: Judge, users: Users, counts: Counts, fits: Callable[[Counts], bool]) -> Counts:
    """Return the counts after steps were moved from one candidate to another as long as that helped."""
    while True:
        moved = [
            _added(_added(counts, giver, -1), taker, 1)
            for giver, given in enumerate(counts)
            if given
            for taker in range(len(counts))
            if taker != giver
        ]
        able = [further for further in moved if fits(further)]
        better = max(able, key=lambda further: judge.mean(further, users), default=counts)
        if judge.mean(better, users) <= judge.mean(counts, users):
            return counts
        counts = better


def choose(
    judges: Mapping[str, Judge], users: Users, *, most_members: int, allowed: Allowed = everything
) -> Chosen | None:
    """Return the best rule with its weights on some users, the first of equals; None where nothing is allowed."""
    found = []
    for rule, judge in judges.items():
        counts = greedy(judge, users, most_members=most_members, allowed=allowed)
        if counts is None:
            return None
        found.append(Chosen(rule, counts, judge.weights(counts), judge.mean(counts, users)))
    return max(found, key=lambda chosen: chosen.score)


@dataclass(frozen=True)
class Fold:
    """What was chosen without a fold.

    Attributes:
        users: bool, (n_users,), the fold: those who had no part in the choice.
        chosen: the blend.
        single: the best single candidate.
    """

    users: Users
    chosen: Chosen
    single: Counts


def cross_fitted(
    judges: Mapping[str, Judge], *, most_members: int, allowed: Allowed = everything, folds: int = FOLDS
) -> list[Fold]:
    """Return what the same method chooses without each fold of the users; none where there are too few users for folds.

    Fold f has every user whose position leaves f when divided by `folds`: users of a split come in no order.
    """
    judge = next(iter(judges.values()))
    positions = np.arange(judge.pool.n_users)
    if positions.size < 2 * folds:
        return []
    found = []
    for fold in range(folds):
        left_out = positions % folds == fold
        chosen = choose(judges, ~left_out, most_members=most_members, allowed=allowed)
        single = best_single(judge, ~left_out, allowed)
        assert chosen is not None and single is not None, "a candidate is allowed, or none was asked for"  # noqa: S101, PT018
        found.append(Fold(left_out, chosen, single))
    return found


def _one(judge: Judge, place: int) -> Counts:
    return tuple(int(each == place) for each in range(judge.pool.n_candidates))


def _added(counts: Counts, place: int, change: int) -> Counts:
    return tuple(count + change if each == place else count for each, count in enumerate(counts))


def _scaled(counts: Counts, total: int) -> Counts:
    """Return counts in about the same proportions that sum to `total`: each rounded down, the rest to the largest."""
    scaled = [count * total // sum(counts) for count in counts]
    scaled[int(np.argmax(counts))] += total - sum(scaled)
    return tuple(scaled)
