"""The likelihood by hand: against float64 autograd of the equation as it is written in the paper."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.models.multinomial import KEPT_BYTES, Multinomial, block_items, working_bytes
from distrecvae.models.sparse import SparseRows
from tests.models.test_sparse import random_matrix

Parts = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def plain(matrix: InteractionMatrix, parts: Parts) -> list[torch.Tensor]:
    """Return the losses and the three gradients of their mean: dense rows, autograd, log_softmax times x."""
    code, weight, bias = (part.double().requires_grad_() for part in parts)
    x = torch.from_numpy(matrix.to_scipy().toarray()).double()
    losses = -(torch.log_softmax(code @ weight.T + bias, dim=1) * x).sum(dim=1)
    return [losses.detach(), *torch.autograd.grad(losses.mean(), [code, weight, bias])]


def by_hand(
    matrix: InteractionMatrix, parts: Parts, items_a_block: int | None = None, kept_bytes: int = KEPT_BYTES
) -> list[torch.Tensor]:
    code, weight, bias = parts
    gradients = [torch.full_like(part, float("nan")) for part in parts]
    losses = Multinomial(items_a_block=items_a_block, kept_bytes=kept_bytes).loss_and_gradients(
        SparseRows.from_matrix(matrix),
        code,
        weight,
        bias,
        code_gradient=gradients[0],
        weight_gradient=gradients[1],
        bias_gradient=gradients[2],
    )
    return [losses, *gradients]


def random_parts(seed: int, n_rows: int, n_items: int, width: int, scale: float = 1.0) -> Parts:
    generator = torch.Generator().manual_seed(seed)
    shapes = ((n_rows, width), (n_items, width), (n_items,))
    code, weight, bias = (
        scale * torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes
    )
    return code, weight, bias


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 999),
    n_rows=st.integers(1, 9),
    n_items=st.integers(1, 40),
    width=st.integers(1, 6),
    items_a_block=st.integers(1, 45),
    kept_bytes=st.sampled_from([0, KEPT_BYTES]),
)
def test_losses_and_gradients_in_any_shape_and_blocks(
    seed: int, n_rows: int, n_items: int, width: int, items_a_block: int, kept_bytes: int
) -> None:
    matrix = random_matrix(seed, n_rows, n_items)
    parts = random_parts(seed, n_rows, n_items, width)
    for found, expected in zip(
        by_hand(matrix, parts, items_a_block, kept_bytes), plain(matrix, parts), strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)


def test_rows_of_one_item_each() -> None:
    matrix = InteractionMatrix.from_pairs(range(5), [0, 3, 3, 7, 7], n_users=5, n_items=8)
    parts = random_parts(1, 5, 8, 3)
    for found, expected in zip(by_hand(matrix, parts), plain(matrix, parts), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)


def test_an_empty_row_contributes_nothing() -> None:
    matrix = random_matrix(4, 3, 10)
    losses, code, _, _ = by_hand(matrix, random_parts(1, 3, 10, 2))
    assert losses[0] == 0
    assert torch.equal(code[0], torch.zeros(2, dtype=torch.float64))


def test_float32_is_as_near_to_the_truth_as_plain_float32() -> None:
    matrix, parts = random_matrix(7, 40, 300, density=0.1), random_parts(2, 40, 300, 20)
    single: Parts = tuple(part.float() for part in parts)  # type: ignore[assignment]
    code, weight, bias = (part.clone().requires_grad_() for part in single)
    x = torch.from_numpy(matrix.to_scipy().toarray())
    losses = -(torch.log_softmax(code @ weight.T + bias, dim=1) * x).sum(dim=1)
    naive = [losses.detach(), *torch.autograd.grad(losses.mean(), [code, weight, bias])]
    truth = plain(matrix, tuple(part.double() for part in single))  # type: ignore[arg-type]
    for found, usual, true in zip(by_hand(matrix, single), naive, truth, strict=True):
        error, usual_error = ((value.double() - true).abs().max() for value in (found, usual))
        assert error <= 3 * usual_error


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_logits_of_eighty_stay_finite_and_right(dtype: torch.dtype) -> None:
    matrix = InteractionMatrix.from_pairs([0, 0, 1], [0, 1, 2], n_users=2, n_items=3)
    parts: Parts = (
        torch.ones(2, 1, dtype=dtype),
        torch.tensor([[80.0], [-80.0], [-80.0]], dtype=dtype),
        torch.zeros(3, dtype=dtype),
    )
    for found, expected in zip(by_hand(matrix, parts), plain(matrix, parts), strict=True):
        torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("wanted", list(itertools.product([False, True], repeat=3)))
def test_only_the_wanted_gradients_are_made(wanted: tuple[bool, bool, bool]) -> None:
    matrix, parts = random_matrix(3, 6, 20), random_parts(3, 6, 20, 4)
    names = ("code_gradient", "weight_gradient", "bias_gradient")
    gradients = {
        name: torch.empty_like(part) for name, part, use in zip(names, parts, wanted, strict=True) if use
    }
    losses = Multinomial(items_a_block=4).loss_and_gradients(
        SparseRows.from_matrix(matrix), *parts, **gradients
    )
    truth = dict(zip(("losses", *names), plain(matrix, parts), strict=True))
    for name, found in {"losses": losses, **gradients}.items():
        torch.testing.assert_close(found, truth[name])


def test_one_object_serves_batches_of_any_size() -> None:
    likelihood = Multinomial(items_a_block=3)
    for n_rows, n_items in ((2, 9), (8, 40), (1, 3), (5, 40)):
        matrix, (code, weight, bias) = random_matrix(1, n_rows, n_items), random_parts(1, n_rows, n_items, 2)
        losses = likelihood.loss_and_gradients(SparseRows.from_matrix(matrix), code, weight, bias)
        torch.testing.assert_close(losses, plain(matrix, (code, weight, bias))[0])


def test_memory_does_not_grow_with_users_times_items() -> None:
    assert working_bytes(500, 20_108, "cpu", None) >= 4 * 500 * 20_108, "small enough to keep"
    for low in (None, torch.bfloat16):
        flat = working_bytes(500, 1_000_000, "cpu", low)
        assert flat == working_bytes(500, 10_000_000, "cpu", low) <= 8 << 20
    assert block_items(500, 300) == 300
    assert block_items(500, 20_108) % 64 == 0
    assert block_items(1_000_000, 20_108) == 64
