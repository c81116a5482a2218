"""Owns the multinomial likelihood of a user's row under a linear output layer, and its gradient by hand.

For logits l = W z + b and a row x with n ones, log p(x) = sum_(i in x) l_i - n logsumexp(l), and its derivative by
the logits is x - n softmax(l). Both parts split: what concerns the observed items is a sparse product, what
concerns all items is summed over blocks of items under a running maximum. So no target matrix, no autograd graph
and, beyond a stated size, no logits of users x items are ever held.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from distrecvae.models.sparse import SparseRows, gather_sum, scatter_sum

BLOCK_ELEMENTS = 512 * 1024
"""Logits in a block: what a core's cache holds is what a CPU is fastest with."""
KEPT_BYTES = 256 << 20
"""exp(logits) of a batch are kept for the gradient by `weight` up to this size; beyond it they are made again."""


def block_items(n_rows: int, n_items: int, device_type: str = "cpu") -> int:
    """Return how many items a block of logits covers; a multiple of 64, for aligned rows, unless it is all."""
    elements = BLOCK_ELEMENTS if device_type == "cpu" else KEPT_BYTES // 4
    return min(n_items, max(64, elements // max(n_rows, 1) // 64 * 64))


def logits_held(n_rows: int, n_items: int) -> int:
    """Return how many logits, or their exponentials, are held at a time in single precision on a CPU."""
    everything = n_rows * n_items
    return everything if everything * 4 <= KEPT_BYTES else n_rows * block_items(n_rows, n_items)


@dataclass
class _Sweep:
    """What a sweep over the items leaves.

    Attributes:
        largest: (n_rows,), the largest logit.
        total: (n_rows,), sum of exp(logit - largest).
        mean: (n_rows, width), the mean of `weight` under softmax, where asked for.
        scales: for each block (n_rows,), the logit that its kept exponentials are relative to.
    """

    largest: torch.Tensor
    total: torch.Tensor
    mean: torch.Tensor | None
    scales: list[torch.Tensor]


class Multinomial:
    """The negative log-likelihood of rows given codes, with buffers that live as long as the training does.

    Args:
        items_a_block: items whose logits are made at a time; None chooses by the number of rows.
        kept_bytes: size up to which exponentials are kept between the two uses of them.
    """

    def __init__(self, items_a_block: int | None = None, kept_bytes: int = KEPT_BYTES) -> None:
        self._items_a_block = items_a_block
        self._kept_bytes = kept_bytes
        self._buffer = torch.empty(0)

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
        ones = torch.ones(rows.items.numel(), dtype=code.dtype, device=code.device)
        observed = gather_sum(rows, ones, weight)
        observed_bias = gather_sum(rows, ones, bias[:, None])[:, 0]
        step = self._items_a_block or block_items(rows.n_rows, rows.n_items, code.device.type)
        again = weight_gradient is not None or bias_gradient is not None
        keep = again and rows.n_rows * rows.n_items * code.itemsize <= self._kept_bytes
        self._reserve(rows.n_rows * (rows.n_items if keep else min(step, rows.n_items)), code)
        sweep = self._sweep(code, weight, bias, step, keep=keep, mean=code_gradient is not None)

        counts = rows.counts().to(code.dtype)
        losses = counts * (sweep.largest + sweep.total.log()) - (code * observed).sum(dim=1) - observed_bias
        if code_gradient is not None and sweep.mean is not None:
            torch.addcmul(-observed, counts[:, None], sweep.mean, out=code_gradient).div_(rows.n_rows)
        if again:
            share = counts / rows.n_rows / sweep.total
            ones.fill_(-1 / rows.n_rows)
            if weight_gradient is not None:
                scatter_sum(rows, ones, code, out=weight_gradient)
            if bias_gradient is not None:
                bias_gradient.zero_().index_add_(0, rows.items, ones)
            for number, start in enumerate(range(0, rows.n_items, step)):
                stop = min(start + step, rows.n_items)
                block = self._block(code.shape[0], start, stop, keep=keep)
                scale = share
                if keep:
                    scale = share * (sweep.scales[number] - sweep.largest).exp()
                else:
                    torch.addmm(bias[start:stop], code, weight[start:stop].T, out=block)
                    block.sub_(sweep.largest[:, None]).exp_()
                if weight_gradient is not None:
                    weight_gradient[start:stop].addmm_(block.T, code * scale[:, None])
                if bias_gradient is not None:
                    bias_gradient[start:stop].addmv_(block.T, scale)
        return losses

    def _sweep(
        self,
        code: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        step: int,
        *,
        keep: bool,
        mean: bool,
    ) -> _Sweep:
        """Sum exp(logits), and their products with `weight`, over blocks of items under a running maximum."""
        largest = torch.full((code.shape[0],), -torch.inf, dtype=code.dtype, device=code.device)
        total = torch.zeros_like(largest)
        summed = torch.zeros_like(code) if mean else None
        scales = []
        for start in range(0, weight.shape[0], step):
            stop = min(start + step, weight.shape[0])
            block = self._block(code.shape[0], start, stop, keep=keep)
            torch.addmm(bias[start:stop], code, weight[start:stop].T, out=block)
            larger = torch.maximum(largest, block.amax(dim=1))
            shrink = (largest - larger).exp()
            block.sub_(larger[:, None]).exp_()
            total.mul_(shrink).add_(block.sum(dim=1))
            if summed is not None:
                summed.mul_(shrink[:, None]).addmm_(block, weight[start:stop])
            largest = larger
            scales.append(larger)
        return _Sweep(largest, total, None if summed is None else summed / total[:, None], scales)

    def _reserve(self, size: int, like: torch.Tensor) -> None:
        """Let the buffer hold `size` logits of the dtype and on the device of `like`."""
        wrong = self._buffer.dtype != like.dtype or self._buffer.device != like.device
        if wrong or self._buffer.numel() < size:
            self._buffer = torch.empty(size, dtype=like.dtype, device=like.device)

    def _block(self, n_rows: int, start: int, stop: int, *, keep: bool) -> torch.Tensor:
        """Return where the logits of items start..stop-1 lie, (n_rows, stop - start): a place each if kept."""
        first = n_rows * start if keep else 0
        return self._buffer[first : first + n_rows * (stop - start)].view(n_rows, stop - start)
