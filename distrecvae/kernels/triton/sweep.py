"""One sweep over the items on a GPU: logsumexp of the logits and the mean of W under softmax, without the logits.

Attention's recurrence with keys and values that are both W: a program holds a block of rows, goes over a range of the
items and keeps the largest logit, the sum of powers and their product with W. A batch of rows alone would occupy a few
of a GPU's processors, so the items are split among programs, too, and a second launch combines what they found,
always in the same order. The split depends on the shapes only: the same input gives the same bits.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import triton
import triton.language as tl

WIDEST = 256
"""Widths up to this fit: a program holds its rows' sums of W in registers."""
PROGRAMS = 256
"""Programs wanted: two for each of an H100's processors, at once or, at widths beyond 128, one after the other."""
TILES = {
    False: {"ROWS": 64, "ITEMS": 32, "num_warps": 8, "num_stages": 2},
    True: {"ROWS": 32, "ITEMS": 16, "num_warps": 8, "num_stages": 1},
}
"""Rows and items that a program takes at a time, by whether they are of float32: the most that spill no register at
`WIDEST`, by the assembler's report. Float32 is multiplied without tensor cores, which would round its factors."""

_LOG2E = 1 / math.log(2)
_DTYPES = {torch.float32: tl.float32, torch.float16: tl.float16, torch.bfloat16: tl.bfloat16}


class Swept(NamedTuple):
    """What a sweep finds.

    Attributes:
        log_total: float32, (n_rows,), logsumexp of the logits.
        mean: float32, (n_rows, width), the mean of W under softmax, or None where it was not wanted.
    """

    log_total: torch.Tensor
    mean: torch.Tensor | None


@triton.jit(do_not_specialize=["n_rows", "n_items", "share"])
def _sweep(
    code, weight, bias, largest, totals, sums, n_rows, n_items, share,
    LOG2E: tl.constexpr, LOW: tl.constexpr, MEAN: tl.constexpr, WIDTH: tl.constexpr,
    ROWS: tl.constexpr, ITEMS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    split = tl.program_id(1)
    column = tl.arange(0, COLUMNS)
    real, wide = row < n_rows, column < WIDTH
    at_code = row[:, None] * WIDTH + column[None, :]
    codes = tl.load(code + at_code, mask=real[:, None] & wide[None, :], other=0.0).to(LOW)
    top = tl.full([ROWS], float("-inf"), tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    sum_ = tl.zeros([ROWS, COLUMNS], tl.float32)
    for start in range(split * share, tl.minimum(split * share + share, n_items), ITEMS):
        item = start + tl.arange(0, ITEMS)
        there = item < n_items
        block = weight + tl.cast(start, tl.int64) * WIDTH
        at = tl.arange(0, ITEMS)[:, None] * WIDTH + column[None, :]
        some = tl.load(block + at, mask=there[:, None] & wide[None, :], other=0.0).to(LOW)
        logits = tl.dot(codes, tl.trans(some), input_precision="ieee")
        logits = (logits + tl.load(bias + item, mask=there, other=0.0).to(tl.float32)[None, :]) * LOG2E
        logits = tl.where(there[None, :], logits, float("-inf"))
        larger = tl.maximum(top, tl.max(logits, 1))
        shrink = tl.exp2(top - larger)
        powers = tl.exp2(logits - larger[:, None])
        total = total * shrink + tl.sum(powers, 1)
        if MEAN:
            sum_ = sum_ * shrink[:, None] + tl.dot(powers.to(LOW), some, input_precision="ieee")
        top = larger
    place = split.to(tl.int64) * n_rows + row
    tl.store(largest + place, top, mask=real)
    tl.store(totals + place, total, mask=real)
    if MEAN:
        tl.store(sums + place[:, None] * WIDTH + column[None, :], sum_, mask=real[:, None] & wide[None, :])


@triton.jit(do_not_specialize=["n_rows", "n_splits"])
def _combine(
    largest, totals, sums, log_total, mean, n_rows, n_splits,
    LOG2E: tl.constexpr, MEAN: tl.constexpr, WIDTH: tl.constexpr, SPLITS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    split = tl.arange(0, SPLITS)
    top = tl.load(largest + split * n_rows + row, mask=split < n_splits, other=float("-inf"))
    highest = tl.max(top, 0)
    scale = tl.exp2(top - highest)
    total = tl.sum(scale * tl.load(totals + split * n_rows + row, mask=split < n_splits, other=0.0), 0)
    tl.store(log_total + row, (highest + tl.log2(total)) / LOG2E)
    if MEAN:
        column = tl.arange(0, COLUMNS)
        sum_ = tl.zeros([COLUMNS], tl.float32)
        for number in range(n_splits):
            place = row + number * n_rows
            shrink = tl.exp2(tl.load(largest + place) - highest)
            sum_ += shrink * tl.load(sums + place * WIDTH + column, mask=column < WIDTH, other=0.0)
        tl.store(mean + row * WIDTH + column, sum_ / total, mask=column < WIDTH)


def sweep(
    code: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, low: torch.dtype | None, *, mean: bool
) -> Swept:
    """Return the logsumexp of the logits code W^T + b of each row and, if wanted, the mean of W under their softmax.

    Args:
        code: (n_rows, width), at most `WIDEST` wide.
        weight: W, (n_items, width), contiguous; of float32 or of `low` already.
        bias: b, (n_items,).
        low: what the factors of products are rounded to, float16 or bfloat16; None for float32 and not at all.
        mean: whether the mean is wanted.
    """
    (n_rows, width), n_items, tile = code.shape, weight.shape[0], TILES[low is None]
    assert width <= WIDEST, "a program holds its rows in registers"  # noqa: S101
    assert weight.is_contiguous(), "a row is where the one before it ends"  # noqa: S101
    assert code.numel() < 1 << 31, "a batch's places are counted in 32 bits"  # noqa: S101
    row_blocks = triton.cdiv(n_rows, tile["ROWS"])
    # A split of fewer items than a row is wide would have sums of W that are larger than its logits.
    share = max(width, triton.cdiv(n_items, max(1, PROGRAMS // row_blocks)))
    share = tile["ITEMS"] * triton.cdiv(share, tile["ITEMS"])
    n_splits = triton.cdiv(n_items, share)
    device = code.device
    largest, totals = torch.empty(2, n_splits, n_rows, dtype=torch.float32, device=device).unbind()
    sums = torch.empty(n_splits if mean else 0, n_rows, width, dtype=torch.float32, device=device)
    log_total = torch.empty(n_rows, dtype=torch.float32, device=device)
    mean_weight = torch.empty(n_rows if mean else 0, width, dtype=torch.float32, device=device)
    both = {"LOG2E": _LOG2E, "MEAN": mean, "WIDTH": width, "COLUMNS": max(16, triton.next_power_of_2(width))}
    with torch.cuda.device_of(code):
        _sweep[(row_blocks, n_splits)](
            code.contiguous(), weight, bias, largest, totals, sums, n_rows, n_items, share,
            LOW=_DTYPES[low or torch.float32], **tile, **both,
        )  # fmt: skip
        _combine[(n_rows,)](
            largest, totals, sums, log_total, mean_weight, n_rows, n_splits,
            SPLITS=triton.next_power_of_2(n_splits), **both,
        )  # fmt: skip
    return Swept(log_total, mean_weight if mean else None)
