"""Sparse rows: against SciPy and dense matrices, in the shapes that break such code."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.kernels import sparse
from distrecvae.kernels.sparse import PIECE_PLACES, SparseRows, gather_sum, scatter_sum
from tests.soft_cuda import SoftDevice

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


LONG = [0, 1, 63, 64, 65, 128, 129, 700]
"""Lengths of rows on both sides of a piece's, and of several pieces'."""


def long_rows() -> InteractionMatrix:
    """Return users with `LONG` interactions each, in the first ones of 700 items: the first item is everyone's."""
    users = np.repeat(np.arange(len(LONG)), LONG)
    items = np.concatenate([np.arange(length) for length in LONG])
    return InteractionMatrix.from_pairs(users, items, n_users=len(LONG), n_items=700)


@pytest.mark.cuda
@pytest.mark.parametrize("spare", [None, 0, 1, 5000])
def test_products_on_a_gpu_are_made_of_pieces(spare: int | None, cuda_device: SoftDevice | None) -> None:
    # One thread walked a whole row for each column, and behind the last row all of the padding.
    matrix, generator = long_rows(), torch.Generator().manual_seed(0)
    weight, dense = (torch.randn(n, 3, generator=generator) for n in (700, len(LONG)))
    x = torch.from_numpy(matrix.to_scipy().toarray()).double()
    rows = SparseRows.from_matrix(matrix, "cuda")
    if spare is not None:
        every = torch.arange(len(LONG), device="cuda")
        rows = rows.take(every, matrix.n_interactions + spare, padded=True)
    values, out = rows.ones(torch.float32) * 2, torch.full((700, 3), np.nan, device="cuda")
    products = gather_sum(rows, values, weight.to("cuda"))
    scatter_sum(rows, values, dense.to("cuda"), out)
    torch.testing.assert_close(products.cpu().double(), 2 * x @ weight.double(), rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(out.cpu().double(), 2 * x.T @ dense.double(), rtol=1e-5, atol=1e-4)
    if cuda_device is not None:
        assert cuda_device.longest_bag <= PIECE_PLACES


def test_more_interactions_than_int32_counts_are_counted_in_int64(monkeypatch: pytest.MonkeyPatch) -> None:
    # Offsets wrapped beyond 2^31 interactions: ImplicitSLIM passes all users at once.
    rows, weight = SparseRows.from_matrix(long_rows()), torch.randn(700, 2)
    expected, types = gather_sum(rows, rows.ones(torch.float32), weight), []
    bags = torch.nn.functional.embedding_bag

    def noted(
        places: torch.Tensor, weight: torch.Tensor, offsets: torch.Tensor, **given: Any
    ) -> torch.Tensor:
        types.append((places.dtype, offsets.dtype))
        return bags(places, weight, offsets, **given)

    monkeypatch.setattr(torch.nn.functional, "embedding_bag", noted)
    for limit, wanted in ((rows.items.numel(), torch.int32), (rows.items.numel() - 1, torch.int64)):
        monkeypatch.setattr(sparse, "INT32_PLACES", limit)
        assert torch.equal(gather_sum(rows, rows.ones(torch.float32), weight), expected)
        assert types.pop() == (wanted, wanted)


@pytest.mark.cuda
def test_rows_of_nobody_can_be_padded() -> None:
    # There was nothing to look up, and it was looked up: an error here, on a GPU the end of the process.
    nothing = InteractionMatrix.from_pairs([], [], n_users=4, n_items=6)
    rows = SparseRows.from_matrix(nothing, "cuda").take(torch.arange(4, device="cuda"), 9, padded=True)
    assert rows.items.tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2]
    weight = torch.ones(6, 2, device="cuda")
    assert gather_sum(rows, rows.ones(torch.float32), weight).tolist() == [[0.0, 0.0]] * 4
