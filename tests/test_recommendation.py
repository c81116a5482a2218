"""Recommendation: the best items of each user are those that a plain sort of all scores finds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import DataError, DivergedError
from distrecvae.recommendation import best_items


class Fixed:
    """Scores a user by the row that its first item names: a function of the history alone."""

    def __init__(self, scores: npt.NDArray[np.float32]) -> None:
        self.scores = scores

    @property
    def n_items(self) -> int:
        return int(self.scores.shape[1])

    def score(self, fold_in: InteractionMatrix) -> torch.Tensor:
        return torch.from_numpy(self.scores[fold_in.indices[fold_in.indptr[:-1]]])


def users(cells: npt.NDArray[np.bool_]) -> InteractionMatrix:
    return InteractionMatrix.from_pairs(*np.nonzero(cells), n_users=cells.shape[0], n_items=cells.shape[1])


def plain(
    scores: npt.NDArray[np.float32], hidden: npt.NDArray[np.bool_] | None, top: int
) -> list[list[tuple[int, float]]]:
    """Return (item, score) by a sort of everything in Python, equal scores by position."""
    rows = []
    for user, row in enumerate(scores.tolist()):
        items = [item for item in range(len(row)) if hidden is None or not hidden[user, item]]
        rows.append([(item, row[item]) for item in sorted(items, key=lambda item: (-row[item], item))][:top])
    return rows


@pytest.mark.parametrize("top", [1, 3, 20, 100])
@pytest.mark.parametrize("hide", [False, True])
@pytest.mark.parametrize("levels", [5, 10**6])
def test_they_are_those_of_a_plain_sort(top: int, hide: bool, levels: int) -> None:
    random = np.random.default_rng(levels + top)
    n = 20
    scores = (random.integers(0, levels, (n, n)) - levels // 2).astype(np.float32)
    cells = random.random((11, n)) < 0.3
    cells[:, 0] |= ~cells.any(axis=1)
    cells[7] = True  # one with every item: nothing is left to recommend
    shown = users(cells)
    firsts = cells.argmax(axis=1)
    found: list[list[tuple[int, float]]] = []
    for batch in best_items(Fixed(scores), shown, top=top, hidden=shown if hide else None, batch_size=4):
        assert batch.first_user == len(found)
        assert batch.items.shape[1] == min(top, n)
        for items, values in zip(batch.items, batch.scores, strict=True):
            found.append([(int(i), float(v)) for i, v in zip(items, values, strict=True) if np.isfinite(v)])
    assert found == plain(scores[firsts], cells if hide else None, top)


def test_nobody_gets_nothing() -> None:
    assert list(best_items(Fixed(np.ones((2, 3), np.float32)), users(np.zeros((0, 3), bool)), top=2)) == []


def test_shapes_must_agree() -> None:
    model = Fixed(np.ones((2, 3), np.float32))
    with pytest.raises(DataError, match=r"knows 3 items and users x items are \(1, 2\)"):
        next(best_items(model, users(np.ones((1, 2), bool)), top=1))
    with pytest.raises(DataError, match=r"\(1, 3\) and \(2, 3\)"):
        next(best_items(model, users(np.ones((1, 3), bool)), top=1, hidden=users(np.ones((2, 3), bool))))


def test_a_score_that_is_not_finite_is_told() -> None:
    scores = np.ones((2, 3), np.float32)
    scores[1, 1] = np.nan
    with pytest.raises(DivergedError, match="not finite"):
        list(best_items(Fixed(scores), users(np.array([[0, 1, 0]], bool)), top=1))
