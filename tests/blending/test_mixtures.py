"""Many blends at once: what each would score alone, user by user."""

from __future__ import annotations

import numpy as np
import pytest

from distrecvae.blending import mixtures
from distrecvae.blending.mixtures import comparable_batches, evaluate_mixtures, part_of, scorable
from distrecvae.data.dataset import HeldOutUsers
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.evaluation import evaluate
from distrecvae.metrics import METRICS
from distrecvae.saved.blend import Blend
from tests.blending.models import split, trained

WEIGHTINGS = [(1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.5, 0.3, 0.2), (0.7, 0.3, 0.0)]


@pytest.mark.parametrize("rule", ["standardized", "log-softmax", "ranks"])
def test_each_mixture_is_scored_as_the_blend_that_it_is(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixtures, "BATCH_USERS", 64)  # several batches, the last one smaller
    models = [trained(name).recommender for name in ("ease", "recvae", "popularity")]
    found = evaluate_mixtures(models, rule, WEIGHTINGS, split().valid)
    for weights, evaluation in zip(WEIGHTINGS, found, strict=True):
        kept = [(weight, model) for weight, model in zip(weights, models, strict=True) if weight]
        alone = evaluate(
            Blend(rule, [weight for weight, _ in kept], [model for _, model in kept]), split().valid
        )
        assert evaluation.users.tolist() == alone.users.tolist()
        for name in METRICS:
            np.testing.assert_array_equal(evaluation.per_user[name], alone.per_user[name])


def with_silent_users() -> HeldOutUsers:
    fold_in = InteractionMatrix.from_pairs([0, 2, 3], [1, 2, 3], n_users=4, n_items=split().n_items)
    held_out = InteractionMatrix.from_pairs([0, 1, 3], [5, 6, 7], n_users=4, n_items=split().n_items)
    return HeldOutUsers(fold_in, held_out)


def test_users_who_cannot_be_scored_are_left_out_and_counted() -> None:
    users = with_silent_users()
    assert scorable(users).tolist() == [0, 3]
    (found,) = evaluate_mixtures([trained("ease").recommender], "standardized", [[1.0]], users)
    assert (found.users.tolist(), found.n_skipped) == ([0, 3], 2)
    assert part_of(users, np.array([3, 0])).fold_in.row(0).tolist() == [3]


def test_nobody_gives_no_number() -> None:
    users = part_of(with_silent_users(), np.array([1]))
    (found,) = evaluate_mixtures([trained("ease").recommender], "standardized", [[1.0]], users)
    assert np.isnan(found.mean("ndcg_100"))


def test_it_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixtures, "BATCH_USERS", 150)
    told: list[tuple[int, int]] = []
    evaluate_mixtures(
        [trained("popularity").recommender],
        "ranks",
        [[1.0]],
        split().valid,
        told=lambda *done: told.append(done),
    )
    assert told == [(150, 200), (200, 200)]


def test_batches_have_every_member_and_every_user_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixtures, "BATCH_USERS", 80)
    models = [trained(name).recommender for name in ("ease", "popularity")]
    shapes = [tuple(scores.shape) for _, scores in comparable_batches(models, "standardized", split().valid)]
    assert shapes == [(2, 80, 120), (2, 80, 120), (2, 40, 120)]
