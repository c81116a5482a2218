"""The gradient of a linear output layer under a softmax on a GPU, with Adam at once.

Neither the logits nor the gradient lie in memory.

For rows x with n ones, the gradient by item i's row of W is sum_r scale_r (n_r softmax(l_r)_i - x_ri) z_r, that by its
bias the same without z. A program takes a block of items, makes their logits for all rows once more (`sweep` found
their totals before) and adds up both parts in registers. What is observed is a product with ones and zeros, whose
other factor is taken apart into three of the lower precision: it is as exact as in float32, and on tensor cores.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import triton
import triton.language as tl

from distrecvae.kernels.triton.adam import ByItem, Moments, Rates, adam, advance
from distrecvae.kernels.triton.sweep import WIDEST

TILES = {
    False: {"ITEMS": 32, "ROWS": 32, "PLACES": 16, "num_warps": 8, "num_stages": 1},
    True: {"ITEMS": 16, "ROWS": 16, "PLACES": 16, "num_warps": 8, "num_stages": 1},
}
"""Items that a program takes, rows and interactions that it takes at a time, by whether products are of float32."""

_LOG2E = 1 / math.log(2)
_LIFT = 2.0**8
"""Factors are multiplied by it, their products divided: in float16 the smallest probabilities would vanish."""
_DTYPES = {torch.float32: tl.float32, torch.float16: tl.float16, torch.bfloat16: tl.bfloat16}


class Targets(NamedTuple):
    """What the logits of a batch should have been.

    Attributes:
        by_item: the rows' interactions by item.
        row_of: int64, (n_places,), the row of each place; n_rows for padding, which contributes nothing.
        counts: float32, (n_rows,), the number of interactions of each row.
        scale: float32, (n_rows,), what each row counts in the loss: 1 / n_rows for a mean.
    """

    by_item: ByItem
    row_of: torch.Tensor
    counts: torch.Tensor
    scale: torch.Tensor


@triton.jit(do_not_specialize=["n_rows", "n_items", "eps"], do_not_specialize_on_alignment=["row_of"])
def _by_softmax(
    code, low_code, weight, bias, log_total, counts, scale, starts, items, order, row_of,
    first, second, scales, bias_first, bias_second, bias_scales, copy, n_rows, n_items, eps,
    LOG2E: tl.constexpr, LIFT: tl.constexpr, LOW: tl.constexpr, PARTS: tl.constexpr, ADAM: tl.constexpr,
    COPY: tl.constexpr, BETA1: tl.constexpr, BETA2: tl.constexpr, WIDTH: tl.constexpr,
    ITEMS: tl.constexpr, ROWS: tl.constexpr, PLACES: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Make the gradients of a block of items: take Adam's step with them, or store them as `first` and `bias_first`."""
    begin = tl.program_id(0) * ITEMS
    item = begin + tl.arange(0, ITEMS)
    column = tl.arange(0, COLUMNS)
    there, wide = item < n_items, column < WIDTH
    at = tl.arange(0, ITEMS)[:, None] * WIDTH + column[None, :]
    block = begin.to(tl.int64) * WIDTH  # apart from `at`, which in 64 bits would take twice the registers
    real = there[:, None] & wide[None, :]
    some = tl.load(weight + block + at, mask=real, other=0.0).to(LOW)
    own_bias = tl.load(bias + item, mask=there, other=0.0)
    gradient = tl.zeros([ITEMS, COLUMNS], tl.float32)
    bias_gradient = tl.zeros([ITEMS], tl.float32)
    for start in range(0, n_rows, ROWS):
        row = start + tl.arange(0, ROWS)
        inside = row < n_rows
        at_code = row[:, None] * WIDTH + column[None, :]
        z = tl.load(low_code + at_code, mask=inside[:, None] & wide[None, :], other=0.0)
        pull = tl.load(counts + row, mask=inside, other=0.0) * tl.load(scale + row, mask=inside, other=0.0)
        total = tl.load(log_total + row, mask=inside, other=float("inf"))
        logits = tl.dot(some, tl.trans(z), input_precision="ieee") + own_bias[:, None]
        pulled = tl.exp2((logits - total[None, :]) * LOG2E) * pull[None, :]
        bias_gradient += tl.sum(pulled, 1)
        gradient += tl.dot((pulled * LIFT).to(LOW), z, input_precision="ieee")
    end = tl.load(starts + tl.minimum(begin + ITEMS, n_items))
    for start in range(tl.load(starts + begin), end, PLACES):
        which = start + tl.arange(0, PLACES)
        place = tl.load(order + which, mask=which < end, other=0)
        row = tl.load(row_of + place, mask=which < end, other=n_rows).to(tl.int32)
        mine = row < n_rows
        share = tl.load(scale + row, mask=mine, other=0.0)
        is_its = tl.load(items + which, mask=which < end, other=-1)[None, :] == item[:, None]
        bias_gradient -= tl.sum(tl.where(is_its, share[None, :], 0.0), 1)
        at_code = row[:, None] * WIDTH + column[None, :]
        rest = tl.load(code + at_code, mask=mine[:, None] & wide[None, :], other=0.0).to(tl.float32)
        rest *= (share * LIFT)[:, None]
        minus = tl.where(is_its, -1.0, 0.0).to(LOW)
        for _ in tl.static_range(PARTS):
            part = rest.to(LOW)
            gradient += tl.dot(minus, part, input_precision="ieee")
            rest -= part.to(tl.float32)
    gradient *= 1 / LIFT
    if ADAM:
        new, new_first, new_second = adam(
            tl.load(weight + block + at, mask=real, other=0.0),
            tl.load(first + block + at, mask=real, other=0.0),
            tl.load(second + block + at, mask=real, other=0.0),
            gradient, tl.load(scales), tl.load(scales + 1), eps, BETA1, BETA2,
        )  # fmt: skip
        tl.store(first + block + at, new_first, mask=real)
        tl.store(second + block + at, new_second, mask=real)
        tl.store(weight + block + at, new, mask=real)
        if COPY:
            tl.store(copy + block + at, new.to(LOW), mask=real)
        new, new_first, new_second = adam(
            own_bias,
            tl.load(bias_first + item, mask=there, other=0.0),
            tl.load(bias_second + item, mask=there, other=0.0),
            bias_gradient, tl.load(bias_scales), tl.load(bias_scales + 1), eps, BETA1, BETA2,
        )  # fmt: skip
        tl.store(bias_first + item, new_first, mask=there)
        tl.store(bias_second + item, new_second, mask=there)
        tl.store(bias + item, new, mask=there)
    else:
        tl.store(first + block + at, gradient, mask=real)
        tl.store(bias_first + item, bias_gradient, mask=there)


def decoder_gradients(
    targets: Targets,
    code: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    log_total: torch.Tensor,
    low: torch.dtype | None,
    weight_gradient: torch.Tensor,
    bias_gradient: torch.Tensor,
) -> None:
    """Write the gradients of the rows' negative log-likelihoods, each times its scale, by W and by b.

    Args:
        targets: what the rows have.
        code: z, (n_rows, width), at most `sweep.WIDEST` wide.
        weight: W, (n_items, width), contiguous.
        bias: b, (n_items,).
        log_total: (n_rows,), logsumexp of the logits, as `sweep` finds it with the same `low`.
        low: what the factors of products are rounded to, float16 or bfloat16; None for float32 and not at all.
        weight_gradient: overwritten, of the shape of `weight`.
        bias_gradient: overwritten, of the shape of `bias`.
    """
    unused = log_total
    _launch(
        targets, code, weight, bias, log_total, low, Rates(0.0),
        (weight_gradient, unused, unused), (bias_gradient, unused, unused), None, adam_too=False,
    )  # fmt: skip


def step_decoder(
    targets: Targets,
    code: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    log_total: torch.Tensor,
    low: torch.dtype | None,
    moments: tuple[Moments, Moments],
    rates: Rates,
    copy: torch.Tensor | None = None,
) -> None:
    """Take Adam's step for W and b with the gradients that `decoder_gradients` would write.

    Args:
        targets: what the rows have.
        code: as for `decoder_gradients`.
        weight: W, float32; updated in place.
        bias: b, float32; updated in place.
        log_total: as for `decoder_gradients`.
        low: as for `decoder_gradients`.
        moments: of W and of b; updated in place.
        rates: Adam's settings, the same for both.
        copy: of the shape of W and the type `low`: overwritten with W as it is then, for the sweeps to come.
    """
    states = [(m.exp_avg, m.exp_avg_sq, advance(m.step, rates)) for m in moments]
    _launch(targets, code, weight, bias, log_total, low, rates, states[0], states[1], copy, adam_too=True)


def _launch(
    targets: Targets,
    code: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    log_total: torch.Tensor,
    low: torch.dtype | None,
    rates: Rates,
    states: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    bias_states: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    copy: torch.Tensor | None,
    *,
    adam_too: bool,
) -> None:
    (n_items, width), code = weight.shape, code.contiguous()
    assert code.numel() < 1 << 31, "a batch's places are counted in 32 bits"  # noqa: S101
    assert width <= WIDEST, "a program holds its rows in registers"  # noqa: S101
    assert weight.is_contiguous(), "a row is where the one before it ends"  # noqa: S101
    tile = TILES[low is None]
    with torch.cuda.device_of(code):
        _by_softmax[(triton.cdiv(n_items, tile["ITEMS"]),)](
            code, code.to(low or torch.float32), weight, bias, log_total,
            targets.counts, targets.scale, *targets.by_item, targets.row_of,
            *states, *bias_states, weight if copy is None else copy, code.shape[0], n_items, rates.eps,
            LOG2E=_LOG2E, LIFT=_LIFT, LOW=_DTYPES[low or torch.float32], PARTS=1 if low is None else 3,
            ADAM=adam_too, COPY=copy is not None, BETA1=rates.betas[0], BETA2=rates.betas[1], WIDTH=width,
            COLUMNS=max(16, triton.next_power_of_2(width)), **tile,
        )  # fmt: skip
