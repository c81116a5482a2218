"""Ids found among others, and users divided as an earlier data set divided them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrecvae.data.days.matching import (
    TEST,
    TRAIN,
    VALID,
    Groups,
    KnownIds,
    divide_alike,
    positions_among,
)


def texts(*ids: str) -> np.ndarray:
    return np.array(ids, dtype=object)


def test_positions_and_minus_one_for_what_is_not_there() -> None:
    assert positions_among(np.array([30, 7, 10]), np.array([10, 20, 30])).tolist() == [2, -1, 0]
    assert positions_among(texts("b", "c"), texts("a", "b")).tolist() == [1, -1]
    assert positions_among(np.array([], dtype=np.int64), np.array([1])).tolist() == []


def test_ids_of_two_types_are_the_same_where_they_are_written_the_same() -> None:
    assert positions_among(np.array([1, 2]), texts("2", "x")).tolist() == [-1, 0]
    assert positions_among(texts("1", "01"), np.array([1])).tolist() == [0, -1]


def groups(train: list[int], valid: list[int], test: list[int]) -> Groups:
    codes = [TRAIN] * len(train) + [VALID] * len(valid) + [TEST] * len(test)
    return Groups(np.array(train + valid + test), np.array(codes, dtype=np.int8))


def test_ids_that_are_asked_for_again_and_again_are_gone_through_once() -> None:
    # A service asks at each request: 4 of 9 ms of one were a dictionary of all items.
    class Counted(np.ndarray):
        times = 0

        def tolist(self) -> Any:
            Counted.times += 1
            return super().tolist()

    known = KnownIds(np.array([10, 20, 30]).view(Counted))
    assert (len(known), Counted.times) == (3, 0)
    for _ in range(3):
        assert positions_among(np.array([30, 7]), known).tolist() == [2, -1]
        assert known.positions(texts("20", "x")).tolist() == [1, -1]
    assert Counted.times == 2  # as they are, and as they are written


def test_whoever_was_there_keeps_the_group_and_new_users_fill_up() -> None:
    users = np.array([9, 1, 8, 3, 2, 7, 5, 6])
    found = divide_alike(users, groups([1, 2], [3, 4], [5]), 2)
    ids = users[found.order].tolist()
    n_train = len(ids) - found.n_valid - found.n_test
    train, valid, test = (
        ids[:n_train], ids[n_train : n_train + found.n_valid], ids[n_train + found.n_valid :]
    )  # fmt: skip
    assert (train, valid, test) == ([9, 1, 8, 2], [3, 7], [5, 6])
    assert found.n_known == 4


def test_where_new_users_do_not_suffice_there_are_fewer_and_beyond_the_number_they_are_trained_on() -> None:
    fewer = divide_alike(np.array([1, 2, 3]), groups([1], [2], [3]), 2)
    assert (fewer.n_valid, fewer.n_test) == (1, 1)
    beyond = divide_alike(np.array([4, 1, 2, 3]), groups([1], [], [2, 3]), 1)
    assert np.array([4, 1, 2, 3])[beyond.order].tolist() == [1, 2, 4, 3]


@given(
    st.lists(st.tuples(st.integers(0, 60), st.sampled_from([TRAIN, VALID, TEST])), unique_by=lambda u: u[0]),
    st.lists(st.integers(0, 80), unique=True, min_size=1),
    st.integers(1, 10),
)
def test_no_user_of_an_earlier_training_is_held_out(
    earlier: list[tuple[int, int]], now: list[int], n_held_out: int
) -> None:
    known = Groups(
        np.array([user for user, _ in earlier], dtype=np.int64),
        np.array([group for _, group in earlier], dtype=np.int8),
    )
    users = np.array(now, dtype=np.int64)
    found = divide_alike(users, known, n_held_out)
    assert sorted(found.order.tolist()) == list(range(len(now)))
    assert max(found.n_valid, found.n_test) <= n_held_out
    was = dict(earlier)
    ids = users[found.order].tolist()
    held_out = ids[len(ids) - found.n_valid - found.n_test :]
    valid, test = held_out[: found.n_valid], held_out[found.n_valid :]
    assert all(was.get(user, VALID) == VALID for user in valid)
    assert all(was.get(user, TEST) == TEST for user in test)
    assert found.n_known == len(was.keys() & set(now))


@pytest.mark.parametrize("n_held_out", [1, 3])
def test_of_an_empty_data_set_all_users_are_new(n_held_out: int) -> None:
    found = divide_alike(np.arange(10), groups([], [], []), n_held_out)
    assert found.order.tolist() == list(range(10)), "as they were permuted: the last ones are test users"
    assert (found.n_valid, found.n_test, found.n_known) == (n_held_out, n_held_out, 0)
