"""Swish, a residual and layer normalization on a GPU at once: a launch forward, two backward.

PyTorch's operators, the oracle, are `distrecvae.kernels.normed`'s. A program has a row, and backward some rows one
after another, whose parts of the gradients by weight and bias it adds up; a sum over programs, always in the same
order, is the second launch. What is in between is made again backward, not kept. In float32 throughout.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

WIDEST = 4096
"""Layers up to this width fit: a program holds its row in registers."""
ROWS = 4
"""Rows a program takes backward: 125 programs for a batch of 500 users, one for nearly each of an H100's processors."""


@triton.jit
def _swished(x, total, at, real, width, eps, RESIDUAL: tl.constexpr):
    """Return a row's swish, its sigmoid and what that is taken of; normalized, and 1 over its standard deviation."""
    inside = tl.load(x + at, mask=real, other=0.0)
    if RESIDUAL:
        inside += tl.load(total + at, mask=real, other=0.0)
    sigmoid = 1 / (1 + tl.exp(-inside))
    swish = inside * sigmoid
    away = tl.where(real, swish - tl.sum(swish, 0) / width, 0.0)
    scale = 1 / tl.sqrt_rn(tl.sum(away * away, 0) / width + eps)
    return inside, sigmoid, away * scale, scale


@triton.jit(do_not_specialize=["eps"])
def _forward(
    x, total, weight, bias, out, out_total, eps,
    RESIDUAL: tl.constexpr, SUM: tl.constexpr, WIDTH: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    column = tl.arange(0, COLUMNS)
    real = column < WIDTH
    at = tl.program_id(0).to(tl.int64) * WIDTH + column
    _, _, normal, _ = _swished(x, total, at, real, WIDTH, eps, RESIDUAL)
    found = normal * tl.load(weight + column, mask=real, other=0.0)
    found += tl.load(bias + column, mask=real, other=0.0)
    tl.store(out + at, found, mask=real)
    if SUM:
        tl.store(out_total + at, tl.load(total + at, mask=real, other=0.0) + found, mask=real)


@triton.jit(do_not_specialize=["eps", "n_rows"])
def _backward(
    x, total, weight, by_out, by_total, by_x, by_residual, parts, n_rows, eps,
    RESIDUAL: tl.constexpr, SUM: tl.constexpr, WIDTH: tl.constexpr, COLUMNS: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    program = tl.program_id(0)
    column = tl.arange(0, COLUMNS)
    real = column < WIDTH
    factor = tl.load(weight + column, mask=real, other=0.0)
    by_weight = tl.zeros([COLUMNS], tl.float32)
    by_bias = tl.zeros([COLUMNS], tl.float32)
    for row in range(program * ROWS, tl.minimum(program * ROWS + ROWS, n_rows)):
        at = tl.cast(row, tl.int64) * WIDTH + column
        inside, sigmoid, normal, scale = _swished(x, total, at, real, WIDTH, eps, RESIDUAL)
        upstream = tl.load(by_out + at, mask=real, other=0.0)
        passed = tl.zeros([COLUMNS], tl.float32)
        if SUM:
            passed = tl.load(by_total + at, mask=real, other=0.0)
            upstream += passed
        by_weight += upstream * normal
        by_bias += upstream
        pulled = upstream * factor
        both = tl.sum(pulled, 0) / WIDTH + normal * (tl.sum(pulled * normal, 0) / WIDTH)
        found = scale * (pulled - both) * (sigmoid * (1 + inside * (1 - sigmoid)))
        tl.store(by_x + at, found, mask=real)
        if RESIDUAL and SUM:
            tl.store(by_residual + at, found + passed, mask=real)
    to = parts + program.to(tl.int64) * 2 * WIDTH + column
    tl.store(to, by_weight, mask=real)
    tl.store(to + WIDTH, by_bias, mask=real)


def fits(x: torch.Tensor) -> bool:
    """Return whether these kernels are for a layer of the width and type of `x`."""
    return x.dtype == torch.float32 and x.shape[1] <= WIDEST


def normed_swish(
    x: torch.Tensor,
    total: torch.Tensor | None,
    weight: torch.Tensor,
    bias: torch.Tensor,
    eps: float,
    *,
    add: bool,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return h = LN(swish(x + total)), and total + h if wanted: (n_rows, width) each.

    Args:
        x: float32, (n_rows, width), contiguous, at most `WIDEST` wide.
        total: of the same shape, contiguous; None for zero.
        weight: of the normalization, (width,).
        bias: of the normalization, (width,).
        eps: of the normalization.
        add: whether the sum is wanted; then `total` is given.
    """
    assert total is not None or not add, "without a total there is no sum"  # noqa: S101
    (n_rows, width), out = x.shape, torch.empty_like(x)
    out_total = torch.empty_like(x) if add else None
    if n_rows:
        with torch.cuda.device_of(x):
            _forward[(n_rows,)](
                x, x if total is None else total, weight, bias, out, out if out_total is None else out_total,
                eps, RESIDUAL=total is not None, SUM=add, WIDTH=width, COLUMNS=triton.next_power_of_2(width),
                num_warps=4,
            )  # fmt: skip
    return out, out_total


def normed_swish_gradients(
    x: torch.Tensor,
    total: torch.Tensor | None,
    weight: torch.Tensor,
    eps: float,
    by_out: torch.Tensor,
    by_total: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the gradients by `x` and `total`, (n_rows, width) each, and by weight and bias, (width,) each.

    Args:
        x: as `normed_swish` was given it.
        total: as `normed_swish` was given it; the gradient by None is that by `x`.
        weight: as `normed_swish` was given it.
        eps: as `normed_swish` was given it.
        by_out: the gradient by h, (n_rows, width).
        by_total: the gradient by the sum where one was wanted.
    """
    (n_rows, width), by_x = x.shape, torch.empty_like(x)
    # What passes to the residual is the same but for what comes through the sum.
    by_residual = by_x if total is None or by_total is None else torch.empty_like(x)
    n_programs = triton.cdiv(n_rows, ROWS)
    parts = torch.empty(n_programs, 2, width, dtype=x.dtype, device=x.device)
    by_out = by_out.contiguous()
    if n_rows:
        with torch.cuda.device_of(x):
            _backward[(n_programs,)](
                x, x if total is None else total, weight, by_out,
                by_out if by_total is None else by_total.contiguous(), by_x, by_residual, parts, n_rows, eps,
                RESIDUAL=total is not None, SUM=by_total is not None, WIDTH=width,
                COLUMNS=triton.next_power_of_2(width), ROWS=ROWS, num_warps=8,
            )  # fmt: skip
    by_weight, by_bias = parts.sum(dim=0).unbind()
    return by_x, by_residual, by_weight, by_bias
