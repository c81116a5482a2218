"""A data set as plain arrays that processes share: nothing is copied on the way, and no test user is in it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from distrecvae.data.dataset import HeldOutUsers, Split
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.data.shared import SharedData, dataset_bytes, from_shared, shared_arrays
from distrecvae.data.synthetic import synthetic_split


@pytest.fixture(scope="module")
def split() -> Split:
    return synthetic_split(n_users=90, n_items=60, seed=2)


def arrays(data: SharedData) -> dict[str, npt.NDArray[np.generic]]:
    return {name: value for name, value in data.items() if isinstance(value, np.ndarray)}


def same(found: InteractionMatrix, expected: InteractionMatrix) -> bool:
    return np.array_equal(found.to_scipy().toarray(), expected.to_scipy().toarray())


def test_what_comes_back_is_what_was_shared(split: Split) -> None:
    train, valid = from_shared(shared_arrays(split))
    assert same(train, split.train)
    assert same(valid.fold_in, split.valid.fold_in)
    assert same(valid.held_out, split.valid.held_out)
    assert not same(valid.fold_in, valid.held_out)


def test_nothing_is_copied_there_or_back(split: Split) -> None:
    data = shared_arrays(split)
    train, valid = from_shared(data)
    for name, given, found in (
        ("train", split.train, train),
        ("fold_in", split.valid.fold_in, valid.fold_in),
        ("held_out", split.valid.held_out, valid.held_out),
    ):
        assert np.shares_memory(data[f"{name}/indices"], given.indices)
        assert np.shares_memory(data[f"{name}/indices"], found.indices)
        assert np.shares_memory(data[f"{name}/indptr"], given.indptr)
        assert np.shares_memory(data[f"{name}/indptr"], found.indptr)


def test_the_object_stores_memory_which_nobody_may_write_is_taken_as_it_is(split: Split) -> None:
    data = shared_arrays(split)
    for name, array in arrays(data).items():
        copy = array.copy()
        copy.flags.writeable = False
        data[name] = copy
    train, _ = from_shared(data)
    assert np.shares_memory(train.indices, data["train/indices"])
    assert same(train, split.train)


def test_no_test_user_is_among_them(split: Split) -> None:
    """A trial that cannot see the test users cannot be chosen by them."""
    found = arrays(shared_arrays(split)).values()
    of_test = (split.test.fold_in, split.test.held_out)
    assert not any(np.shares_memory(array, part.indices) for array in found for part in of_test)
    rows = sum(array.size - 1 for array in found if array.dtype == np.int64)
    assert rows == split.train.n_users + 2 * split.valid.n_users
    cells = sum(array.size for array in found if array.dtype == np.int32)
    assert cells == sum(
        part.n_interactions for part in (split.train, split.valid.fold_in, split.valid.held_out)
    )


def test_the_size_is_eight_bytes_a_user_and_four_an_interaction(split: Split) -> None:
    n_cells = sum(part.n_interactions for part in (split.train, split.valid.fold_in, split.valid.held_out))
    n_rows = split.train.n_users + 2 * split.valid.n_users
    assert dataset_bytes(split) == 8 * (n_rows + 3) + 4 * n_cells


def test_strided_arrays_become_such_as_a_pickle_need_not_copy(split: Split) -> None:
    every_other = np.repeat(split.train.indices, 2)[::2]
    assert not every_other.flags.c_contiguous
    strided = InteractionMatrix(split.train.indptr, every_other, split.n_items)
    data = shared_arrays(Split(strided, split.valid, split.test, split.user_ids, split.item_ids))
    assert all(array.flags.c_contiguous for array in arrays(data).values())
    assert same(from_shared(data)[0], split.train)


def test_users_with_nothing_and_items_that_nobody_took_stay() -> None:
    def matrix(pairs: list[tuple[int, int]], n_users: int) -> InteractionMatrix:
        users, items = [u for u, _ in pairs], [i for _, i in pairs]
        return InteractionMatrix.from_pairs(users, items, n_users=n_users, n_items=5)

    few = HeldOutUsers(matrix([(1, 0)], 2), matrix([], 2))
    split = Split(matrix([(2, 1)], 4), few, few, np.arange(8), np.arange(5))
    train, valid = from_shared(shared_arrays(split))
    assert train.shape == (4, 5)
    assert train.counts().tolist() == [0, 0, 1, 0]
    assert (valid.fold_in.counts().tolist(), valid.held_out.counts().tolist()) == ([0, 1], [0, 0])
