"""Evaluation: what is masked, who is skipped, how ties fall, and that batches do not matter."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch

from distrecvae.data.dataset import HeldOutUsers
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import ConfigError, DataError, DivergedError
from distrecvae.evaluation import MANY_RANKS, Evaluation, Scoring, evaluate, require_scorable
from distrecvae.metrics import KINDS, METRICS, lists, ndcg, ranks, recall, trust_in
from distrecvae.ranking import rank
from tests.golden import metrics as golden_metrics
from tests.rankings import matrix, some_scores, stable_order


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


ALL = (
    "ndcg@10", "recall@100", "full_recall@20", "precision@5", "hit@1", "mrr", "map", "map@20", "coverage@3",
    "gini@7", "novelty@160", "tests.metrics.mine:half@4",
)  # fmt: skip


def test_all_are_all() -> None:
    lack = set(KINDS) - {text.partition("@")[0] for text in ALL}
    assert not lack, f"put {sorted(lack)} into ALL, and what is due into `expected` below"


@pytest.mark.parametrize("batch_size", [1, 7, 500])
@pytest.mark.parametrize("many", [MANY_RANKS, 6])  # metrics beyond it are computed a batch at a time
def test_every_metric_is_what_a_dense_computation_gives(
    batch_size: int, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("distrecvae.evaluation.MANY_RANKS", many)
    trust_in("tests.metrics.mine:half@4")
    users = random_users(6)
    train = InteractionMatrix.from_pairs([0, 0, 1, 2], [0, 1, 1, 1], n_users=4, n_items=160)
    scores = np.random.default_rng(7).integers(0, 30, size=(30, 160)).astype(np.float32)
    found = evaluate(Fixed(scores), users, Scoring.of(ALL, train), batch_size=batch_size)
    fold_in, held_out = (m.to_scipy().toarray() > 0 for m in (users.fold_in, users.held_out))
    order = np.argsort(-np.where(fold_in, -np.inf, scores), axis=1, kind="stable")
    hits, n_held_out = np.take_along_axis(held_out, order, axis=1), held_out.sum(axis=1)
    expected = {
        "ndcg_10": ranks.ndcg(hits, n_held_out, 10),
        "recall_100": ranks.recall(hits, n_held_out, 100),
        "full_recall_20": ranks.full_recall(hits, n_held_out, 20),
        "precision_5": ranks.precision(hits, n_held_out, 5),
        "hit_1": ranks.hit(hits, n_held_out, 1),
        "mrr": ranks.mrr(hits, n_held_out, 160),
        "map": ranks.mean_average_precision(hits, n_held_out, 160),
        "map_20": ranks.mean_average_precision(hits, n_held_out, 20),
        "tests.metrics.mine:half_4": hits[:, :4].sum(axis=1) / 2,
    }
    for name, values in expected.items():
        np.testing.assert_allclose(found.per_user[name], values, atol=1e-12)
    shares = np.full(160, 0.25)  # no training user has it: as rare as what one of four has
    shares[1] = 0.75
    surprise = [np.mean([-math.log2(shares[i]) for i in row[: 160 - n]])
                for row, n in zip(order, fold_in.sum(axis=1), strict=True)]  # fmt: skip
    np.testing.assert_allclose(found.per_user["novelty_160"], surprise, atol=1e-12)
    assert found.overall["coverage_3"] == len(set(order[:, :3].ravel())) / 160
    assert found.overall["gini_7"] == pytest.approx(
        lists.gini(np.bincount(order[:, :7].ravel(), minlength=160))
    )
    assert set(found.names) == {*expected, "novelty_160", "coverage_3", "gini_7"}
    summary = found.summary()
    assert summary["standard_error"]["coverage_3"] is None
    assert summary["mean"]["coverage_3"] == found.mean("coverage_3") > 0


def test_the_default_metrics_are_the_same_to_the_bit_beside_others() -> None:
    users = random_users(8)
    scores = np.random.default_rng(9).normal(size=(30, 160)).astype(np.float32)
    scoring = Scoring.of([*METRICS, "coverage@20"], users.fold_in)
    beside = evaluate(Fixed(scores), users, scoring, batch_size=7)
    for name, values in evaluate(Fixed(scores), users).per_user.items():
        np.testing.assert_array_equal(beside.per_user[name], values)


def test_a_cut_off_beyond_the_catalogue_is_refused_but_in_the_published_protocol() -> None:
    train = matrix([[0]], 12)
    Scoring.of(METRICS, train)
    Scoring.of(["ndcg@12", "mrr"], train)
    with pytest.raises(ConfigError, match="NDCG@13 counts 13 ranks and the data set has 12 items"):
        Scoring.of(["ndcg@13"], train)


def test_over_no_users_no_metric_is_a_number() -> None:
    scoring = Scoring.of(["mrr", "coverage@2", "gini@2", "novelty@2"], matrix([[0]], 4))
    found = evaluate(Fixed(np.zeros((0, 4))), NOBODY, scoring)
    assert all(math.isnan(mean) for mean in found.means().values())
    assert len(found.means()) == 4
