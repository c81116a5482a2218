"""Sums of 2^logits over all items on a CPU with bfloat16 factors: what is subtracted is subtracted in the product.

CPUs round a product of bfloat16 factors to bfloat16. Made wide to add a bias, to find and to subtract a running
maximum, and rounded again for the next product, a block of logits is walked over seven times, a third of what products
take. Here a few columns make all of that part of the product of codes and weights,

    [z, 1, 1, 1, -shift] [W, b_1, b_2, b_3, 1]^T = logits - shift,      b = b_1 + b_2 + b_3 but for float32's rounding,

whose result needs only its exponential. The shift is each row's largest logit among the first items: a bfloat16 number,
so nothing of it is lost. Any number that no sum overflows with is right; `usable` says whether this one was.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from distrecvae.kernels.precision import product
from distrecvae.kernels.scratch import Scratch

LOG2E = 1 / math.log(2)
SHIFT_ITEMS = 256
"""Items among which a row's shift is looked for."""
LARGEST_TOTAL = 2.0**100
"""A sum beyond this is not trusted: its reciprocal must be a normal number, times a share of a batch, too."""
_LOW = torch.bfloat16
_BIAS_PARTS = 3  # of 8 significant bits each: float32's 24
_ALIGNED = 16


def pays(code: torch.Tensor, low: torch.dtype | None) -> bool:
    """Tell whether sums are made here: where products of bfloat16 factors are rounded, which a GPU's are not."""
    return low is _LOW and code.device.type == "cpu"


def rounded_weight_bytes(n_items: int, width: int) -> int:
    """Return the size of the rounded weight of all items: bytes."""
    return n_items * augmented_width(width) * _LOW.itemsize


def augmented_width(width: int) -> int:
    """Return the columns of a code or weight of `width` with what is added to it, and zeros: whole vectors."""
    return -(-(width + _BIAS_PARTS + 1) // _ALIGNED) * _ALIGNED


class RoundedWeight:
    """The weight of all items as a factor: [W, b_1, b_2, b_3, 1, 0, ...], (n_items, augmented width), to the base of 2.

    Args:
        weight: (n_items, width).
        bias: (n_items,).
        scratch: has the buffer.
        largest_block: items asked for at once, at most.
        whole: whether there is room for all items, so that what was rounded stays.
        known: whether it is rounded already, by another object of the same weight, bias and buffer.
    """

    def __init__(
        self,
        weight: torch.Tensor,
        bias: torch.Tensor,
        scratch: Scratch,
        largest_block: int,
        *,
        whole: bool,
        known: bool,
    ) -> None:
        (n_items, width), self._weight, self._bias = weight.shape, weight, bias
        n_rows = n_items if whole else largest_block
        self._rounded = scratch.matrix("augmented", n_rows, augmented_width(width), _LOW, weight.device)
        self._whole, self._known = whole, n_items if known else 0

    def rows(self, start: int, stop: int) -> torch.Tensor:
        """Return items start..stop-1; what was not known is rounded now, where it is about to be used."""
        first = start if self._whole else 0
        some = self._rounded[first : first + stop - start]
        if stop > self._known:
            self._round(some, start, stop)
            if self._whole and start <= self._known:
                self._known = stop
        return some

    def _round(self, some: torch.Tensor, start: int, stop: int) -> None:
        width = self._weight.shape[1]
        some[:, :width].copy_(self._weight[start:stop])
        rest = torch.zeros(stop - start, some.shape[1] - width)
        left = self._bias[start:stop] * LOG2E
        for column in range(_BIAS_PARTS):
            part = left.to(_LOW)
            rest[:, column] = part
            left = left - part
        rest[:, _BIAS_PARTS] = 1.0
        some[:, width:].copy_(rest)


class ShiftedSums:
    """Sums 2^(logits - shift), and their products with the weight, over blocks of items.

    Args:
        code: (n_rows, width).
        weight: of all items.
        blocks: start and stop of each.
        scratch: has the buffers.
        keep: whether the powers are kept for `again`; else they are made again.
        mean: whether the mean is wanted.

    Attributes:
        largest: (n_rows,), the shift, to the base of 2; not the largest logit, which may be greater.
        total: (n_rows,), sum of 2^(logit - shift).
        mean: (n_rows, width), the mean of the rounded weight under softmax, where asked for.
    """

    def __init__(
        self,
        code: torch.Tensor,
        weight: RoundedWeight,
        blocks: list[tuple[int, int]],
        scratch: Scratch,
        *,
        keep: bool,
        mean: bool,
    ) -> None:
        (n_rows, width), self._weight, self._blocks = code.shape, weight, blocks
        self._scratch, self._keep = scratch, keep
        self._code = scratch.matrix("augmented code", n_rows, augmented_width(width), _LOW, code.device)
        self._code[:, width:].zero_()
        self._code[:, :width].copy_(code * LOG2E)
        self._code[:, width : width + _BIAS_PARTS] = 1.0
        if keep:  # all of it at once: growing would lose what was written
            scratch.reserve("powers", n_rows * blocks[-1][1], _LOW, code.device)
        first = min(SHIFT_ITEMS, blocks[0][1])
        shift = torch.mm(self._code, weight.rows(0, first).T).amax(dim=1)
        self._code[:, width + _BIAS_PARTS] = -shift
        self.largest = shift.to(code.dtype)
        self.total = torch.zeros_like(self.largest)
        summed: torch.Tensor | None = None
        for start, stop in blocks:
            powers, some = self._powers(start, stop)
            if mean:  # the weight's column of ones sums them
                part = product(powers, some, _LOW, scratch)
                summed = part.clone() if summed is None else summed.add_(part)
            else:
                wide = scratch.matrix("block", n_rows, stop - start, torch.float32, code.device)
                self.total += wide.copy_(powers).sum(dim=1)
        self.mean = None
        if summed is not None:
            self.total = summed[:, width + _BIAS_PARTS].to(code.dtype)
            self.mean = summed[:, :width].to(code.dtype) / self.total[:, None]

    @property
    def usable(self) -> bool:
        """Whether no row's sum came near what float32 can hold: where its logits lie far above the shift."""
        return bool((self.total < LARGEST_TOTAL).all())  # not of NaN, either

    def again(self) -> Iterator[tuple[int, int, torch.Tensor, None]]:
        """Yield each block once more: start, stop, powers (n_rows, stop - start), no scale."""
        for start, stop in self._blocks:
            powers = self._place(start, stop) if self._keep else self._powers(start, stop)[0]
            yield start, stop, powers, None

    def _powers(self, start: int, stop: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return 2^(logits - shift) of items start..stop-1, (n_rows, stop - start), and these items' weight."""
        some = self._weight.rows(start, stop)
        return torch.mm(self._code, some.T, out=self._place(start, stop)).exp2_(), some

    def _place(self, start: int, stop: int) -> torch.Tensor:
        """Return where the powers of items start..stop-1 are: a place each if they are kept."""
        n_rows, first = self._code.shape[0], start if self._keep else 0
        last = first + stop - start
        flat = self._scratch.reserve("powers", n_rows * last, _LOW, self._code.device)
        return flat[n_rows * first : n_rows * last].view(n_rows, stop - start)
