"""A model on data of other items: what is ranked, dropped, a miss, who is left out; once more by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distrecvae.data.dataset import HeldOutUsers
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import DataError
from distrecvae.evaluation import evaluate
from distrecvae.shared_items import Coverage, SharedItems, evaluate_shared


class Favourites:
    """Scores items by a fixed taste, and by what it is shown, so that dropped items are seen."""

    def __init__(self, taste: list[float]) -> None:
        self.taste = torch.tensor(taste)
        self.shown: list[list[int]] = []

    @property
    def n_items(self) -> int:
        return self.taste.numel()

    def score(self, fold_in: InteractionMatrix) -> torch.Tensor:
        self.shown += [fold_in.row(user).tolist() for user in range(fold_in.n_users)]
        return self.taste.repeat(fold_in.n_users, 1).float()


def matrix(rows: list[list[int]], n_items: int) -> InteractionMatrix:
    pairs = [(user, item) for user, items in enumerate(rows) for item in items]
    users, items = zip(*pairs, strict=True) if pairs else ((), ())
    return InteractionMatrix.from_pairs(users, items, n_users=len(rows), n_items=n_items)


def ids(*names: str) -> np.ndarray:
    return np.array(names, dtype=object)


MODEL, TODAY = ids("a", "b", "c", "gone"), ids("new", "c", "b", "a")
USERS = HeldOutUsers(
    matrix([[3], [0, 2], [0], [1], [2], []], 4),  # a; new b; new; c; b; nothing
    matrix([[1, 0], [1], [1], [0], [], [1]], 4),  # c new; c; c; new; nothing; c
)


def test_what_becomes_of_each_user() -> None:
    model = Favourites([3.0, 2.0, 1.0, 9.0])
    scored, coverage = evaluate_shared(model, MODEL, USERS, TODAY)
    assert scored.users.tolist() == [0, 1]
    assert scored.n_skipped == 4
    assert model.shown == [[0], [1]], "in the model's positions, without what it does not know"
    # User 0 is to find c and the new item: b (2) comes first, then c at rank 2; the new one is a miss.
    dcg, ideal = 1 / math.log2(3), 1 + 1 / math.log2(3)
    # User 1 is to find c: a (3) comes first, then c.
    assert scored.per_user["ndcg_100"].tolist() == pytest.approx([dcg / ideal, dcg])
    assert scored.per_user["recall_20"].tolist() == [0.5, 1.0]
    assert coverage == Coverage(
        n_items=4, n_shared=3, n_gone=1, n_dropped=2, n_missed=2, n_without_history=1, n_unfindable=1
    )
    assert coverage.notes() == [
        "knows 3 of the 4 items: 2 fold-in interactions with others dropped, 2 held-out ones count as misses",
        "1 item of the model not in the data, and not ranked",
        "1 user left out: no fold-in item that the model knows",
        "1 user left out: no held-out item that the model knows",
    ]


def test_an_item_that_is_gone_takes_no_rank() -> None:
    users = HeldOutUsers(matrix([[3]], 4), matrix([[2]], 4))
    scored, _ = evaluate_shared(Favourites([1.0, 2.0, 1.5, 9.0]), MODEL, users, TODAY)
    assert scored.per_user["ndcg_100"].tolist() == [1.0]


def test_the_same_items_are_an_ordinary_evaluation() -> None:
    model = Favourites([1.0, 4.0, 3.0, 2.0])
    scored, coverage = evaluate_shared(model, TODAY, USERS, TODAY)
    plain = evaluate(model, USERS)
    assert all((scored.per_user[name] == plain.per_user[name]).all() for name in plain.per_user)
    assert coverage == Coverage(4, 4)
    assert coverage.notes() == []


def test_no_item_in_common_is_refused() -> None:
    with pytest.raises(
        DataError, match=r"old knows none of the 4 items of new \(its ids are like 'x'\)"
    ) as refused:
        evaluate_shared(Favourites([1.0]), ids("x"), USERS, TODAY, names=("old", "new"))
    assert "\n" not in str(refused.value)


def test_ids_of_two_types_are_the_same_where_they_are_written_the_same() -> None:
    users = HeldOutUsers(matrix([[0]], 2), matrix([[1]], 2))
    scored, coverage = evaluate_shared(Favourites([1.0, 2.0]), ids("7", "5"), users, np.array([5, 7]))
    assert coverage.n_shared == 2
    assert scored.per_user["ndcg_100"].tolist() == [1.0]


def test_scores_are_those_of_the_model_at_the_shared_items() -> None:
    model = Favourites([1.0, 2.0, 3.0, 4.0])
    shared = SharedItems(model, np.array([1, 3]))
    assert shared.n_items == 2
    assert shared.score(matrix([[0, 1], [1]], 2)).tolist() == [[2.0, 4.0], [2.0, 4.0]]
    assert model.shown == [[1, 3], [3]]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000))
def test_it_is_the_definition(seed: int) -> None:
    """NDCG@100 and Recall@20 of every user, in Python, from sets of ids."""
    random = np.random.default_rng(seed)
    model_ids = random.permutation(40)[: random.integers(3, 40)]
    data_ids = random.permutation(40)[: random.integers(3, 40)]
    taste = random.permutation(len(model_ids)).astype(float)
    cells = random.integers(0, 3, size=(8, len(data_ids)))
    fold_in, held_out = (
        InteractionMatrix.from_pairs(*np.nonzero(cells == part), n_users=8, n_items=len(data_ids))
        for part in (1, 2)
    )
    users = HeldOutUsers(fold_in, held_out)
    if not set(model_ids) & set(data_ids):
        return
    scored, _ = evaluate_shared(Favourites(taste.tolist()), model_ids, users, data_ids)
    expected: dict[int, tuple[float, float]] = {}
    score = dict(zip(model_ids.tolist(), taste.tolist(), strict=True))
    for user in range(8):
        shown, sought = (set(data_ids[part.row(user)].tolist()) for part in (fold_in, held_out))
        if not shown & score.keys() or not sought & score.keys():
            continue
        ranked = sorted((set(data_ids.tolist()) & score.keys()) - shown, key=lambda item: -score[item])
        gained = sum(1 / math.log2(rank + 2) for rank, item in enumerate(ranked[:100]) if item in sought)
        best = sum(1 / math.log2(rank + 2) for rank in range(min(100, len(sought))))
        expected[user] = gained / best, len(sought & set(ranked[:20])) / min(20, len(sought))
    assert scored.users.tolist() == list(expected)
    assert scored.per_user["ndcg_100"].tolist() == pytest.approx([ndcg for ndcg, _ in expected.values()])
    assert scored.per_user["recall_20"].tolist() == pytest.approx([recall for _, recall in expected.values()])
