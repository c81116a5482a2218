"""Adam on a GPU for layers with a row an item: the gradient is made where it is used, and never lies in memory.

The update is that of `torch.optim.Adam(fused=True, capturable=True)` without weight decay: every row's moments decay,
also those of items that no user of the batch has. A gradient in memory would be written, read and be as large as the
layer; at MovieLens-20M's shape that is 96 of 386 MB that a step of the first layer moves, and the sums are the same.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import triton
import triton.language as tl


class Moments(NamedTuple):
    """What Adam remembers of a parameter, as PyTorch names it; updated in place.

    Attributes:
        step: float32, (), how many steps were taken; on the device.
        exp_avg: of the parameter's shape.
        exp_avg_sq: of the parameter's shape.
    """

    step: torch.Tensor
    exp_avg: torch.Tensor
    exp_avg_sq: torch.Tensor


class Rates(NamedTuple):
    """Adam's settings.

    Attributes:
        learning_rate: of the parameter.
        betas: the moments' decays, from 0 to below 1.
        eps: what is added to the second moment's root.
    """

    learning_rate: float
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8


class ByItem(NamedTuple):
    """A batch's interactions in the order of their items, in which an item's users keep theirs.

    Attributes:
        starts: int64, (n_items + 1,), where each item starts in the others.
        items: int32, (n_places,), increasing.
        order: int64, (n_places,), the places among the rows that they come from.
    """

    starts: torch.Tensor
    items: torch.Tensor
    order: torch.Tensor


def by_item(items: torch.Tensor, n_items: int) -> ByItem:
    """Return the interactions, int32 (n_places,), sorted by item; padding is an interaction like any other."""
    found, order = items.sort(stable=True)
    every = torch.arange(n_items + 1, dtype=torch.int32, device=items.device)
    return ByItem(torch.searchsorted(found, every), found, order)


@triton.jit
def adam(weight, first, second, gradient, size, root, eps, BETA1: tl.constexpr, BETA2: tl.constexpr):
    """Return the new weight and moments; `size` is lr / (1 - beta1^t), `root` is sqrt(1 - beta2^t)."""
    first = BETA1 * first + (1 - BETA1) * gradient
    second = BETA2 * second + (1 - BETA2) * gradient * gradient
    return weight - size * first / (tl.sqrt_rn(second) / root + eps), first, second


@triton.jit
def _advance(step, scales, learning_rate, LOG1: tl.constexpr, LOG2: tl.constexpr):
    steps = tl.load(step) + 1
    tl.store(step, steps)
    # In float64, which a single program can afford: 1 - 0.999 has three digits less than 0.999.
    exact = steps.to(tl.float64)
    tl.store(scales, learning_rate / (1 - tl.exp(exact * LOG1)))
    tl.store(scales + 1, tl.sqrt(1 - tl.exp(exact * LOG2)))


@triton.jit(do_not_specialize=["n_rows", "eps"], do_not_specialize_on_alignment=["row_of", "values"])
def _step_items(
    starts, order, row_of, values, dense, weight, first, second, scales, n_rows, eps,
    BETA1: tl.constexpr, BETA2: tl.constexpr, WIDTH: tl.constexpr, PLACES: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    item = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    real = column < WIDTH
    end = tl.load(starts + item + 1)
    total = tl.zeros([PLACES, COLUMNS], tl.float32)
    for start in range(tl.load(starts + item), end, PLACES):
        which = start + tl.arange(0, PLACES)
        place = tl.load(order + which, mask=which < end, other=0)
        row = tl.load(row_of + place, mask=which < end, other=n_rows).to(tl.int32)
        mine = row < n_rows  # padding belongs to no row
        value = tl.load(values + place, mask=mine, other=0.0).to(tl.float32)
        at = dense + row[:, None] * WIDTH + column[None, :]
        total += value[:, None] * tl.load(at, mask=mine[:, None] & real[None, :], other=0.0).to(tl.float32)
    at = item * WIDTH + column
    new, new_first, new_second = adam(
        tl.load(weight + at, mask=real, other=0.0),
        tl.load(first + at, mask=real, other=0.0),
        tl.load(second + at, mask=real, other=0.0),
        tl.sum(total, 0),
        tl.load(scales),
        tl.load(scales + 1),
        eps,
        BETA1,
        BETA2,
    )
    tl.store(first + at, new_first, mask=real)
    tl.store(second + at, new_second, mask=real)
    tl.store(weight + at, new, mask=real)


def advance(step: torch.Tensor, rates: Rates) -> torch.Tensor:
    """Count a step and return lr / (1 - beta1^t) and sqrt(1 - beta2^t) of it: float32, (2,), on the device."""
    scales = torch.empty(2, dtype=torch.float32, device=step.device)
    logs = [math.log(beta) if beta else -math.inf for beta in rates.betas]
    with torch.cuda.device_of(step):
        _advance[(1,)](step, scales, rates.learning_rate, *logs, num_warps=1)
    return scales


def step_item_rows(
    found: ByItem,
    row_of: torch.Tensor,
    values: torch.Tensor,
    dense: torch.Tensor,
    weight: torch.Tensor,
    moments: Moments,
    rates: Rates,
) -> None:
    """Take Adam's step for `weight` with the gradient of `gather_sum` by it.

    That is, for each item, the sum over its interactions of `values` times their rows of `dense`.

    Args:
        found: the rows' interactions by item.
        row_of: int64, (n_places,), the row of each place; n_rows for padding, which contributes nothing.
        values: (n_places,).
        dense: (n_rows, width), the gradient by the rows' sums.
        weight: float32, (n_items, width), contiguous; updated in place.
        moments: of `weight`; updated in place.
        rates: Adam's settings.
    """
    n_items, width = weight.shape
    assert weight.is_contiguous(), "it is updated in place, row after row"  # noqa: S101
    assert dense.numel() < 1 << 31, "a batch's places are counted in 32 bits"  # noqa: S101
    scales = advance(moments.step, rates)
    columns = min(256, triton.next_power_of_2(width))
    places = max(1, min(64, 2048 // columns))
    with torch.cuda.device_of(weight):
        _step_items[(n_items, triton.cdiv(width, columns))](
            found.starts, found.order, row_of, values, dense.contiguous(),
            weight, moments.exp_avg, moments.exp_avg_sq, scales, dense.shape[0], rates.eps, *rates.betas,
            WIDTH=width, PLACES=places, COLUMNS=columns, num_warps=4,
        )  # fmt: skip
