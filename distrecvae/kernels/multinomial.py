"""The multinomial likelihood of a user's row under a linear output layer, and its gradient by hand.

For logits l = W z + b and a row x with n ones, log p(x) = sum_(i in x) l_i - n logsumexp(l), and its derivative by
the logits is x - n softmax(l). Both parts split: what concerns the observed items is a sparse product, always in
float32; what concerns all items is summed over blocks of items under a running maximum. So no target matrix, no
autograd graph and, beyond a stated size, no logits of users x items are ever held.

Exponentials are powers of 2 of logits made to that base: PyTorch's exp2 is several times faster than its exp on CPUs
where that one is MKL's.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from distrecvae.kernels.precision import product, rounded
from distrecvae.kernels.scratch import Scratch
from distrecvae.kernels.shifted_logits import LOG2E, RoundedWeight, ShiftedSums, pays
from distrecvae.kernels.sparse import SparseRows, gather_sum, scatter_sum
from distrecvae.kernels.triton.choice import usable

BLOCK_ELEMENTS = 512 * 1024
"""Logits in a block: what a core's cache holds is what a CPU is fastest with."""
KEPT_BYTES = 256 << 20
"""2^logits of a batch are kept for the gradient by `weight` up to this size; beyond it they are made again."""

BIAS_PARTS = 8
"""Into how many rounded sums the gradient by the bias is cut."""


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


class Multinomial:
    """The negative log-likelihood of rows given codes, with buffers that live as long as the training does.

    Args:
        low: what the factors of products with all items are rounded to; None for not at all.
        items_a_block: items whose logits are made at a time; None chooses by the number of rows.
        kept_bytes: size up to which powers are kept between the two uses of them.
        keeps_weight: whether a rounded weight (`rounded_weight_bytes`) is kept for the next call, until `renew` says
            that weight or bias are others.
    """

    def __init__(
        self,
        low: torch.dtype | None = None,
        *,
        items_a_block: int | None = None,
        kept_bytes: int = KEPT_BYTES,
        keeps_weight: bool = False,
    ) -> None:
        self._low = low
        self._keeps_weight, self._has_weight = keeps_weight, False
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
        row_weights: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return -log p(x) of each row, (n_rows,), and write the gradients of its mean over the rows.

        Arguments as for `layers.OutputLoss`. An empty row has likelihood one and no gradient.
        """
        if self._low is not None and usable(code, weight, bias):
            from distrecvae.kernels.triton import likelihood

            if likelihood.fits(weight, self._low):
                return likelihood.loss_and_gradients(
                    likelihood.Observed(rows.offsets, rows.items, rows.row_of),
                    code,
                    weight,
                    bias,
                    self._low,
                    code_gradient=code_gradient,
                    weight_gradient=weight_gradient,
                    bias_gradient=bias_gradient,
                    row_weights=row_weights,
                )
        ones, counts = rows.ones(code.dtype), rows.counts.to(code.dtype)
        observed = gather_sum(rows, ones, weight)
        observed_bias = gather_sum(rows, ones, bias[:, None])[:, 0]
        again = weight_gradient is not None or bias_gradient is not None
        sweep = self._sweep(code, weight, bias, keep=again, mean=code_gradient is not None)
        log_total = (sweep.largest + sweep.total.log2()) / LOG2E
        losses = counts * log_total - (code * observed).sum(dim=1) - observed_bias
        if code_gradient is not None and sweep.mean is not None:
            torch.addcmul(-observed, counts[:, None], sweep.mean, out=code_gradient).div_(rows.n_rows)
            if row_weights is not None:
                code_gradient.mul_(row_weights[:, None])
        if row_weights is not None:
            ones *= torch.cat([row_weights, row_weights.new_zeros(1)])[rows.row_of]
        if bias_gradient is not None:
            # Counted, then divided once: a sum of 1 / n_rows has the rounding of 1 / n_rows in each of its terms.
            bias_gradient.zero_().index_add_(0, rows.items, ones).div_(-rows.n_rows)
        if weight_gradient is not None:
            scatter_sum(rows, ones.mul_(-1 / rows.n_rows), code, out=weight_gradient)
        if again:
            pull = counts / rows.n_rows / sweep.total
            if row_weights is not None:
                pull *= row_weights
            wide = torch.cat([code, self._ones(code)], dim=1) * pull[:, None]
            if isinstance(sweep, ShiftedSums):
                wide = wide.to(torch.bfloat16)  # once: these powers have no scales of their own
            width = code.shape[1]
            for start, stop, powers, scale in sweep.again():
                factor = wide if scale is None else wide * scale[:, None]
                gradient = product(powers.T, factor, self._low, self._scratch)
                if weight_gradient is not None:
                    weight_gradient[start:stop] += gradient[:, :width]
                if bias_gradient is not None:
                    bias_gradient[start:stop] += gradient[:, width:].sum(dim=1)
        return losses

    def renew(self) -> None:
        """Take notice that weight or bias are not those of the last call."""
        self._has_weight = False

    def _ones(self, code: torch.Tensor) -> torch.Tensor:
        """Return the code of the bias, (n_rows, BIAS_PARTS): the bias is the weight of a code that is always one.

        The rows take turns among some columns, whose products are then added up: the more parts, the smaller is what
        rounding does to their sum. In single precision it makes the sum as exact as a pairwise one.
        """
        turn = torch.arange(code.shape[0], device=code.device) % BIAS_PARTS
        return (turn[:, None] == torch.arange(BIAS_PARTS, device=code.device)).to(code.dtype)

    def _sweep(
        self, code: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, *, keep: bool, mean: bool
    ) -> _Sweep | ShiftedSums:
        n_rows, n_items = code.shape[0], weight.shape[0]
        step = self._items_a_block or block_items(n_rows, n_items, code.device.type)
        itemsize = code.itemsize if self._low is None else self._low.itemsize
        keep = keep and n_rows * n_items * itemsize <= self._kept_bytes
        if pays(code, self._low):
            blocks = [(start, min(start + step, n_items)) for start in range(0, n_items, step)]
            factor = RoundedWeight(
                weight,
                bias,
                self._scratch,
                min(step, n_items),
                whole=self._keeps_weight,
                known=self._has_weight,
            )
            sums = ShiftedSums(code, factor, blocks, self._scratch, keep=keep, mean=mean)
            self._has_weight = self._keeps_weight
            if sums.usable:
                return sums
        return _Sweep(code, weight, bias, step, self._low, self._scratch, keep=keep, mean=mean)


class _Sweep:
    """Sums 2^logits, and their products with `weight`, over blocks of items under a running maximum.

    Attributes:
        largest: (n_rows,), the largest logit, to the base of 2.
        total: (n_rows,), sum of 2^(logit - largest).
        mean: (n_rows, width), the mean of `weight` under softmax, where asked for.
    """

    def __init__(
        self,
        code: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        step: int,
        low: torch.dtype | None,
        scratch: Scratch,
        *,
        keep: bool,
        mean: bool,
    ) -> None:
        self._code, self._bias = rounded(code * LOG2E, low, scratch, "code"), bias * LOG2E
        self._weight, self._low, self._scratch, self._keep = weight, low, scratch, keep
        n_items = weight.shape[0]
        self._blocks = [(start, min(start + step, n_items)) for start in range(0, n_items, step)]
        self._scales: list[torch.Tensor] = []
        if keep:  # all of it at once: growing would lose what was written
            scratch.reserve("powers", code.shape[0] * n_items, self._code.dtype, code.device)
        self.largest = torch.full((code.shape[0],), -torch.inf, dtype=code.dtype, device=code.device)
        self.total = torch.zeros_like(self.largest)
        summed = torch.zeros_like(code) if mean else None
        for start, stop in self._blocks:
            some = rounded(weight[start:stop], low, scratch, "weight")
            block = self._logits(some, start, stop)
            larger = torch.maximum(self.largest, block.amax(dim=1))
            shrink = (self.largest - larger).exp2()
            block.sub_(larger[:, None]).exp2_()
            self.total.mul_(shrink).add_(block.sum(dim=1))
            if keep or summed is not None:
                powers = self._rounded(block, start, stop)
            if summed is not None:
                summed.mul_(shrink[:, None]).add_(product(powers, some, low, scratch))
            self.largest = larger
            self._scales.append(larger)
        self.mean = None if summed is None else summed / self.total[:, None]

    def again(self) -> Iterator[tuple[int, int, torch.Tensor, torch.Tensor | None]]:
        """Yield each block once more: start, stop, powers (n_rows, stop - start), and their scale (n_rows,) or None."""
        for (start, stop), scale in zip(self._blocks, self._scales, strict=True):
            if self._keep:
                yield start, stop, self._place(start, stop), (scale - self.largest).exp2()
                continue
            some = rounded(self._weight[start:stop], self._low, self._scratch, "weight")
            block = self._logits(some, start, stop)
            yield start, stop, self._rounded(block.sub_(self.largest[:, None]).exp2_(), start, stop), None

    def _logits(self, some: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        """Return the logits of items start..stop-1, whose weight is `some`: (n_rows, stop - start), not rounded."""
        bias = self._bias[start:stop]
        if self._low is None:
            return torch.addmm(bias, self._code, some.T, out=self._place(start, stop))
        return product(self._code, some.T, self._low, self._scratch, "block").add_(bias)

    def _rounded(self, block: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        """Return the powers of items start..stop-1 as a factor of a product, in their place."""
        return block if self._low is None else self._place(start, stop).copy_(block)

    def _place(self, start: int, stop: int) -> torch.Tensor:
        """Return where the powers of items start..stop-1 are, (n_rows, stop - start): a place each if they are kept."""
        n_rows, first = self._code.shape[0], start if self._keep else 0
        last = first + stop - start
        flat = self._scratch.reserve("powers", n_rows * last, self._code.dtype, self._code.device)
        return flat[n_rows * first : n_rows * last].view(n_rows, stop - start)
