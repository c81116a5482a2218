"""Ranking: exact whatever the scores, ties by position, on every device."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distrecvae import ranking
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import DivergedError
from distrecvae.ranking import found, hits_of, rank, without_shown
from tests.rankings import matrix, some_fold_in, some_scores, stable_order


@given(seed=st.integers(0, 10_000), k=st.integers(1, 12), levels=st.integers(1, 4))
def test_ties_fall_by_item_position(seed: int, k: int, levels: int) -> None:
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, levels, size=(5, 12)).astype(np.float32)
    fold_in = InteractionMatrix.from_pairs(range(5), generator.integers(0, 12, 5), n_users=5, n_items=12)
    masked = scores.copy()
    masked[np.arange(5), fold_in.indices] = -np.inf
    expected = np.argsort(-masked, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(rank(torch.from_numpy(scores), fold_in, k), expected)


def by_topk(values: torch.Tensor, k: int) -> torch.Tensor:
    return values.topk(k, dim=1, sorted=False).indices


def the_last_of_equals(values: torch.Tensor, k: int) -> torch.Tensor:
    return values.flip(1).sort(dim=1, descending=True, stable=True).indices[:, :k].neg() + values.shape[1] - 1


# The selection on a CPU, the one on a GPU, and the worst that either may return of equal values.
@pytest.mark.parametrize("top", [ranking._top, by_topk, the_last_of_equals])
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
        patch.setattr(ranking, "_top", top)
        ranked = rank(torch.from_numpy(table), fold_in, k)
    assert ranked.dtype == np.int64
    np.testing.assert_array_equal(ranked, expected)


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
    ranked = rank(torch.from_numpy(table.copy()), matrix([[]], 905), 4)
    np.testing.assert_array_equal(ranked, stable_order(table, matrix([[]], 905), 4))


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


@pytest.mark.parametrize("k", [1, 7, 40])
def test_hits_of_a_ranking_are_those_that_are_found_without_it(k: int) -> None:
    # Metrics of lists need the items, the others do not: both ways must see the same hits.
    generator = np.random.default_rng(k)
    table = some_scores(generator, "levels", (9, 40))
    fold_in = some_fold_in(generator, "some", 9, 40)
    hidden = generator.random((9, 40)) < 0.2
    hidden[np.repeat(np.arange(9), fold_in.counts()), fold_in.indices] = False
    hidden[4] = False  # nobody's row shifts another's
    held_out = InteractionMatrix.from_pairs(*np.nonzero(hidden), n_users=9, n_items=40)
    expected = found(torch.from_numpy(table.copy()), fold_in, held_out, k)
    items = rank(torch.from_numpy(table), fold_in, k)
    np.testing.assert_array_equal(hits_of(items, held_out), expected)
    assert expected.any()
    assert not hits_of(items, matrix([[]] * 9, 40)).any()


def test_a_list_ends_where_only_shown_items_are_left() -> None:
    items = np.array([[2, 0, 1], [1, 2, 0]])
    assert without_shown(items, matrix([[0, 1], []], 3)).tolist() == [[2, -1, -1], [1, 2, 0]]
