"""The likelihood by hand: against float64 autograd of the equation as it is written in the paper."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.kernels.multinomial import KEPT_BYTES, Multinomial, block_items, working_bytes
from distrecvae.kernels.sparse import SparseRows
from tests.kernels.test_sparse import random_matrix

Parts = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def plain(matrix: InteractionMatrix, parts: Parts) -> list[torch.Tensor]:
    """Return the losses and the three gradients of their mean: dense rows, autograd, log_softmax times x."""
    code, weight, bias = (part.double().requires_grad_() for part in parts)
    x = torch.from_numpy(matrix.to_scipy().toarray()).double()
    losses = -(torch.log_softmax(code @ weight.T + bias, dim=1) * x).sum(dim=1)
    return [losses.detach(), *torch.autograd.grad(losses.mean(), [code, weight, bias])]


def by_hand(
    matrix: InteractionMatrix | SparseRows,
    parts: Parts,
    items_a_block: int | None = None,
    kept_bytes: int = KEPT_BYTES,
    low: torch.dtype | None = None,
) -> list[torch.Tensor]:
    code, weight, bias = parts
    gradients = [torch.full_like(part, float("nan")) for part in parts]
    losses = Multinomial(low, items_a_block=items_a_block, kept_bytes=kept_bytes).loss_and_gradients(
        matrix if isinstance(matrix, SparseRows) else SparseRows.from_matrix(matrix),
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


in_any_shape_and_blocks = given(
    seed=st.integers(0, 999),
    n_rows=st.integers(1, 9),
    n_items=st.integers(1, 40),
    width=st.integers(1, 6),
    items_a_block=st.integers(1, 45),
    kept_bytes=st.sampled_from([0, KEPT_BYTES]),
)


@settings(deadline=None, max_examples=60)
@in_any_shape_and_blocks
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


def naive(matrix: InteractionMatrix, parts: Parts, *, low: bool) -> list[torch.Tensor]:
    """Return the same as `plain` in float32, or under autocast to bfloat16: what anyone would write."""
    code, weight, bias = (part.clone().requires_grad_() for part in parts)
    x = torch.from_numpy(matrix.to_scipy().toarray())
    with torch.autocast("cpu", torch.bfloat16, enabled=low):
        logits = torch.nn.functional.linear(code, weight, bias)
    losses = -(torch.log_softmax(logits.float(), dim=1) * x).sum(dim=1)
    return [losses.detach(), *torch.autograd.grad(losses.mean(), [code, weight, bias])]


SHAPES = [
    (40, 300, 20, 1.0),
    (200, 2000, 50, 0.3),
    (30, 200, 1, 1.0),
    (64, 1000, 200, 0.3),
    (500, 1000, 100, 0.1),
]
DRAWS = 8


@pytest.mark.parametrize(("n_rows", "n_items", "width", "scale"), SHAPES)
@pytest.mark.parametrize("low", [None, torch.bfloat16], ids=str)
def test_errors_are_no_worse_than_those_of_the_naive_way_in_the_same_precision(
    low: torch.dtype | None, n_rows: int, n_items: int, width: int, scale: float
) -> None:
    # How exact the naive way is depends on the instructions its sums are made with, and on luck in one draw: so both
    # ways' errors are root mean squares over some draws. With SSE4, AVX2 and AVX-512 they are 0.2 to 2.3 times the
    # naive way's, the most where the bias gradient is a small difference of two sums, which the naive way never makes.
    # A sum of 1 / n_rows as a rounded number is up to 26 times as wrong.
    squares: dict[str, list[tuple[float, float]]] = {}
    for seed in range(DRAWS):
        matrix = random_matrix(seed, n_rows, n_items, density=0.1)
        parts: Parts = tuple(part.float() for part in random_parts(seed, n_rows, n_items, width, scale))  # type: ignore[assignment]
        truth = plain(matrix, parts)
        found, usual = by_hand(matrix, parts, 64, low=low), naive(matrix, parts, low=low is not None)
        for name, mine, other, true in zip(
            ("loss", "code", "weight", "bias"), found, usual, truth, strict=True
        ):
            error, usual_error = (
                float((value.double() - true).norm() / true.norm()) for value in (mine, other)
            )
            squares.setdefault(name, []).append((error**2, usual_error**2))
    for name, pairs in squares.items():
        error, usual_error = (math.sqrt(sum(column) / DRAWS) for column in zip(*pairs, strict=True))
        if name == "loss":
            # The observed items' part of the loss is not rounded here; there its error and the rest's cancel in part.
            assert error <= (1e-6 if low is None else 2.0**-7)
        else:
            assert error <= 3 * usual_error, name


@settings(deadline=None, max_examples=40)
@in_any_shape_and_blocks
def test_bfloat16_is_the_same_in_any_shape_and_blocks_but_for_rounding(
    seed: int, n_rows: int, n_items: int, width: int, items_a_block: int, kept_bytes: int
) -> None:
    matrix = random_matrix(seed, n_rows, n_items)
    parts: Parts = tuple(part.float() for part in random_parts(seed, n_rows, n_items, width))  # type: ignore[assignment]
    found = by_hand(matrix, parts, items_a_block, kept_bytes, torch.bfloat16)
    for mine, true in zip(found, plain(matrix, parts), strict=True):
        # A gradient is the difference of two parts of this size; either is rounded at most a few times.
        size = max(1.0, float(true.abs().max()))
        torch.testing.assert_close(mine.double(), true, rtol=0.05, atol=0.05 * size)


@pytest.mark.parametrize("low", [None, torch.bfloat16], ids=str)
def test_padding_changes_nothing(low: torch.dtype | None) -> None:
    matrix = random_matrix(5, 12, 30)
    parts: Parts = tuple(part.float() for part in random_parts(3, 12, 30, 4))  # type: ignore[assignment]
    rows = SparseRows.from_matrix(matrix)
    everybody = torch.arange(12)
    padded = rows.take(everybody, matrix.n_interactions + 40, padded=True)
    for found, expected in zip(
        by_hand(padded, parts, 7, low=low), by_hand(rows.take(everybody), parts, 7, low=low), strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


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
    if dtype == torch.float32:  # 80 and 1 are exact in bfloat16, so the answer is, too
        for found, expected in zip(
            by_hand(matrix, parts, low=torch.bfloat16), plain(matrix, parts), strict=True
        ):
            torch.testing.assert_close(found.double(), expected, rtol=1e-2, atol=1e-2)


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
