"""The choice of weights: against brute force, within what is allowed, and honest about luck."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from distrecvae.blending.greedy import (
    FOLDS,
    STEPS,
    Judge,
    best_single,
    choose,
    cross_fitted,
    greedy,
)
from distrecvae.blending.pool import Pool, make_pool
from tests.blending.models import split, trained

METRIC = "ndcg_100"


@cache
def judge(*names: str, rule: str = "standardized") -> Judge:
    models = [trained(name).recommender for name in names]
    return Judge(make_pool(models, rule, split().valid), METRIC)


def everyone(n: int = 200) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.ones(n, dtype=np.bool_)


@pytest.mark.parametrize("names", [("ease", "recvae"), ("recvae", "popularity"), ("popularity", "ease")])
def test_two_members_get_the_best_weights_that_brute_force_finds(names: tuple[str, str]) -> None:
    judged = judge(*names)
    brute = max(
        float(judged.pool.per_user([k / STEPS, 1 - k / STEPS], METRIC).mean()) for k in range(STEPS + 1)
    )
    found = greedy(judged, everyone(), most_members=2)
    assert found is not None
    # Greedy meets other proportions on its way, too (1 to 2, say), so it may be better than the grid; never worse.
    assert judged.mean(found, everyone()) >= brute - 1e-12


def test_a_blend_is_at_least_as_good_on_its_users_as_the_best_single_one() -> None:
    judged = judge("popularity", "ease", "recvae", "ease-loose")
    found, single = greedy(judged, everyone(), most_members=4), best_single(judged, everyone())
    assert found is not None
    assert single is not None
    assert judged.mean(found, everyone()) > judged.mean(single, everyone())


def test_the_best_single_one_is_the_best_alone() -> None:
    judged = judge("popularity", "ease", "recvae")
    alone = [judged.mean(tuple(int(place == each) for each in range(3)), everyone()) for place in range(3)]
    found = best_single(judged, everyone())
    assert found is not None
    assert found.index(1) == int(np.argmax(alone))


@pytest.mark.parametrize("most", [1, 2, 3])
def test_it_has_no_more_members_than_asked_for(most: int) -> None:
    found = greedy(judge("popularity", "ease", "recvae", "ease-loose"), everyone(), most_members=most)
    assert found is not None
    assert sum(count > 0 for count in found) <= most


def test_what_is_not_allowed_is_not_taken() -> None:
    judged = judge("ease", "recvae", "popularity")

    def not_both(members: Sequence[int]) -> bool:
        return not {0, 1} <= set(members)

    found = greedy(judged, everyone(), most_members=3, allowed=not_both)
    assert found is not None
    assert not (found[0] and found[1])
    assert greedy(judged, everyone(), most_members=3, allowed=lambda _members: False) is None
    assert best_single(judged, everyone(), lambda _members: False) is None
    assert (
        choose({"standardized": judged}, everyone(), most_members=3, allowed=lambda _members: False) is None
    )


def test_only_the_given_users_choose() -> None:
    # Half of the users are served by the one model alone, half by the other: each half chooses its own.
    wanted = np.zeros((40, 2), dtype=np.bool_)
    wanted[:20, 0] = wanted[20:, 1] = True
    scores = np.zeros((2, 40, 2), dtype=np.float32)
    scores[0, :, 0] = scores[1, :, 1] = 1
    judged = Judge(Pool(scores, wanted, np.ones(40, dtype=np.int64), np.ones(2)), METRIC)
    first = np.arange(40) < 20
    assert greedy(judged, first, most_members=2) == (1, 0)
    assert greedy(judged, ~first, most_members=2) == (0, 1)


def test_the_best_rule_is_chosen() -> None:
    judges = {rule: judge("ease", "recvae", rule=rule) for rule in ("standardized", "log-softmax", "ranks")}
    found = choose(judges, everyone(), most_members=2)
    assert found is not None
    each = {
        rule: judged.mean(greedy(judged, everyone(), most_members=2) or (), everyone())
        for rule, judged in judges.items()
    }
    assert found.score == max(each.values()) == each[found.rule]
    assert sum(found.weights) == pytest.approx(1)


def test_weights_are_the_counts_on_the_simplex_where_scores_deviate_alike() -> None:
    assert judge("ease", "recvae", "popularity").weights((17, 0, 3)) == pytest.approx(
        (0.85, 0.0, 0.15), abs=1e-5
    )


def test_a_model_whose_scores_deviate_tenfold_is_added_by_a_tenth() -> None:
    pool = judge("ease", "recvae").pool
    scores = pool.scores * np.array([1, 10], dtype=np.float32)[:, None, None]
    scaled = Judge(replace(pool, scores=scores, deviations=pool.deviations * [1, 10]), METRIC)
    assert scaled.weights((1, 1)) == pytest.approx((10 / 11, 1 / 11), rel=1e-4)
    np.testing.assert_allclose(scaled.per_user((3, 2)), judge("ease", "recvae").per_user((3, 2)), atol=1e-12)


def test_proportions_are_judged_once() -> None:
    judged = judge("ease", "recvae")
    assert judged.per_user((2, 4)) is judged.per_user((1, 2))
    assert judged.per_user((3, 0)) is judged.per_user((1, 0))


class TestCrossFitting:
    def test_each_user_is_left_out_once_and_chooses_in_all_other_folds(self) -> None:
        judges = {"standardized": judge("ease", "recvae", "popularity")}
        folds = cross_fitted(judges, most_members=3)
        assert len(folds) == FOLDS
        assert (np.sum([fold.users for fold in folds], axis=0) == 1).all()
        for fold in folds:
            again = choose(judges, ~fold.users, most_members=3)
            assert again == fold.chosen
            assert fold.single == best_single(judges["standardized"], ~fold.users)

    def test_too_few_users_are_not_folded(self) -> None:
        pool = Pool(
            np.zeros((1, 9, 3), dtype=np.float32),
            np.ones((9, 3), dtype=np.bool_),
            np.ones(9, dtype=np.int64),
            np.ones(1),
        )
        assert cross_fitted({"ranks": Judge(pool, METRIC)}, most_members=1) == []

    def test_it_tells_luck_from_gain(self) -> None:
        # Thirty candidates that score at random: some blend of them fits the users who choose, and is worth nothing.
        random = np.random.default_rng(0)
        scores = random.normal(size=(30, 100, 60)).astype(np.float32)
        wanted = random.random((100, 60)) < 0.1
        wanted[:, 0] |= ~wanted.any(axis=1)
        judged = Judge(Pool(scores, wanted, wanted.sum(axis=1), np.ones(30)), "recall_20")
        folds = cross_fitted({"ranks": judged}, most_members=5)
        chosen = choose({"ranks": judged}, everyone(100), most_members=5)
        assert chosen is not None
        honest = np.mean([judged.per_user(fold.chosen.counts)[fold.users].mean() for fold in folds])
        by_chance = float(
            np.mean([judged.pool.per_user(row.tolist(), "recall_20").mean() for row in np.eye(30)])
        )
        # The error of a mean over 100 users is about 0.02 here; the choice itself looks three of them better.
        assert chosen.score > by_chance + 0.06
        assert abs(honest - by_chance) < 0.04
