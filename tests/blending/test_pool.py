"""The pool: where it holds all that matters its metrics are the real ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from distrecvae.blending import pool
from distrecvae.blending.mixtures import evaluate_mixtures
from distrecvae.blending.pool import make_pool
from distrecvae.kernels.comparable import RULES
from distrecvae.metrics import METRICS
from tests.blending.models import split, trained

NAMES = ("ease", "recvae", "popularity")


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("weights", [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.45, 0.35, 0.2)])
def test_a_pool_of_all_items_gives_the_metrics(metric: str, weights: tuple[float, ...]) -> None:
    models = [trained(name).recommender for name in NAMES]
    made = make_pool(models, "standardized", split().valid)
    assert (made.n_candidates, made.n_users) == (3, 200)
    (truth,) = evaluate_mixtures(models, "standardized", [weights], split().valid)
    # No two scores of these are equal: the pool does not say which of equal ones is first.
    np.testing.assert_allclose(made.per_user(weights, metric), truth.per_user[metric], atol=1e-12)


def test_a_pool_of_few_ranks_gives_the_metrics_of_blends_that_rank_no_deeper(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    models = [trained(name).recommender for name in NAMES]
    monkeypatch.setattr(pool, "POOL_RANKS", 40)
    made = make_pool(models, "standardized", split().valid)
    assert made.scores.shape[2] < split().n_items
    assert np.isneginf(made.scores[:, ~np.isfinite(made.scores).all(axis=0)]).all()
    (truth,) = evaluate_mixtures(models, "standardized", [(0.6, 0.4, 0.0)], split().valid)
    found = made.per_user((0.6, 0.4, 0.0), "recall_20")  # an item among 20 is among a member's 40
    np.testing.assert_allclose(found, truth.per_user["recall_20"], atol=1e-12)


def test_what_users_have_and_what_fills_the_pool_up_is_never_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "POOL_RANKS", 10)
    made = make_pool([trained(name).recommender for name in NAMES], "standardized", split().valid)
    assert not made.wanted[np.isneginf(made.scores[0])].any()
    assert made.wanted.any()
    assert (made.n_held_out == split().valid.held_out.counts()).all()


def test_no_more_users_than_are_needed_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "MOST_USERS", 70)
    made = make_pool([trained("popularity").recommender], "ranks", split().valid)
    assert made.n_users == 70


def test_deviations_are_of_all_unseen_items() -> None:
    models = [trained(name).recommender for name in NAMES]
    for rule, least, most in (("standardized", 0.999, 1.001), ("log-softmax", 0.0, 100.0)):
        made = make_pool(models, rule, split().valid)
        assert ((made.deviations > least) & (made.deviations < most)).all()
    scores = RULES["log-softmax"](
        models[0].score(split().valid.fold_in), torch.zeros(200, 120, dtype=torch.bool)
    )
    seen = split().valid.fold_in.to_scipy().toarray() > 0
    expected = np.mean([row[~has].std() for row, has in zip(scores.double().numpy(), seen, strict=True)])
    assert made.deviations[0] == pytest.approx(expected, rel=1e-4)  # a shift a user changes no deviation
