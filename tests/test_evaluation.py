"""Evaluation: what is masked, who is skipped, how ties fall, and that batches do not matter."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distrecvae import evaluation
from distrecvae.data.dataset import HeldOutUsers
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import DataError, DivergedError
from distrecvae.evaluation import Evaluation, evaluate, rank, require_scorable
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


NOBODY = HeldOutUsers(matrix([[], [1]], 4), matrix([[1], []], 4))


def test_a_mean_over_nobody_is_no_number_and_never_zero() -> None:
    found = evaluate(Fixed(np.zeros((0, 4))), NOBODY)
    assert found.summary() == {
        "mean": dict.fromkeys(METRICS, None),
        "standard_error": dict.fromkeys(METRICS, None),
        "n_evaluated": 0,
        "n_skipped": 2,
    }
    assert all(math.isnan(mean) for mean in found.means().values())
    assert math.isnan(found.standard_error("ndcg_100"))


def test_users_of_whom_none_can_be_scored_choose_no_model() -> None:
    one = HeldOutUsers(matrix([[], [1]], 4), matrix([[1], [2]], 4))
    require_scorable(one, "validation")
    with pytest.raises(
        DataError, match="none of the 2 validation users has items to fold in and items to find"
    ):
        require_scorable(NOBODY, "validation")


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


# Scores on which a ranking goes wrong first: zeros of both signs are equal, the smallest numbers are not zero,
# and the greatest must stay below the infinities that mark cells.
HARD = np.array([0.0, -0.0, 1e-45, -1e-45, 1.0, np.nextafter(np.float32(1), 2), 3.4e38, -3.4e38], np.float32)


def stable_order(scores: npt.NDArray[np.float32], fold_in: InteractionMatrix, k: int) -> npt.NDArray[np.intp]:
    """Return what `rank` promises: the start of a stable sort of the masked scores, so ties by position."""
    masked = scores.copy()
    masked[np.repeat(np.arange(len(scores)), fold_in.counts()), fold_in.indices] = -np.inf
    return np.argsort(-masked, axis=1, kind="stable")[:, :k]


def some_scores(generator: np.random.Generator, kind: str, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    if kind == "hard":
        return generator.choice(HARD, size=shape)
    if kind == "levels":
        return generator.integers(0, generator.integers(1, 30), size=shape).astype(np.float32)
    return generator.normal(size=shape).astype(np.float32)


def some_fold_in(generator: np.random.Generator, kind: str, n_users: int, n_items: int) -> InteractionMatrix:
    shown = generator.random((n_users, n_items)) < {"none": 0, "some": 0.1, "most": 1}[kind]
    shown[np.arange(n_users), generator.integers(0, n_items, n_users)] = False
    return InteractionMatrix.from_pairs(*np.nonzero(shown), n_users=n_users, n_items=n_items)


def by_topk(values: torch.Tensor, k: int) -> torch.Tensor:
    return values.topk(k, dim=1, sorted=False).indices


def the_last_of_equals(values: torch.Tensor, k: int) -> torch.Tensor:
    return values.flip(1).sort(dim=1, descending=True, stable=True).indices[:, :k].neg() + values.shape[1] - 1


# The selection on a CPU, the one on a GPU, and the worst that either may return of equal values.
@pytest.mark.parametrize("top", [evaluation._top, by_topk, the_last_of_equals])
@given(
    seed=st.integers(0, 2**32 - 1),
    k=st.integers(1, 12),
    # A row is cut into groups from 8 * (k + 1) items on: both sides of that, and several sizes of groups.
    n_items=st.integers(1, 600),
    scores=st.sampled_from(["normal", "levels", "hard"]),
    shown=st.sampled_from(["none", "some", "most"]),
)
def test_a_ranking_is_the_start_of_a_stable_sort(
    top: Callable[[torch.Tensor, int], torch.Tensor], seed: int, k: int, n_items: int, scores: str, shown: str
) -> None:
    generator = np.random.default_rng(seed)
    table, fold_in = some_scores(generator, scores, (4, n_items)), some_fold_in(generator, shown, 4, n_items)
    expected = stable_order(table, fold_in, k)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "_top", top)
        found = rank(torch.from_numpy(table), fold_in, k)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", ["normal", "levels", "hard"])
@pytest.mark.parametrize("size", [1, 2, 3, 4])
@pytest.mark.parametrize("beside", [-1, 0, 1])
def test_nothing_is_lost_where_groups_change_their_size(size: int, beside: int, kind: str) -> None:
    # Groups have isqrt(n_items / (2 (k + 1))) items: one item more or less changes their size and the tail.
    k = 20
    n_items = 2 * (k + 1) * size**2 + beside
    generator = np.random.default_rng(n_items)
    table = some_scores(generator, kind, (40, n_items))
    fold_in = some_fold_in(generator, "some", 40, n_items)
    expected = stable_order(table, fold_in, k)
    np.testing.assert_array_equal(rank(torch.from_numpy(table), fold_in, k), expected)


@pytest.mark.parametrize("best", [range(4, 900, 100), range(900, 905), range(450, 455)])
def test_the_best_may_be_anywhere(best: range) -> None:
    # Of 905 items the best 5 are looked for in groups of 9 items 100 apart and a tail of 5: here they are all in
    # one group, all in the tail, and each in a group of its own.
    table = np.random.default_rng(1).normal(size=(1, 905)).astype(np.float32)
    table[0, best] += 100
    found = rank(torch.from_numpy(table.copy()), matrix([[]], 905), 4)
    np.testing.assert_array_equal(found, stable_order(table, matrix([[]], 905), 4))


def test_a_ranking_does_not_depend_on_how_scores_lie_in_memory() -> None:
    table = np.random.default_rng(1).normal(size=(5, 300)).astype(np.float32)
    fold_in = some_fold_in(np.random.default_rng(2), "some", 5, 300)
    by_columns = torch.from_numpy(table.T.copy()).T
    np.testing.assert_array_equal(rank(by_columns, fold_in, 7), stable_order(table, fold_in, 7))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("item", [0, 450, 904])
def test_not_a_single_bad_score_passes(bad: float, item: int) -> None:
    # Even one that the mask would hide: a model that diverged has no good scores.
    table = np.random.default_rng(1).normal(size=(3, 905)).astype(np.float32)
    table[1, item] = bad
    for shown in ([], [item]):
        with pytest.raises(DivergedError, match="not finite"):
            rank(torch.from_numpy(table.copy()), matrix([[], shown, []], 905), 4)


def test_great_scores_are_no_divergence() -> None:
    # Their sum is not finite; each of them is.
    table = torch.full((2, 905), torch.finfo(torch.float32).max)
    assert rank(table, matrix([[0], []], 905), 3).tolist() == [[1, 2, 3], [0, 1, 2]]


@pytest.mark.parametrize("batch_size", [1, 4, 500])
def test_users_left_out_do_not_shift_the_others(batch_size: int) -> None:
    everyone, kept = random_users(3), np.flatnonzero(np.arange(30) % 3)
    shown = [everyone.fold_in.row(user).tolist() if user in kept else [] for user in range(30)]
    scores = np.random.default_rng(2).normal(size=(kept.size, 160)).astype(np.float32)
    users = HeldOutUsers(matrix(shown, 160), everyone.held_out)
    found = evaluate(Fixed(scores), users, batch_size=batch_size)
    np.testing.assert_array_equal(found.users, kept)
    alone = HeldOutUsers(everyone.fold_in.take(kept), everyone.held_out.take(kept))
    for name, expected in dense_evaluation(scores, alone).items():
        np.testing.assert_allclose(found.per_user[name], expected, atol=1e-12)


@pytest.mark.cuda
@pytest.mark.parametrize("kind", ["normal", "levels", "hard"])
@pytest.mark.parametrize("n_items", [50, 905, 5000])
def test_a_gpu_ranks_the_same(n_items: int, kind: str) -> None:
    # "hard" matters most here: a radix sort compares bits, and those of 0 and -0 differ.
    table = some_scores(np.random.default_rng(1), kind, (60, n_items))
    users = random_users(4, 60, n_items)
    expected = stable_order(table, users.fold_in, 100)
    np.testing.assert_array_equal(rank(torch.from_numpy(table).cuda(), users.fold_in, 100), expected)
    on_gpu = Fixed(table)
    on_gpu.table = on_gpu.table.cuda()
    for name, values in evaluate(on_gpu, users, batch_size=17).per_user.items():
        np.testing.assert_array_equal(values, evaluate(Fixed(table), users).per_user[name])
