"""What a blend is worth: test users scored once, paired with each member and with the blend without it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from distrecvae.blending.choice import Wish, choose_blend
from distrecvae.blending.outcome import Outcome, score
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.evaluation import evaluate
from distrecvae.paired import paired_gain
from distrecvae.saved.blend import Blend
from tests.blending.models import split, trained

METRIC = "ndcg_100"


@cache
def scored(*names: str) -> Outcome:
    """Return the outcome of a blend of these candidates."""
    choice = choose_blend([trained(name) for name in names], split().valid, Wish(rule="standardized"))
    return score(choice, split().test)


def test_test_scores_are_those_of_the_models() -> None:
    found = scored("ease", "recvae", "popularity")
    choice = found.choice
    np.testing.assert_array_equal(
        found.test.per_user[METRIC], evaluate(choice.blend, split().test).per_user[METRIC]
    )
    for member, test in zip(choice.members, found.members, strict=True):
        alone = evaluate(member.recommender, split().test).mean(METRIC)
        # Standardizing rounds: two of a user's scores may become equal and be ranked by position.
        assert test.mean(METRIC) == pytest.approx(alone, abs=1e-3)
    assert found.single.mean(METRIC) == pytest.approx(
        evaluate(choice.single.recommender, split().test).mean(METRIC), abs=1e-3
    )


def test_gains_are_paired_over_the_same_users() -> None:
    found = scored("ease", "recvae", "popularity")
    blend = found.test.per_user[METRIC]
    for gain, member in zip(found.gains_over_members(), found.members, strict=True):
        assert gain == paired_gain(blend, member.per_user[METRIC])
    assert found.gain_over_single() == paired_gain(blend, found.single.per_user[METRIC])
    choice = found.choice
    assert choice.cross_fitted is not None
    assert choice.single_cross_fitted is not None
    assert found.gain_on_validation() == paired_gain(
        choice.cross_fitted.per_user[METRIC], choice.single_cross_fitted.per_user[METRIC]
    )


def test_a_members_worth_is_what_the_blend_loses_without_it() -> None:
    found = scored("ease", "recvae", "popularity")
    choice = found.choice
    assert len(found.worths()) == len(choice.members) >= 2
    for place, worth in enumerate(found.worths()):
        kept = [
            (weight, member.recommender)
            for each, (weight, member) in enumerate(zip(choice.weights, choice.members, strict=True))
            if each != place
        ]
        rest = sum(weight for weight, _ in kept)
        without = Blend(choice.rule, [weight / rest for weight, _ in kept], [model for _, model in kept])
        expected = found.test.mean(METRIC) - evaluate(without, split().test).mean(METRIC)
        assert worth.mean == pytest.approx(expected, abs=1e-9)


def test_a_blend_of_one_has_no_worths() -> None:
    found = scored("popularity")
    assert (found.without, found.worths()) == ((), [])
    assert found.gain_over_single().mean == 0


def test_each_model_scores_each_test_user_once() -> None:
    asked: list[int] = []

    class Counted:
        n_items = split().n_items

        def score(self, fold_in: InteractionMatrix) -> torch.Tensor:
            asked.append(fold_in.n_users)
            return trained("ease").recommender.score(fold_in)

    choice = choose_blend([trained("ease"), trained("popularity")], split().valid, Wish(rule="ranks"))
    members = tuple(replace(each, recommender=Counted()) for each in choice.members)
    score(replace(choice, members=members), split().test)
    assert sum(asked) == len(members) * split().test.n_users
