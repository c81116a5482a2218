"""Losses of single cells: against the equations, dense and in float64, in whatever blocks they are made."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F  # noqa: N812

from distrecvae.kernels.pointwise import CellLoss, Pointwise, chance_of_a_zero, logistic, square
from distrecvae.kernels.sparse import SparseRows
from tests.kernels.random_users import dense, random_users
from tests.kernels.test_layers import N_ITEMS
from tests.kernels.test_multinomial import random_parts
from tests.kernels.test_sparse import random_matrix

LOSSES: dict[str, CellLoss] = {"square": square, "logistic": logistic}
ORACLES: dict[str, CellLoss] = {
    "square": lambda logits, targets: F.mse_loss(logits, targets, reduction="none"),
    "logistic": lambda logits, targets: F.binary_cross_entropy_with_logits(logits, targets, reduction="none"),
}


@settings(deadline=None, max_examples=40)
@given(
    name=st.sampled_from(sorted(LOSSES)),
    seed=st.integers(0, 999),
    n_rows=st.integers(1, 9),
    n_items=st.integers(1, 40),
    items_a_block=st.integers(1, 45),
    padding=st.integers(0, 9),
)
def test_losses_of_cells_and_gradients_in_any_shape_and_blocks(
    name: str, seed: int, n_rows: int, n_items: int, items_a_block: int, padding: int
) -> None:
    matrix, parts = random_matrix(seed, n_rows, n_items), random_parts(seed, n_rows, n_items, 3)
    rows = SparseRows.from_matrix(matrix).take(
        torch.arange(n_rows), matrix.n_interactions + padding, padded=bool(padding)
    )
    gradients = [torch.full_like(part, float("nan")) for part in parts]
    losses = Pointwise(LOSSES[name], items_a_block=items_a_block).loss_and_gradients(
        rows, *parts, code_gradient=gradients[0], weight_gradient=gradients[1], bias_gradient=gradients[2]
    )
    code, weight, bias = (part.clone().requires_grad_() for part in parts)
    x = torch.from_numpy(matrix.to_scipy().toarray()).double()
    expected = ORACLES[name](code @ weight.T + bias, x).sum(dim=1)
    torch.testing.assert_close(losses, expected.detach())
    for mine, true in zip(gradients, torch.autograd.grad(expected.mean(), [code, weight, bias]), strict=True):
        torch.testing.assert_close(mine, true)


@pytest.mark.parametrize("name", LOSSES)
def test_bfloat16_is_the_same_but_for_rounding(name: str) -> None:
    parts = [part.float() for part in random_parts(2, N_ITEMS, N_ITEMS, 4, scale=0.5)]
    matrix = random_matrix(2, N_ITEMS, N_ITEMS)
    results = []
    for low in (None, torch.bfloat16):
        gradients = [torch.empty_like(part) for part in parts]
        losses = Pointwise(LOSSES[name], low).loss_and_gradients(
            SparseRows.from_matrix(matrix),
            *parts,
            code_gradient=gradients[0],
            weight_gradient=gradients[1],
            bias_gradient=gradients[2],
        )
        results.append([losses, *gradients])
    for found, true in zip(results[1], results[0], strict=True):
        assert float((found - true).norm() / true.norm()) <= 2.0**-6


def test_weighted_zeros_are_what_a_sample_of_them_gives_in_the_mean() -> None:
    # Negatives drawn one by one without replacement, as in the paper's objective, against their expectation.
    matrix, negatives, n_draws = random_users(n_users=8, n_items=30), 2, 4000
    rows, x = SparseRows.from_matrix(matrix), dense(matrix)
    parts = random_parts(1, 8, 30, 3, scale=0.5)
    losses = Pointwise(square, negatives=negatives).loss_and_gradients(rows, *parts).numpy()
    y = (parts[0] @ parts[1].T + parts[2]).numpy()
    generator = np.random.default_rng(0)
    for user in range(8):
        ones, zeros = np.flatnonzero(x[user]), np.flatnonzero(x[user] == 0)
        size = min(negatives * ones.size, zeros.size)
        drawn = [generator.choice(zeros, size, replace=False) for _ in range(n_draws)]
        sampled = np.array([((1 - y[user, ones]) ** 2).sum() + (y[user, d] ** 2).sum() for d in drawn])
        error = 4 * sampled.std() / np.sqrt(n_draws) + 1e-9
        assert abs(losses[user] - sampled.mean()) <= error


def test_the_chance_of_a_zero_is_at_most_one_and_none_without_interactions() -> None:
    found = chance_of_a_zero(torch.tensor([0.0, 1.0, 4.0, 9.0, 10.0]), 10, 3)
    torch.testing.assert_close(found, torch.tensor([0.0, 1 / 3, 1.0, 1.0, 1.0]))


def test_the_logistic_loss_does_not_overflow() -> None:
    logits = torch.tensor([-200.0, -80.0, 0.0, 80.0, 200.0])
    torch.testing.assert_close(logistic(logits, torch.ones(5)), torch.tensor([200.0, 80.0, 0.6931472, 0, 0]))
    torch.testing.assert_close(logistic(logits, torch.zeros(5)), torch.tensor([0, 0, 0.6931472, 80.0, 200.0]))


@pytest.mark.parametrize("items_a_block", [1, 7, 64])
def test_weights_of_zeros_do_not_depend_on_blocks(items_a_block: int) -> None:
    matrix, parts = random_matrix(5, 9, 40), random_parts(5, 9, 40, 3)
    results = []
    for items in (items_a_block, None):
        gradients = [torch.full_like(part, float("nan")) for part in parts]
        rows = SparseRows.from_matrix(matrix).take(torch.arange(9), matrix.n_interactions + 3, padded=True)
        losses = Pointwise(logistic, negatives=2, items_a_block=items).loss_and_gradients(
            rows,
            *parts,
            code_gradient=gradients[0],
            weight_gradient=gradients[1],
            bias_gradient=gradients[2],
        )
        results.append([losses, *gradients])
    for found, true in zip(results[0], results[1], strict=True):
        torch.testing.assert_close(found, true)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("negatives", [None, 2.0])
def test_rows_count_in_the_mean_what_they_are_told_to_and_their_losses_stay(
    name: str, negatives: float | None
) -> None:
    matrix, parts = random_matrix(5, 6, 20), random_parts(5, 6, 20, 3)
    weights = torch.tensor([0.0, 1.0, -2.0, 0.5, 3.0, 1.0], dtype=torch.float64)
    gradients = [torch.full_like(part, float("nan")) for part in parts]
    output = Pointwise(LOSSES[name], negatives=negatives, items_a_block=7)
    rows = SparseRows.from_matrix(matrix)
    losses = output.loss_and_gradients(
        rows,
        *parts,
        code_gradient=gradients[0],
        weight_gradient=gradients[1],
        bias_gradient=gradients[2],
        row_weights=weights,
    )
    code, weight, bias = (part.clone().requires_grad_() for part in parts)
    x = torch.from_numpy(dense(matrix))
    counted = torch.ones_like(x)
    if negatives is not None:
        n = x.sum(dim=1, keepdim=True)
        counted = torch.where(x > 0, 1.0, (negatives * n / (20 - n)).nan_to_num(1.0).clamp(max=1))
    expected = (counted * ORACLES[name](code @ weight.T + bias, x)).sum(dim=1)
    torch.testing.assert_close(losses, expected.detach())
    mean = (weights * expected).mean()
    for mine, true in zip(gradients, torch.autograd.grad(mean, [code, weight, bias]), strict=True):
        torch.testing.assert_close(mine, true)


@pytest.mark.parametrize("wanted", ["code_gradient", "weight_gradient", "bias_gradient", None])
def test_a_gradient_does_not_depend_on_which_others_are_wanted(wanted: str | None) -> None:
    matrix, parts = random_matrix(5, 6, 20), random_parts(5, 6, 20, 3)
    names = ("code_gradient", "weight_gradient", "bias_gradient")
    every = {name: torch.empty_like(part) for name, part in zip(names, parts, strict=True)}
    rows = SparseRows.from_matrix(matrix)
    losses = Pointwise(square).loss_and_gradients(rows, *parts, **every)
    some = {name: torch.empty_like(value) for name, value in every.items() if name == wanted}
    again = Pointwise(square).loss_and_gradients(rows, *parts, **some)
    assert torch.equal(again, losses)
    for name, value in some.items():
        torch.testing.assert_close(value, every[name])


def test_a_row_of_nothing_is_a_row_of_zeros_and_has_a_loss() -> None:
    matrix, parts = random_matrix(4, 3, 10), random_parts(1, 3, 10, 2)
    code, weight, bias = parts
    assert matrix.counts()[0] == 0
    losses = Pointwise(square).loss_and_gradients(SparseRows.from_matrix(matrix), *parts)
    torch.testing.assert_close(losses[0], (code[0] @ weight.T + bias).square().sum())


def test_a_row_of_nothing_has_no_loss_where_zeros_count_by_what_is_drawn_for_it() -> None:
    rows = SparseRows.from_matrix(random_matrix(4, 3, 10))
    losses = Pointwise(square, negatives=4).loss_and_gradients(rows, *random_parts(1, 3, 10, 2))
    assert losses[0] == 0


def test_buffers_of_one_batch_leave_no_trace_in_the_next() -> None:
    # Targets lie in a buffer that is written to for ever.
    output, parts = Pointwise(square, items_a_block=8), random_parts(1, 5, 20, 3)
    one, other = (SparseRows.from_matrix(random_matrix(seed, 5, 20)) for seed in (1, 2))
    expected = output.loss_and_gradients(one, *parts).clone()
    output.loss_and_gradients(other, *parts)
    assert torch.equal(output.loss_and_gradients(one, *parts), expected)


@pytest.mark.cuda
@pytest.mark.parametrize("items_a_block", [None, 7])
def test_a_gpu_is_not_waited_for_and_gives_the_same(items_a_block: int | None) -> None:
    # Choosing what lies in a block by a mask would ask the device how much that is.
    matrix, parts = random_matrix(4, 9, 30), random_parts(4, 9, 30, 3)
    expected = [torch.empty_like(part) for part in parts]
    here = Pointwise(logistic).loss_and_gradients(
        SparseRows.from_matrix(matrix), *parts,
        code_gradient=expected[0], weight_gradient=expected[1], bias_gradient=expected[2],
    )  # fmt: skip
    there = [part.to("cuda") for part in parts]
    found = [torch.empty_like(part) for part in there]
    users = torch.arange(9, device="cuda")
    rows = SparseRows.from_matrix(matrix, "cuda").take(users, matrix.n_interactions + 5, padded=True)
    likelihood = Pointwise(logistic, items_a_block=items_a_block)
    torch.cuda.set_sync_debug_mode("error")
    try:
        losses = likelihood.loss_and_gradients(
            rows, *there, code_gradient=found[0], weight_gradient=found[1], bias_gradient=found[2]
        )
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for one, other in zip((losses, *found), (here, *expected), strict=True):
        torch.testing.assert_close(one.cpu(), other)
