"""Owns the multinomial likelihood of a user's row under a linear output layer, and its gradient by hand.

For logits l = W z + b and a row x with n ones, log p(x) = sum_(i in x) l_i - n logsumexp(l), and its derivative by
the logits is x - n softmax(l). Both parts split: what concerns the observed items is a sparse product, always in
float32; what concerns all items is summed over blocks of items under a running maximum. So no target matrix, no
autograd graph and, beyond a stated size, no logits of users x items are ever held.

Exponentials are powers of 2 of logits made to that base: PyTorch's exp2 is several times faster than its exp on CPUs
where that one is MKL's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from distrecvae.models.precision import product
from distrecvae.models.scratch import Scratch
from distrecvae.models.sparse import SparseRows, gather_sum, scatter_sum

BLOCK_ELEMENTS = 512 * 1024
"""Logits in a block: what a core's cache holds is what a CPU is fastest with."""
KEPT_BYTES = 256 << 20
"""2^logits of a batch are kept for the gradient by `weight` up to this size; beyond it they are made again."""

_LOG2E = 1 / math.log(2)


def block_items(n_rows: int, n_items: int, device_type: str = "cpu") -> int:
    """Return how many items a block of logits covers; a multiple of 64, for aligned rows, unless it is all."""
    elements = BLOCK_ELEMENTS if device_type == "cpu" else KEPT_BYTES // 4
    return min(n_items, max(64, elements // max(n_rows, 1) // 64 * 64))


def working_bytes(n_rows: int, n_items: int, device_type: str, low: torch.dtype | None) -> int:
    """Return the size of the buffers that training in single precision holds for a batch of `n_rows`: bytes."""
    block = n_rows * block_items(n_rows, n_items, device_type)
    kept = n_rows * n_items * (4 if low is None else low.itemsize)
    return (
        4 * block + (kept if kept <= KEPT_BYTES else 0) + (2 * block * low.itemsize if low is not None else 0)
    )


@dataclass
class _Sweep:
    """What a sweep over the items leaves; logits are to the base of 2.

    Attributes:
        largest: (n_rows,), the largest logit.
        total: (n_rows,), sum of 2^(logit - largest).
        mean: (n_rows, width), the mean of `weight` under softmax, where asked for.
        scales: for each block (n_rows,), the logit that its kept powers are relative to.
    """

    largest: torch.Tensor
    total: torch.Tensor
    mean: torch.Tensor | None
    scales: list[torch.Tensor]


class Multinomial:
    """The negative log-likelihood of rows given codes, with buffers that live as long as the training does.

    Args:
        low: what the factors of products with all items are rounded to; None for not at all.
        items_a_block: items whose logits are made at a time; None chooses by the number of rows.
        kept_bytes: size up to which powers are kept between the two uses of them.
    """

    def __init__(
        self,
        low: torch.dtype | None = None,
        *,
        items_a_block: int | None = None,
        kept_bytes: int = KEPT_BYTES,
    ) -> None:
        self._low = low
        self._items_a_block = items_a_block
        self._kept_bytes = kept_bytes
        self._scratch = Scratch()

    def loss_and_gradients(
        self,
        rows: SparseRows,
        code: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        *,
        code_gradient: torch.Tensor | None = None,
        weight_gradient: torch.Tensor | None = None,
        bias_gradient: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return -log p(x) of each row, (n_rows,), and write the gradients of its mean over the rows.

        Args:
            rows: the observed items; an empty row has likelihood one and no gradient.
            code: z, (n_rows, width).
            weight: W, (n_items, width).
            bias: b, (n_items,).
            code_gradient: overwritten with the gradient by `code` where given.
            weight_gradient: overwritten with the gradient by `weight` where given.
            bias_gradient: overwritten with the gradient by `bias` where given.
        """
        ones = rows.ones(code.dtype)
        observed = gather_sum(rows, ones, weight)
        observed_bias = gather_sum(rows, ones, bias[:, None])[:, 0]
        blocks = self._blocks(code, rows.n_items)
        again = weight_gradient is not None or bias_gradient is not None
        keep = again and rows.n_rows * rows.n_items * self._powers_dtype(code).itemsize <= self._kept_bytes
        base2 = (code * _LOG2E, weight, bias * _LOG2E)
        sweep = self._sweep(*base2, blocks, keep=keep, mean=code_gradient is not None)

        counts = rows.counts.to(code.dtype)
        log_total = (sweep.largest + sweep.total.log2()) / _LOG2E
        losses = counts * log_total - (code * observed).sum(dim=1) - observed_bias
        if code_gradient is not None and sweep.mean is not None:
            torch.addcmul(-observed, counts[:, None], sweep.mean, out=code_gradient).div_(rows.n_rows)
        ones *= -1 / rows.n_rows
        if weight_gradient is not None:
            scatter_sum(rows, ones, code, out=weight_gradient)
        if bias_gradient is not None:
            bias_gradient.zero_().index_add_(0, rows.items, ones)
        if again:
            # The bias is the weight of a code that is always one.
            wide = torch.cat([code, torch.ones_like(code[:, :1])], dim=1)
            wide *= (counts / rows.n_rows / sweep.total)[:, None]
            for (start, stop), scale in zip(blocks, sweep.scales, strict=True):
                powers, factor = self._powers(code, start, stop, keep=keep), wide
                if keep:
                    factor = wide * (scale - sweep.largest).exp2()[:, None]
                else:
                    block = self._logits(*base2, start, stop, out=powers)
                    powers = self._rounded(block.sub_(sweep.largest[:, None]).exp2_(), powers)
                gradient = product(powers.T, factor, self._low, self._scratch)
                if weight_gradient is not None:
                    weight_gradient[start:stop] += gradient[:, :-1]
                if bias_gradient is not None:
                    bias_gradient[start:stop] += gradient[:, -1]
        return losses

    def _sweep(
        self,
        code: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        blocks: list[tuple[int, int]],
        *,
        keep: bool,
        mean: bool,
    ) -> _Sweep:
        """Sum 2^logits, and their products with `weight`, over blocks of items under a running maximum."""
        n_items = weight.shape[0]
        if keep:  # the whole of it at once: growing would lose what was written
            self._scratch.reserve("powers", code.shape[0] * n_items, self._powers_dtype(code), code.device)
        largest = torch.full((code.shape[0],), -torch.inf, dtype=code.dtype, device=code.device)
        total = torch.zeros_like(largest)
        summed = torch.zeros_like(code) if mean else None
        scales = []
        for start, stop in blocks:
            powers = self._powers(code, start, stop, keep=keep)
            block = self._logits(code, weight, bias, start, stop, out=powers)
            larger = torch.maximum(largest, block.amax(dim=1))
            shrink = (largest - larger).exp2()
            block.sub_(larger[:, None]).exp2_()
            total.mul_(shrink).add_(block.sum(dim=1))
            if keep or summed is not None:
                powers = self._rounded(block, powers)
            if summed is not None:
                part = product(powers, weight[start:stop], self._low, self._scratch)
                summed.mul_(shrink[:, None]).add_(part)
            largest = larger
            scales.append(larger)
        return _Sweep(largest, total, None if summed is None else summed / total[:, None], scales)

    def _blocks(self, code: torch.Tensor, n_items: int) -> list[tuple[int, int]]:
        """Return where blocks of items start and stop."""
        step = self._items_a_block or block_items(code.shape[0], n_items, code.device.type)
        return [(start, min(start + step, n_items)) for start in range(0, n_items, step)]

    def _powers_dtype(self, code: torch.Tensor) -> torch.dtype:
        return code.dtype if self._low is None else self._low

    def _powers(self, code: torch.Tensor, start: int, stop: int, *, keep: bool) -> torch.Tensor:
        """Return where the powers of items start..stop-1 go, (n_rows, stop - start): a place each if kept."""
        n_rows, dtype = code.shape[0], self._powers_dtype(code)
        if not keep:
            return self._scratch.matrix("powers", n_rows, stop - start, dtype, code.device)
        flat = self._scratch.reserve("powers", n_rows * stop, dtype, code.device)
        return flat[n_rows * start : n_rows * stop].view(n_rows, stop - start)

    def _logits(
        self,
        code: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        start: int,
        stop: int,
        out: torch.Tensor,
    ) -> torch.Tensor:
        """Return the logits of items start..stop-1, of the dtype of `code`; in `out` if it is of that dtype."""
        if self._low is None:
            return torch.addmm(bias[start:stop], code, weight[start:stop].T, out=out)
        logits = product(code, weight[start:stop].T, self._low, self._scratch)
        block = self._scratch.matrix("logits", out.shape[0], out.shape[1], code.dtype, code.device)
        return torch.add(logits, bias[start:stop], out=block)

    @staticmethod
    def _rounded(block: torch.Tensor, powers: torch.Tensor) -> torch.Tensor:
        """Return `block` in `powers`, which may be the same memory."""
        return block if block.dtype == powers.dtype else powers.copy_(block)
