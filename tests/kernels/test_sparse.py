"""Sparse rows: against SciPy and dense matrices, in the shapes that break such code."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.kernels.sparse import SparseRows, gather_sum, scatter_sum

SHAPES = [(1, 1), (4, 7), (6, 1), (3, 50)]


def random_matrix(seed: int, n_users: int, n_items: int, density: float = 0.3) -> InteractionMatrix:
    """Return a random matrix whose first row is empty and whose last row has every item."""
    cells = np.random.default_rng(seed).random((n_users, n_items)) < density
    cells[0] = False
    cells[-1] = True
    return InteractionMatrix.from_pairs(*np.nonzero(cells), n_users=n_users, n_items=n_items)


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 999),
    n_users=st.integers(1, 9),
    n_items=st.integers(1, 30),
    width=st.integers(1, 5),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_the_products_are_those_of_the_dense_matrix(
    seed: int, n_users: int, n_items: int, width: int, dtype: torch.dtype
) -> None:
    matrix = random_matrix(seed, n_users, n_items)
    rows = SparseRows.from_matrix(matrix)
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(matrix.n_interactions, generator=generator, dtype=dtype)
    dense = torch.zeros(n_users, n_items, dtype=dtype)
    dense[rows.row_of, rows.items.long()] = values
    weight = torch.randn(n_items, width, generator=generator, dtype=dtype)
    torch.testing.assert_close(gather_sum(rows, values, weight), dense @ weight)
    upstream = torch.randn(n_users, width, generator=generator, dtype=dtype)
    out = torch.full((n_items, width), float("nan"), dtype=dtype)
    scatter_sum(rows, values, upstream, out)
    torch.testing.assert_close(out, dense.T @ upstream)


@pytest.mark.parametrize(("n_users", "n_items"), SHAPES)
def test_taking_and_slicing_rows(n_users: int, n_items: int) -> None:
    matrix = random_matrix(3, n_users, n_items)
    rows = SparseRows.from_matrix(matrix)
    order = torch.from_numpy(np.random.default_rng(0).permutation(np.repeat(np.arange(n_users), 2)))
    taken, expected = rows.take(order), matrix.take(order.numpy())
    np.testing.assert_array_equal(taken.offsets.numpy(), expected.indptr)
    np.testing.assert_array_equal(taken.items.numpy(), expected.indices)
    part = rows.slice(n_users // 2, n_users)
    np.testing.assert_array_equal(part.items.numpy(), matrix.slice(n_users // 2, n_users).indices)
    assert part.n_rows == n_users - n_users // 2


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 999), n_items=st.integers(1, 30), spare=st.integers(0, 50))
def test_padded_rows_give_the_same_products(seed: int, n_items: int, spare: int) -> None:
    # A CUDA graph's batches all have one length; what runs there runs here, too.
    matrix = random_matrix(seed, 8, n_items)
    rows, order = SparseRows.from_matrix(matrix), torch.tensor([3, 7, 0, 3])
    exact = rows.take(order)
    padded = rows.take(order, exact.items.numel() + spare, padded=True)
    assert padded.items.numel() == exact.items.numel() + spare
    assert torch.equal(padded.ones(torch.float64).nonzero().flatten(), torch.arange(exact.items.numel()))
    values, padded_values = (part.unit_values(torch.float64) for part in (exact, padded))
    assert float(padded_values[exact.items.numel() :].abs().sum()) == 0
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(n_items, 3, generator=generator, dtype=torch.float64)
    expected = gather_sum(exact, values, weight)
    torch.testing.assert_close(gather_sum(padded, padded_values, weight), expected)
    dense = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    outs = [torch.full((n_items, 3), float("nan"), dtype=torch.float64) for _ in range(2)]
    scatter_sum(exact, values, dense, outs[0])
    scatter_sum(padded, padded_values, dense, outs[1])
    torch.testing.assert_close(outs[1], outs[0])


def test_rows_are_normalized_to_unit_length_and_an_empty_row_gives_no_nan() -> None:
    rows = SparseRows.from_matrix(random_matrix(1, 5, 20))
    values = rows.unit_values(torch.float64)
    squares = torch.zeros(5, dtype=torch.float64).index_add_(0, rows.row_of, values.square())
    torch.testing.assert_close(squares, torch.tensor([0.0, 1, 1, 1, 1], dtype=torch.float64))
    summed = gather_sum(rows, values, torch.ones(20, 3, dtype=torch.float64))
    assert torch.equal(summed[0], torch.zeros(3, dtype=torch.float64))
    assert torch.isfinite(summed).all()


def test_the_matrix_is_not_copied_on_the_cpu() -> None:
    matrix = random_matrix(1, 5, 20)
    assert SparseRows.from_matrix(matrix).items.data_ptr() == matrix.indices.ctypes.data
