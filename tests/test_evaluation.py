"""Evaluation: what is masked, who is skipped, how ties fall, and that batches do not matter."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distrecvae.data.dataset import HeldOutUsers
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import DataError, DivergedError
from distrecvae.evaluation import Evaluation, evaluate, rank
from distrecvae.metrics import METRICS, ndcg, recall
from tests.golden import metrics as golden_metrics


class Fixed:
    """Scores users by a table; the first user of a batch is found by a running position."""

    def __init__(self, table: npt.NDArray[np.floating]) -> None:
        self.table = torch.from_numpy(np.asarray(table, dtype=np.float32))
        self.next = 0

    @property
    def n_items(self) -> int:
        return self.table.shape[1]

    def score(self, fold_in: InteractionMatrix) -> torch.Tensor:
        self.next += fold_in.n_users
        return self.table[self.next - fold_in.n_users : self.next].clone()


def matrix(rows: list[list[int]], n_items: int) -> InteractionMatrix:
    users = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    return InteractionMatrix.from_pairs(
        users,
        np.concatenate([np.asarray(row, dtype=np.int64) for row in rows]),
        n_users=len(rows),
        n_items=n_items,
    )


def random_users(seed: int, n_users: int = 30, n_items: int = 160) -> HeldOutUsers:
    generator = np.random.default_rng(seed)
    role = generator.choice(3, size=(n_users, n_items), p=[0.8, 0.15, 0.05])
    role[:, :2] = [1, 2]
    parts = [
        InteractionMatrix.from_pairs(*np.nonzero(role == r), n_users=n_users, n_items=n_items) for r in (1, 2)
    ]
    return HeldOutUsers(*parts)


def dense_evaluation(
    scores: npt.NDArray[np.floating], users: HeldOutUsers
) -> dict[str, npt.NDArray[np.float64]]:
    """Return the metrics computed the obvious way: dense masks and a full sort."""
    fold_in, held_out = (m.to_scipy().toarray() > 0 for m in (users.fold_in, users.held_out))
    order = np.argsort(-np.where(fold_in, -np.inf, scores), axis=1, kind="stable")
    hits = np.take_along_axis(held_out, order, axis=1)
    n_held_out = held_out.sum(axis=1)
    return {
        "ndcg_100": ndcg(hits, n_held_out, 100),
        "recall_20": recall(hits, n_held_out, 20),
        "recall_50": recall(hits, n_held_out, 50),
    }


@pytest.mark.parametrize("batch_size", [1, 7, 30, 500])
def test_it_equals_the_dense_computation_whatever_the_batches(batch_size: int) -> None:
    users = random_users(1)
    scores = np.random.default_rng(2).normal(size=(30, 160)).astype(np.float32)
    found = evaluate(Fixed(scores), users, batch_size=batch_size)
    expected = dense_evaluation(scores, users)
    assert list(found.per_user) == list(METRICS) == list(expected)
    for name in METRICS:
        np.testing.assert_allclose(found.per_user[name], expected[name], atol=1e-12)
    assert (found.n_evaluated, found.n_skipped) == (30, 0)


def test_the_published_values_come_out_of_the_whole_path() -> None:
    golden = golden_metrics().arrays
    n_users, n_items = map(int, golden["shape"])
    held_out = InteractionMatrix.checked(
        golden["heldout_indptr"].astype(np.int64), golden["heldout_indices"].astype(np.int32), n_items
    )
    # The published scores come without fold-in items: one more item, which nobody gets, is folded in.
    shown = InteractionMatrix.from_pairs(
        range(n_users), [n_items] * n_users, n_users=n_users, n_items=n_items + 1
    )
    wider = InteractionMatrix(held_out.indptr, held_out.indices, n_items + 1)
    scores = np.column_stack([golden["scores"], np.full(n_users, 9.0)])
    found = evaluate(Fixed(scores), HeldOutUsers(shown, wider), batch_size=17)
    for name, key in (("ndcg_100", "ndcg@100"), ("recall_20", "recall@20"), ("recall_50", "recall@50")):
        np.testing.assert_allclose(found.per_user[name], golden[key], atol=1e-6)


def test_what_was_shown_is_never_recommended() -> None:
    # The model gives everything to the fold-in items: without the mask the held-out item would be at rank 4.
    users = HeldOutUsers(matrix([[0, 1, 2]], 10), matrix([[3]], 10))
    scores = np.array([[9, 8, 7, 6, 1, 1, 1, 1, 1, 1]])
    assert evaluate(Fixed(scores), users).mean("ndcg_100") == 1


def test_users_without_a_question_or_an_answer_are_left_out_and_counted() -> None:
    users = HeldOutUsers(matrix([[0], [], [1], [2]], 5), matrix([[1], [2], [], [3]], 5))
    found = evaluate(Fixed(np.array([[0, 9, 0, 0, 0], [0, 0, 0, 9, 0]])), users)
    assert found.users.tolist() == [0, 3]
    assert found.n_skipped == 2
    assert found.means() == dict.fromkeys(METRICS, 1.0)


def test_nobody_to_evaluate_is_zero_not_nan() -> None:
    users = HeldOutUsers(matrix([[], [1]], 4), matrix([[1], []], 4))
    found = evaluate(Fixed(np.zeros((0, 4))), users)
    assert found.summary() == {
        "mean": dict.fromkeys(METRICS, 0.0),
        "standard_error": dict.fromkeys(METRICS, 0.0),
        "n_evaluated": 0,
        "n_skipped": 2,
    }


def test_standard_error_is_the_deviation_over_the_root_of_the_count() -> None:
    values = np.array([0.0, 0.5, 1.0, 0.5])
    found = Evaluation({"ndcg_100": values}, np.arange(4), 0)
    assert found.standard_error("ndcg_100") == pytest.approx(values.std() / 2)


@given(seed=st.integers(0, 10_000), k=st.integers(1, 12), levels=st.integers(1, 4))
def test_ties_fall_by_item_position(seed: int, k: int, levels: int) -> None:
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, levels, size=(5, 12)).astype(np.float32)
    fold_in = InteractionMatrix.from_pairs(range(5), generator.integers(0, 12, 5), n_users=5, n_items=12)
    masked = scores.copy()
    masked[np.arange(5), fold_in.indices] = -np.inf
    expected = np.argsort(-masked, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(rank(torch.from_numpy(scores), fold_in, k), expected)


def test_fewer_items_than_ranks_are_all_ranked() -> None:
    users = HeldOutUsers(matrix([[0]], 3), matrix([[2]], 3))
    assert evaluate(Fixed(np.array([[0.0, 2.0, 1.0]])), users).mean("ndcg_100") == pytest.approx(
        1 / math.log2(3)
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_is_divergence(bad: float) -> None:
    users = HeldOutUsers(matrix([[0]], 3), matrix([[2]], 3))
    with pytest.raises(DivergedError, match="not finite"):
        evaluate(Fixed(np.array([[0.0, bad, 1.0]])), users)


def test_another_number_of_items_is_refused() -> None:
    users = HeldOutUsers(matrix([[0]], 3), matrix([[2]], 3))
    with pytest.raises(DataError, match="4 items and the users have 3"):
        evaluate(Fixed(np.zeros((1, 4))), users)
