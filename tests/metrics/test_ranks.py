"""Each metric is held four ways: published values, scikit-learn, a naive loop, and known rankings."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score, ndcg_score, precision_score

from distrecvae.metrics.names import KINDS, RankMetric, metric_of
from distrecvae.metrics.ranks import full_recall, hit, mean_average_precision, mrr, ndcg, precision, recall
from tests.golden import metrics as golden_metrics

BoolArray = npt.NDArray[np.bool_]


def ranked_hits(scores: npt.NDArray[np.floating], relevant: BoolArray) -> BoolArray:
    """Return whether the item at each rank is relevant, best score first."""
    order = np.argsort(-scores, axis=1, kind="stable")
    return np.take_along_axis(relevant, order, axis=1)


@pytest.fixture(scope="module")
def random_case() -> tuple[npt.NDArray[np.float64], BoolArray]:
    generator = np.random.default_rng(5)
    scores = generator.normal(size=(50, 120))
    relevant = generator.random((50, 120)) < generator.uniform(0.02, 0.5, (50, 1))
    relevant[:, 0] = True
    return scores, relevant


@pytest.mark.parametrize("k", [5, 20, 50, 100])
def test_the_published_code_gives_the_same_values(k: int) -> None:
    golden = golden_metrics().arrays
    n_users, n_items = golden["shape"]
    relevant = np.zeros((int(n_users), int(n_items)), dtype=np.bool_)
    rows = np.repeat(np.arange(int(n_users)), np.diff(golden["heldout_indptr"]).astype(np.int64))
    relevant[rows, golden["heldout_indices"].astype(np.int64)] = True
    hits, n_held_out = ranked_hits(golden["scores"], relevant), relevant.sum(axis=1)
    np.testing.assert_allclose(ndcg(hits, n_held_out, k), golden[f"ndcg@{k}"], atol=1e-6)
    np.testing.assert_allclose(recall(hits, n_held_out, k), golden[f"recall@{k}"], atol=1e-6)


@pytest.mark.parametrize("k", [1, 7, 100, 120])
def test_scikit_learn_gives_the_same_ndcg(
    random_case: tuple[npt.NDArray[np.float64], BoolArray], k: int
) -> None:
    # scikit-learn's ideal at k is the best k relevant items: the truncated ideal of the paper.
    scores, relevant = random_case
    values = ndcg(ranked_hits(scores, relevant), relevant.sum(axis=1), k)
    expected = [
        ndcg_score(row[None].astype(float), score[None], k=k)
        for row, score in zip(relevant, scores, strict=True)
    ]
    np.testing.assert_allclose(values, expected, atol=1e-12)


@given(
    hits=arrays(np.bool_, st.tuples(st.integers(1, 4), st.integers(1, 12))),
    extra=st.integers(0, 5),
    k=st.integers(1, 15),
)
def test_a_loop_that_reads_like_the_paper_gives_the_same(hits: BoolArray, extra: int, k: int) -> None:
    n_held_out = hits.sum(axis=1) + extra
    n_held_out[n_held_out == 0] = 1
    for row, n, found_ndcg, found_recall in zip(
        hits, n_held_out, ndcg(hits, n_held_out, k), recall(hits, n_held_out, k), strict=True
    ):
        gained = sum(1 / math.log2(rank + 1) for rank, hit in enumerate(row[:k], start=1) if hit)
        best = sum(1 / math.log2(rank + 1) for rank in range(1, min(k, int(n)) + 1))
        assert found_ndcg == pytest.approx(gained / best)
        assert found_recall == pytest.approx(sum(row[:k]) / min(k, int(n)))
        assert 0 <= found_ndcg <= 1 + 1e-12


def test_a_perfect_scorer_reaches_one_even_with_more_held_out_than_ranks() -> None:
    relevant = np.zeros((2, 30), dtype=np.bool_)
    relevant[0, :3] = relevant[1, :25] = True
    hits = ranked_hits(relevant.astype(float), relevant)
    for metric in (ndcg, recall):
        np.testing.assert_allclose(metric(hits, np.array([3, 25]), 20), 1.0)


def test_the_worst_scorer_gets_nothing() -> None:
    hits = np.zeros((3, 10), dtype=np.bool_)
    assert not ndcg(hits, np.array([1, 2, 3]), 10).any()
    assert not recall(hits, np.array([1, 2, 3]), 10).any()


def test_a_hit_late_is_worth_less_than_a_hit_early_only_for_ndcg() -> None:
    early, late = np.zeros((2, 1, 20), dtype=np.bool_)
    early[0, 0] = late[0, 19] = True
    one = np.array([1])
    assert ndcg(early, one, 20)[0] == 1
    assert ndcg(late, one, 20)[0] == pytest.approx(1 / math.log2(21))
    assert recall(early, one, 20) == recall(late, one, 20) == 1


def test_values_are_float64_a_user() -> None:
    values = ndcg(np.ones((3, 5), dtype=np.bool_), np.array([5, 5, 5], dtype=np.int32), 5)
    assert values.dtype == np.float64
    assert values.shape == (3,)


@pytest.mark.parametrize(
    ("n_held_out", "k", "message"),
    [([1, 0], 5, "nothing held out"), ([1, 1], 0, "at least 1"), ([1, 1, 1], 5, "a row a user")],
)
def test_what_is_not_defined_is_refused(n_held_out: list[int], k: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        recall(np.ones((2, 5), dtype=np.bool_), np.array(n_held_out), k)


OTHERS = (full_recall, precision, hit, mrr, mean_average_precision)


def test_every_metric_of_ranks_is_held_to_its_definition() -> None:
    functions = {kind: metric_of(f"{kind}@3").of_ranks for kind in KINDS}
    lack = [kind for kind, function in functions.items() if function not in (None, ndcg, recall, *OTHERS)]
    assert not lack, f"put {lack} into OTHERS, and what the definition gives into the loop's `expected` below"


@given(
    hits=arrays(np.bool_, st.tuples(st.integers(1, 4), st.integers(1, 12))),
    extra=st.integers(0, 5),
    k=st.integers(1, 15),
)
def test_loops_that_read_like_the_definitions_give_the_same(hits: BoolArray, extra: int, k: int) -> None:
    n_held_out = np.maximum(hits.sum(axis=1) + extra, 1)
    found = [metric(hits, n_held_out, k) for metric in OTHERS]
    for user, (row, n) in enumerate(zip(hits.tolist(), n_held_out.tolist(), strict=True)):
        counted = row[:k]
        first = next((rank for rank, is_hit in enumerate(counted, start=1) if is_hit), None)
        precisions = [sum(counted[:rank]) / rank for rank, is_hit in enumerate(counted, start=1) if is_hit]
        expected = [
            sum(counted) / n,
            sum(counted) / k,
            1.0 if any(counted) else 0.0,
            0.0 if first is None else 1 / first,
            sum(precisions) / min(k, n),
        ]
        np.testing.assert_allclose([values[user] for values in found], expected, atol=1e-12)


def test_scikit_learn_gives_the_same_average_precision_over_all_ranks(
    random_case: tuple[npt.NDArray[np.float64], BoolArray],
) -> None:
    scores, relevant = random_case
    found = mean_average_precision(ranked_hits(scores, relevant), relevant.sum(axis=1), scores.shape[1])
    expected = [average_precision_score(row, score) for row, score in zip(relevant, scores, strict=True)]
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("k", [1, 10, 120])
def test_scikit_learn_gives_the_same_precision(
    random_case: tuple[npt.NDArray[np.float64], BoolArray], k: int
) -> None:
    scores, relevant = random_case
    found = precision(ranked_hits(scores, relevant), relevant.sum(axis=1), k)
    first = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1) < k
    expected = [precision_score(row, chosen) for row, chosen in zip(relevant, first, strict=True)]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_perfect_scorer_reaches_the_best_of_each() -> None:
    relevant = np.zeros((2, 30), dtype=np.bool_)
    relevant[0, :3] = relevant[1, :25] = True
    hits, n_held_out = ranked_hits(relevant.astype(float), relevant), np.array([3, 25])
    best: list[tuple[RankMetric, list[float]]] = [
        (full_recall, [1, 20 / 25]), (precision, [3 / 20, 1]), (hit, [1, 1]), (mrr, [1, 1]),
        (mean_average_precision, [1, 1]),
    ]  # fmt: skip
    assert [metric for metric, _ in best] == [*OTHERS], "each of OTHERS has its row in `best`, in that order"
    for metric, values in best:
        np.testing.assert_allclose(metric(hits, n_held_out, 20), values)
        assert not metric(np.zeros_like(hits), n_held_out, 20).any()


@pytest.mark.parametrize("metric", OTHERS)
def test_what_is_not_defined_is_refused_by_all(metric: RankMetric) -> None:
    with pytest.raises(ValueError, match="nothing held out"):
        metric(np.ones((2, 5), dtype=np.bool_), np.array([1, 0]), 5)
