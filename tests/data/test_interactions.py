"""InteractionMatrix: canonical CSR, and nothing of the caller's is copied or changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import DataError


def matrix(indptr: list[int], indices: list[int], n_items: int = 4) -> InteractionMatrix:
    return InteractionMatrix.checked(np.array(indptr, np.int64), np.array(indices, np.int32), n_items)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 7)), max_size=60))
def test_from_pairs_against_scipy(pairs: list[tuple[int, int]]) -> None:
    users, items = [u for u, _ in pairs], [i for _, i in pairs]
    found = InteractionMatrix.from_pairs(users, items, n_users=6, n_items=8)
    expected = sp.coo_array((np.ones(len(pairs)), (users, items)), shape=(6, 8)).toarray() > 0
    np.testing.assert_array_equal(found.to_scipy().toarray() > 0, expected)
    np.testing.assert_array_equal(found.counts(), expected.sum(axis=1))
    np.testing.assert_array_equal(found.item_counts(), expected.sum(axis=0))
    again = InteractionMatrix.checked(found.indptr, found.indices, 8)
    assert again.n_interactions == len(set(pairs))


def test_holds_what_it_is_given_and_protects_it() -> None:
    indptr, indices = np.array([0, 1, 3]), np.array([2, 0, 3], dtype=np.int32)
    held = InteractionMatrix(indptr, indices, 4)
    assert np.shares_memory(held.indices, indices)
    assert indices.flags.writeable, "the caller's own array stays as it was"
    with pytest.raises(ValueError, match="read-only"):
        held.indices[0] = 1
    assert np.shares_memory(held.slice(1, 2).indices, indices)


@pytest.mark.parametrize(
    ("indptr", "indices", "message"),
    [
        ([0, 2], [1], "run from 0 to 1"),
        ([1, 1], [0], "run from 0"),
        ([0, 2, 1, 3], [0, 1, 2], "decreases"),
        ([0, 1], [4], "item position 4"),
        ([0, 1], [-1], "item position -1"),
        ([0, 2], [1, 1], "strictly increasing"),
        ([0, 2], [2, 1], "strictly increasing"),
    ],
)
def test_refuses_what_is_not_canonical(indptr: list[int], indices: list[int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        matrix(indptr, indices)


@pytest.mark.parametrize("wrong", [np.zeros(2, np.int32), np.zeros((2, 1), np.int64)])
def test_refuses_other_types(wrong: npt.NDArray[Any]) -> None:
    with pytest.raises(DataError, match="indptr has dtype"):
        InteractionMatrix(wrong, np.zeros(0, np.int32), 4)


def test_rows_begin_where_they_like() -> None:
    """Only within a row must positions rise; empty rows first, last and between are rows."""
    found = matrix([0, 0, 2, 2, 3, 3], [1, 3, 0])
    assert [found.row(u).tolist() for u in range(5)] == [[], [1, 3], [], [0], []]
    assert found.shape == (5, 4)


@given(st.lists(st.integers(0, 4), max_size=12))
def test_take_is_rows_in_that_order(users: list[int]) -> None:
    whole = matrix([0, 0, 2, 2, 3, 5], [1, 3, 0, 0, 2])
    taken = whole.take(np.array(users, dtype=np.int64))
    assert [taken.row(n).tolist() for n in range(len(users))] == [whole.row(u).tolist() for u in users]


@pytest.mark.parametrize(("user", "item"), [(-1, 0), (3, 0), (0, -1), (0, 4)])
def test_positions_out_of_range(user: int, item: int) -> None:
    with pytest.raises(DataError, match="outside 0"):
        InteractionMatrix.from_pairs([user], [item], n_users=3, n_items=4)


def test_pairs_of_unequal_length() -> None:
    with pytest.raises(DataError, match="equal length"):
        InteractionMatrix.from_pairs([0, 1], [0], n_users=3, n_items=4)
