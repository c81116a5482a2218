"""Swish, a residual and layer normalization, which RecVAE's densely connected layers have after each product.

For the sum t of the layers before and a layer's product x, h = LN(swish(x + t)), and the next layer's sum is t + h. On
a GPU that the Triton kernels are for that is a launch forward and two backward instead of some ten.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812

from distrecvae.kernels.triton.choice import usable


def normed_swish(
    x: torch.Tensor, total: torch.Tensor | None, norm: torch.nn.LayerNorm, *, add: bool
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return h = LN(swish(x + total)), (n_rows, width), and total + h or None; differentiable.

    Args:
        x: (n_rows, width).
        total: the sum of the layers before, of the same shape; None for the first layer, whose sum is h itself.
        norm: over the width, with weight and bias.
        add: whether the sum is wanted.
    """
    if _taken(x, norm) and (total is None or total.is_contiguous()):
        with_residual = add and total is not None
        results = _NormedSwish.apply(x, total, norm.weight, norm.bias, norm.eps, with_residual)  # type: ignore[no-untyped-call]
        hidden: torch.Tensor = results[0]
        return hidden, results[1] if with_residual else hidden if add else None
    hidden = norm(F.silu(x if total is None else x + total))
    if not add:
        return hidden, None
    return hidden, hidden if total is None else total + hidden


def _taken(x: torch.Tensor, norm: torch.nn.LayerNorm) -> bool:
    with torch.no_grad():  # autograd is seen to here
        if not usable(x, norm.weight, norm.bias):
            return False
    from distrecvae.kernels.triton.normed import fits

    return fits(x) and x.is_contiguous()


class _NormedSwish(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        total: torch.Tensor | None,
        weight: torch.Tensor,
        bias: torch.Tensor,
        eps: float,
        add: bool,
    ) -> tuple[torch.Tensor, ...]:
        from distrecvae.kernels.triton import normed

        ctx.save_for_backward(x, total, weight)
        ctx.eps = eps
        out, summed = normed.normed_swish(x, total, weight, bias, eps, add=add)
        return (out,) if summed is None else (out, summed)

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        from distrecvae.kernels.triton import normed

        x, total, weight = ctx.saved_tensors
        by_total = upstream[1] if len(upstream) > 1 else None
        found = normed.normed_swish_gradients(x, total, weight, ctx.eps, upstream[0], by_total)
        by_x, by_residual, by_weight, by_bias = found
        return by_x, None if total is None else by_residual, by_weight, by_bias, None, None
