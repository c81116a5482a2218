"""Sums of powers of 2 with the shift in the product: as right as the running maximum's, whatever the rows are."""

from __future__ import annotations

import math

import pytest
import torch

from distrecvae.kernels.multinomial import Multinomial
from distrecvae.kernels.scratch import Scratch
from distrecvae.kernels.shifted_logits import (
    SHIFT_ITEMS,
    RoundedWeight,
    ShiftedSums,
    augmented_width,
    rounded_weight_bytes,
)
from distrecvae.kernels.sparse import SparseRows
from tests.kernels.test_sparse import random_matrix

Parts = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def parts(n_rows: int, n_items: int, width: int, scale: float = 1.0) -> Parts:
    generator = torch.Generator().manual_seed(0)
    code, weight = (scale * torch.randn(n, width, generator=generator) for n in (n_rows, n_items))
    return code, weight, torch.randn(n_items, generator=generator)


def sums(
    given: Parts, step: int, *, whole: bool = False, mean: bool = True, keep: bool = False
) -> ShiftedSums:
    code, weight, bias = given
    n_items, scratch = weight.shape[0], Scratch()
    blocks = [(start, min(start + step, n_items)) for start in range(0, n_items, step)]
    rounded = RoundedWeight(weight, bias, scratch, min(step, n_items), whole=whole, known=False)
    return ShiftedSums(code, rounded, blocks, scratch, keep=keep, mean=mean)


@pytest.mark.parametrize("mean", [True, False])
@pytest.mark.parametrize(("n_rows", "n_items", "width"), [(1, 1, 1), (9, 40, 3), (30, 700, 12), (5, 300, 13)])
def test_totals_and_means_are_those_of_float64_but_for_rounding(
    n_rows: int, n_items: int, width: int, mean: bool
) -> None:
    code, weight, bias = given = parts(n_rows, n_items, width)
    logits = code.double() @ weight.double().T + bias.double()
    # The code, the logit and its power are rounded to 8 significant bits; logits are below 32 to the base of 2.
    tolerance = 3 * 32 * 2.0**-9
    for step in (64, 512, n_items):
        found = sums(given, step, mean=mean)
        assert found.usable
        log_total = (found.largest + found.total.log2()) * math.log(2)
        assert float((log_total.double() - logits.logsumexp(1)).abs().max()) < tolerance
        if found.mean is not None:
            truth = logits.softmax(dim=1) @ weight.double()
            assert float((found.mean.double() - truth).norm() / truth.norm()) < tolerance
        assert (found.mean is None) != mean


def test_a_bias_is_not_rounded() -> None:
    # 1000.125 has 13 significant bits. Rounded to 8 it is 1000 or 1004: the bias was part of a bfloat16 product.
    bias = torch.tensor([1000.125, 999.125])
    found = sums((torch.zeros(1, 2), torch.zeros(2, 2), bias), 2, mean=False)
    # The second power is exp(-1), and a shift near 1443 is a multiple of 8: what it lacks is at most 8 bits of a power.
    total = (found.largest.double() + found.total.double().log2()) * math.log(2)
    assert float(total) == pytest.approx(float(bias.double().logsumexp(0)), abs=8 * 2.0**-8)


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("whole", [True, False])
def test_powers_are_there_again(keep: bool, whole: bool) -> None:
    given = parts(6, 90, 4)
    expected = torch.cat([part.clone() for _, _, part, _ in sums(given, 90).again()], dim=1)
    found = sums(given, 32, keep=keep, whole=whole)
    blocks = [(start, stop, powers.clone()) for start, stop, powers, _ in found.again()]
    assert [block[:2] for block in blocks] == [(0, 32), (32, 64), (64, 90)]
    # The shift is found among the first block's items, so powers are compared by their share of the sum.
    mine = torch.cat([powers for *_, powers in blocks], dim=1).float()
    torch.testing.assert_close(
        mine / mine.sum(dim=1)[:, None],
        expected.float() / expected.float().sum(dim=1)[:, None],
        rtol=0.1,
        atol=1e-3,
    )


def test_logits_far_above_the_shift_are_left_to_the_running_maximum() -> None:
    # The first items' logits are 0, another one's 200 to the base of 2: its power is no float32.
    n_items = SHIFT_ITEMS + 5
    weight = torch.zeros(n_items, 1)
    weight[-1] = 200 * math.log(2)
    given = torch.ones(3, 1), weight, torch.zeros(n_items)
    assert not sums(given, n_items).usable
    rows = SparseRows.from_matrix(random_matrix(1, 3, n_items))
    losses = Multinomial(torch.bfloat16).loss_and_gradients(rows, *given)
    total = rows.counts * 200.0 * math.log(2)
    observed = torch.stack([weight[rows.items[rows.row_of == row].long(), 0].sum() for row in range(3)])
    torch.testing.assert_close(losses, total - observed, rtol=0.01, atol=0.01)


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_what_is_no_number_is_not_usable(value: float) -> None:
    code, weight, bias = parts(2, 5, 3)
    weight[2] = value
    assert not sums((code, weight, bias), 5).usable


def test_a_kept_weight_is_read_until_it_is_renewed() -> None:
    rows = SparseRows.from_matrix(random_matrix(2, 6, 80))
    code, weight, bias = parts(6, 80, 4)
    fresh, keeping = Multinomial(torch.bfloat16), Multinomial(torch.bfloat16, keeps_weight=True)
    first = fresh.loss_and_gradients(rows, code, weight, bias)
    for _ in range(2):
        assert torch.equal(keeping.loss_and_gradients(rows, code, weight, bias), first)
    other = weight * torch.linspace(0.5, 2.0, 80)[:, None]
    new = fresh.loss_and_gradients(rows, code, other, bias)
    assert not torch.equal(keeping.loss_and_gradients(rows, code, other, bias), new), "it was not kept"
    keeping.renew()
    assert torch.equal(keeping.loss_and_gradients(rows, code, other, bias), new)


def test_columns_are_whole_vectors() -> None:
    assert [augmented_width(width) for width in (1, 12, 13, 200)] == [16, 16, 32, 208]
    assert rounded_weight_bytes(20_108, 200) == 20_108 * 208 * 2
