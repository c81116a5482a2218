"""The product of sparse rows and a dense matrix on a GPU: a gather-sum whose long rows are split.

PyTorch's `embedding_bag` lets one thread walk a row, and the last row ends at the end of the places there, so that the
last user walks all padding. Here a row up to a length has a program to itself, a longer one is cut at fixed places
into parts, whose sums a second launch adds up in their order. No atomics: the same input gives the same bits.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

SHORT = 256
"""Places that one program sums at least; what is longer is split. At 16 a step that is 16 trips to memory."""
MOST_PARTS = 4096
"""Into how many parts all places are cut at most: beyond it a program sums more, so that the parts' sums stay small."""


@triton.jit
def _sum(
    first, last, items, values, weight, column,
    WIDTH: tl.constexpr, STRIDE: tl.constexpr, PLACES: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Return the sum over places first..last-1 of values times rows of weight, at some columns: float32, (COLUMNS,)."""
    total = tl.zeros([PLACES, COLUMNS], tl.float32)
    for start in range(first, last, PLACES):
        place = start + tl.arange(0, PLACES)
        inside = place < last
        item = tl.load(items + place, mask=inside, other=0).to(tl.int64)
        value = tl.load(values + place, mask=inside, other=0.0).to(tl.float32)
        at = weight + item[:, None] * STRIDE + column[None, :]
        row = tl.load(at, mask=inside[:, None] & (column < WIDTH)[None, :], other=0.0).to(tl.float32)
        total += value[:, None] * row
    return tl.sum(total, 0)


@triton.jit
def _row_of(offsets, n_rows, place):
    """Return the row that has `place`: the last one that starts at it or before."""
    low = tl.zeros([], tl.int32)
    high = low + n_rows
    while high - low > 1:
        middle = (low + high) // 2
        starts_before = tl.load(offsets + middle) <= place
        low = tl.where(starts_before, middle, low)
        high = tl.where(starts_before, high, middle)
    return low


@triton.jit(do_not_specialize=["n_rows"], do_not_specialize_on_alignment=["offsets", "items", "values"])
def _sum_rows(
    offsets, items, values, weight, out, parts, n_rows, LONG,
    WIDTH: tl.constexpr, STRIDE: tl.constexpr, PLACES: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Program r < n_rows sums row r if that is short; n_rows + c what long rows have of the c-th `LONG` places."""
    program = tl.program_id(0)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    real = column < WIDTH
    if program < n_rows:
        first, last = tl.load(offsets + program), tl.load(offsets + program + 1)
        if last - first <= LONG:
            total = _sum(first, last, items, values, weight, column, WIDTH, STRIDE, PLACES, COLUMNS)
            tl.store(out + program.to(tl.int64) * WIDTH + column, total, mask=real)
    else:
        part = (program - n_rows).to(tl.int64)
        begin = part * LONG
        end = tl.minimum(begin + LONG, tl.load(offsets + n_rows))
        if begin < end:
            row = _row_of(offsets, n_rows, begin)
            first, last = tl.load(offsets + row), tl.load(offsets + row + 1)
            if last - first > LONG:
                stop = tl.minimum(last, end)
                total = _sum(begin, stop, items, values, weight, column, WIDTH, STRIDE, PLACES, COLUMNS)
                tl.store(parts + part * 2 * WIDTH + column, total, mask=real)
            if last < end:
                # Another long row may begin in here. Longer than a part, it continues beyond the end.
                row = _row_of(offsets, n_rows, end - 1)
                first, last = tl.load(offsets + row), tl.load(offsets + row + 1)
                if last - first > LONG:
                    total = _sum(first, end, items, values, weight, column, WIDTH, STRIDE, PLACES, COLUMNS)
                    tl.store(parts + (part * 2 + 1) * WIDTH + column, total, mask=real)


@triton.jit(do_not_specialize=["n_rows"], do_not_specialize_on_alignment=["offsets"])
def _add_parts(
    offsets, parts, out, n_rows, LONG,
    WIDTH: tl.constexpr, PLACES: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Program c adds up the parts of the long row that begins in the c-th `LONG` places, if one does."""
    part = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    real = column < WIDTH
    begin = part * LONG
    end = tl.minimum(begin + LONG, tl.load(offsets + n_rows))
    if begin < end:
        row = _row_of(offsets, n_rows, end - 1)
        first, last = tl.load(offsets + row), tl.load(offsets + row + 1)
        if (last - first > LONG) & (first >= begin):
            # Its first part is the second one of those places where another row came before.
            slot = (first > begin).to(tl.int64)
            head = tl.load(parts + (part * 2 + slot) * WIDTH + column, mask=real, other=0.0)
            total = tl.zeros([PLACES, COLUMNS], tl.float32)
            for start in range(part + 1, (last - 1) // LONG + 1, PLACES):
                other = start + tl.arange(0, PLACES)
                inside = other <= (last - 1) // LONG
                at = parts + other[:, None] * 2 * WIDTH + column[None, :]
                total += tl.load(at, mask=inside[:, None] & real[None, :], other=0.0)
            tl.store(out + row.to(tl.int64) * WIDTH + column, head + tl.sum(total, 0), mask=real)


def gather_sum(
    offsets: torch.Tensor, items: torch.Tensor, values: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """Return for each row the sum over its places of values times rows of `weight`: (n_rows, width); summed in float32.

    Args:
        offsets: int64, (n_rows + 1,), where each row starts in `items`; an empty row's sum is zero.
        items: int32, (n_places,); places from offsets[n_rows] on belong to no row and cost nothing.
        values: (n_places,).
        weight: (n_items, width), of float32, float16 or bfloat16, as what is returned.
    """
    n_rows, width = offsets.numel() - 1, weight.shape[1]
    weight = weight if weight.stride(1) == 1 or width == 1 else weight.contiguous()
    out = torch.empty(n_rows, width, dtype=weight.dtype, device=weight.device)
    long = max(SHORT, triton.next_power_of_2(triton.cdiv(items.numel(), MOST_PARTS)))
    n_parts = triton.cdiv(items.numel(), long) if items.numel() > long else 0
    if not out.numel():
        return out
    parts = torch.empty(max(n_parts, 1), 2, width, dtype=torch.float32, device=weight.device)
    columns = min(128, triton.next_power_of_2(width))
    places = min(256, 2048 // columns)
    blocks = triton.cdiv(width, columns)
    tile = {"WIDTH": width, "PLACES": places, "COLUMNS": columns}
    with torch.cuda.device_of(weight):
        _sum_rows[(n_rows + n_parts, blocks)](
            offsets, items, values, weight, out, parts, n_rows, long, STRIDE=weight.stride(0), **tile
        )
        if n_parts:
            _add_parts[(n_parts, blocks)](offsets, parts, out, n_rows, long, **tile)
    return out
