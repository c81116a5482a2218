"""Tables of a dataset folder: what is written is read, and checked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from distrecvae.data.stored.tables import load_ids, n_rows_of, read_matrix, save_ids, write_matrix
from distrecvae.data.synthetic import synthetic_split
from distrecvae.errors import DataError


def test_a_user_may_be_in_two_groups_and_not_twice_in_one(tmp_path: Path) -> None:
    path = tmp_path / "users.parquet"
    save_ids(path, np.array([1, 2, 3, 2, 3, 3]), kind="user_id")
    assert load_ids(path, kind="user_id", groups=[3, 2, 1]).tolist() == [1, 2, 3, 2, 3, 3]
    with pytest.raises(DataError, match="1 ids that are there twice"):
        load_ids(path, kind="user_id", groups=[4, 1, 1])
    with pytest.raises(DataError, match="3 ids that are there twice"):
        load_ids(path, kind="user_id")


def test_a_matrix_is_read_as_it_was_written(tmp_path: Path) -> None:
    matrix = synthetic_split(n_users=60, n_items=60).train
    path = tmp_path / "train.parquet"
    write_matrix(matrix, path)
    assert n_rows_of(path) == matrix.n_interactions
    again = read_matrix(path, *matrix.shape, matrix.n_interactions)
    assert np.array_equal(again.indptr, matrix.indptr)
    assert np.array_equal(again.indices, matrix.indices)
    with pytest.raises(DataError, match="users out of order or outside"):
        read_matrix(path, 3, matrix.n_items, matrix.n_interactions)
