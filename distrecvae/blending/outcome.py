"""What a chosen blend is worth: test users, who are scored here and once, and what each member adds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from distrecvae.blending.choice import Choice
from distrecvae.blending.mixtures import Told, evaluate_mixtures
from distrecvae.data.dataset import HeldOutUsers
from distrecvae.evaluation import Evaluation
from distrecvae.paired import Gain, paired_gain


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A blend and its members on the test users.

    Attributes:
        choice: the blend, frozen before any test user was looked at.
        test: of the blend.
        members: of each member alone.
        without: of the blend without each member, the other weights in proportion; empty of a blend of one.
        single: of the candidate that validation users choose alone.
    """

    choice: Choice
    test: Evaluation
    members: tuple[Evaluation, ...]
    without: tuple[Evaluation, ...]
    single: Evaluation

    def gain_over_single(self) -> Gain:
        """Return what the blend gains on test users over the candidate that validation users choose alone."""
        return self._gain(self.test, self.single)

    def gains_over_members(self) -> list[Gain]:
        """Return what the blend gains on test users over each member alone."""
        return [self._gain(self.test, each) for each in self.members]

    def worths(self) -> list[Gain]:
        """Return what each member is worth on test users: what the blend gains by having it."""
        return [self._gain(self.test, each) for each in self.without]

    def gain_on_validation(self) -> Gain | None:
        """Return what the method gains over the best single candidate, both cross-fitted; None where neither was."""
        ours, single = self.choice.cross_fitted, self.choice.single_cross_fitted
        return None if ours is None or single is None else self._gain(ours, single)

    def _gain(self, ours: Evaluation, other: Evaluation) -> Gain:
        metric = self.choice.wish.metric
        return paired_gain(ours.per_user[metric], other.per_user[metric])


def score(choice: Choice, users: HeldOutUsers, told: Told = lambda _done, _all: None) -> Outcome:
    """Return what the blend, its members and its parts score on test users, each user scored once by each model.

    Args:
        choice: the blend.
        users: test users.
        told: of the users that are done.
    """
    members = list(choice.members)
    models = [each.recommender for each in (*members, choice.single)]
    n_members = len(members)
    alone = [_one(place, len(models)) for place in range(len(models))]
    without = [_without(choice.weights, place) for place in range(n_members)] if n_members > 1 else []
    weightings = [[*choice.weights, 0.0], *alone, *([*weights, 0.0] for weights in without)]
    scored = evaluate_mixtures(models, choice.rule, weightings, users, choice.wish.scoring, told)
    return Outcome(
        choice=choice,
        test=scored[0],
        members=tuple(scored[1 : 1 + n_members]),
        without=tuple(scored[2 + n_members :]),
        single=scored[1 + n_members],
    )


def _one(place: int, n: int) -> list[float]:
    return [float(each == place) for each in range(n)]


def _without(weights: Sequence[float], place: int) -> list[float]:
    left = 1 - weights[place]
    return [0.0 if each == place else weight / left for each, weight in enumerate(weights)]
