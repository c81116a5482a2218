"""Synthetic data: the same everywhere, popular items, and tastes that a model can learn."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from distrecvae.data.dataset import HeldOutUsers, Split
from distrecvae.data.synthetic import synthetic_split, synthetic_table
from distrecvae.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def split() -> Split:
    return synthetic_split()


def ndcg_100(scores: npt.NDArray[np.float64], users: HeldOutUsers) -> float:
    scores = np.where(users.fold_in.to_scipy().toarray() > 0, -np.inf, scores)
    top = np.argsort(-scores, axis=1)[:, :100]
    discount = 1 / np.log2(np.arange(2, 102))
    gain = (np.take_along_axis(users.held_out.to_scipy().toarray(), top, axis=1) * discount).sum(axis=1)
    n_held_out = users.held_out.counts()
    best = np.array([discount[:n].sum() for n in np.minimum(n_held_out, 100)])
    return float(np.mean(gain[n_held_out > 0] / best[n_held_out > 0]))


def test_a_good_model_beats_popularity_by_far(split: Split) -> None:
    """EASE (Steck, WWW 2019), the best linear model there is, against counting: what makes the demo worth
    running."""
    train = split.train.to_scipy().toarray().astype(np.float64)
    inverse = np.linalg.inv(train.T @ train + 200 * np.eye(split.n_items))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    ease = ndcg_100(split.valid.fold_in.to_scipy().toarray() @ weights, split.valid)
    popularity = ndcg_100(np.tile(train.sum(axis=0), (split.valid.n_users, 1)), split.valid)
    assert ease > 2 * popularity, f"EASE {ease:.3f}, popularity {popularity:.3f}"
    assert popularity > 0.1, "popularity must be worth something, as it is in real data"
    assert ease < 0.6, "and the best must not be trivial"


def test_popularity_is_a_power_law(split: Split) -> None:
    """The log of an item's count falls along the log of its rank, down to the sparse end."""
    counts = np.sort(split.train.item_counts())[::-1].astype(np.float64)
    ranks = np.arange(1, counts.size + 1)
    middle = slice(10, counts.size // 2)
    slope = np.polyfit(np.log(ranks[middle]), np.log(counts[middle]), 1)[0]
    assert -1.2 < slope < -0.5
    assert counts[0] > 8 * np.median(counts)


def test_deterministic(split: Split) -> None:
    assert synthetic_split().fingerprint == split.fingerprint
    assert synthetic_split(n_users=200, n_items=80, seed=3).fingerprint == "a66ec575786d616a474835fdf0ba3a70"
    assert synthetic_split(n_users=200, n_items=80, seed=4).fingerprint != "a66ec575786d616a474835fdf0ba3a70"


def test_rows_are_distinct_and_in_range() -> None:
    table = synthetic_table(n_users=500, n_items=120, seed=1)
    cells = table.users.astype(np.int64) * 120 + table.items
    assert np.unique(cells).size == cells.size
    assert table.users.max() == 499
    assert table.items.max() < 120
    assert np.bincount(table.users).min() >= 8


def test_blockwise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of users bound the memory, and every user is drawn once."""
    monkeypatch.setattr("distrecvae.data.synthetic._CHUNK_CELLS", 7 * 120)
    table = synthetic_table(n_users=50, n_items=120)
    assert np.unique(table.users).tolist() == list(range(50))


def test_held_out_users_as_asked() -> None:
    split = synthetic_split(n_users=100, n_items=60, held_out_users=20)
    assert (split.train.n_users, split.valid.n_users, split.test.n_users) == (60, 20, 20)
    with pytest.raises(DataError, match="2 x 50"):
        synthetic_split(n_users=100, n_items=60, held_out_users=50)


@pytest.mark.parametrize(("n_users", "n_items"), [(19, 100), (100, 49), (-1, 100)])
def test_too_small_for_structure(n_users: int, n_items: int) -> None:
    with pytest.raises(ConfigError, match="too small"):
        synthetic_table(n_users=n_users, n_items=n_items)
