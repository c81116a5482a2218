"""The multinomial likelihood of rows on a GPU, put together from this room's kernels.

The equations are those of `distrecvae.kernels.multinomial`, its oracle. Logits and powers are never in memory: a step
that trains the encoder takes one sweep over the items, one that trains the decoder another, which makes them again.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from distrecvae.kernels.triton.adam import Moments, Rates, by_item
from distrecvae.kernels.triton.decoder import Targets, decoder_gradients, step_decoder
from distrecvae.kernels.triton.gather import gather_sum
from distrecvae.kernels.triton.sweep import WIDEST, sweep


class Observed(NamedTuple):
    """What a batch's rows have: `SparseRows` as plain tensors.

    Attributes:
        offsets: int64, (n_rows + 1,), where each row starts in `items`.
        items: int32, (n_places,); what is beyond the last row is padding.
        row_of: int64, (n_places,), the row of each place; n_rows for padding.
    """

    offsets: torch.Tensor
    items: torch.Tensor
    row_of: torch.Tensor


class AdamStep(NamedTuple):
    """Adam's step of a decoder, taken where its gradient is made.

    Attributes:
        weight: what Adam remembers of the weight.
        bias: what it remembers of the bias.
        rates: its settings.
        copy: of the weight's shape and the factors' type: overwritten with the weight as it is then; or None.
    """

    weight: Moments
    bias: Moments
    rates: Rates
    copy: torch.Tensor | None = None


def fits(weight: torch.Tensor, low: torch.dtype | None) -> bool:
    """Return whether these kernels are for such an output layer: not too wide, and for tensor cores.

    In float32, which they would multiply without, PyTorch's products are the better ones.
    """
    return (
        low is not None
        and weight.shape[1] <= WIDEST
        and weight.dtype == torch.float32
        and weight.is_contiguous()
    )


def loss_and_gradients(
    rows: Observed,
    code: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    low: torch.dtype | None,
    *,
    code_gradient: torch.Tensor | None = None,
    weight_gradient: torch.Tensor | None = None,
    bias_gradient: torch.Tensor | None = None,
    row_weights: torch.Tensor | None = None,
    step: AdamStep | None = None,
    low_weight: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return -log p(x) of each row, (n_rows,); write the gradients of its mean over the rows, or take a step with them.

    Args:
        rows: the observed items.
        code: z, (n_rows, width).
        weight: W, (n_items, width).
        bias: b, (n_items,).
        low: what the factors of products are rounded to; None for not at all.
        code_gradient: overwritten with the gradient by `code` where given.
        weight_gradient: overwritten with the gradient by `weight` where given.
        bias_gradient: overwritten with the gradient by `bias` where given.
        row_weights: (n_rows,), what each row counts in that mean, not in what is returned; None for 1 each.
        step: updates `weight` and `bias` in place by Adam, last of all; instead of their gradients.
        low_weight: W rounded to `low` already, as `AdamStep.copy` leaves it; None rounds it as it is read.
    """
    n_rows = code.shape[0]
    counts = (rows.offsets[1:] - rows.offsets[:-1]).to(code.dtype)
    ones = torch.ones(rows.items.numel(), dtype=code.dtype, device=code.device)
    observed = gather_sum(rows.offsets, rows.items, ones, weight)
    observed_bias = gather_sum(rows.offsets, rows.items, ones, bias[:, None])[:, 0]
    factor = weight if low_weight is None else low_weight
    swept = sweep(code, factor, bias, low, mean=code_gradient is not None)
    losses = counts * swept.log_total - (code * observed).sum(dim=1) - observed_bias
    if code_gradient is not None and swept.mean is not None:
        torch.addcmul(-observed, counts[:, None], swept.mean, out=code_gradient).div_(n_rows)
        if row_weights is not None:
            code_gradient.mul_(row_weights[:, None])
    if step is None and weight_gradient is None and bias_gradient is None:
        return losses
    scale = (torch.ones_like(counts) if row_weights is None else row_weights) / n_rows
    targets = Targets(by_item(rows.items, weight.shape[0]), rows.row_of, counts, scale)
    if step is not None:
        both = (step.weight, step.bias)
        step_decoder(targets, code, weight, bias, swept.log_total, low, both, step.rates, step.copy)
        return losses
    decoder_gradients(
        targets,
        code,
        weight,
        bias,
        swept.log_total,
        low,
        torch.empty_like(weight) if weight_gradient is None else weight_gradient,
        torch.empty_like(bias) if bias_gradient is None else bias_gradient,
    )
    return losses
