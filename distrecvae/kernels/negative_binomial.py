"""Likelihoods of rows whose cells are negative-binomial, under two linear output layers, and their gradients.

A cell's count is NB(r, p), r = exp(a) and p = sigmoid(b) for its two logits, and

    P(count = 0) = (1 - p)^r = exp(-rate),   rate = exp(a) softplus(b)
    P(count = 1) = r p (1 - p)^r

A cell is a one either because its count is one (`counted`) or because it is not zero (`occurred`, a Bernoulli cell).
In both, the loss of a zero is its rate, whose derivatives are rate and exp(a) sigmoid(b). Items are gone through block
by block; the few ones are then put right in their places. So neither logits nor targets of users x items are held.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.nn import functional as F  # noqa: N812

from distrecvae.kernels.multinomial import block_items
from distrecvae.kernels.precision import product, rounded
from distrecvae.kernels.scratch import Scratch
from distrecvae.kernels.sparse import SparseRows

_SMALL = -20.0
"""Below it log softplus(b) is taken from its series, whose next term is under float64's rounding."""
_LARGE = 40.0
"""Above it softplus(b) is b, to float64's rounding."""


class Head(NamedTuple):
    """One linear output layer and what it is given, or the gradients by them.

    Attributes:
        code: (n_rows, width).
        weight: (n_items, width).
        bias: (n_items,).
    """

    code: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor


OneLoss = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor, torch.Tensor]]
"""From the logits a and b of cells that are ones to -log P and its derivatives by a and by b, all of one shape."""


def log_rate(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return log(-log P(count = 0)) = a + log softplus(b), finite for all logits: of their shape."""
    return a + torch.where(b < _SMALL, b - b.exp() / 2, F.softplus(b, threshold=_LARGE).log())


def log_mean(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return log(r p) = a + log sigmoid(b), of the logits' shape."""
    return a + F.logsigmoid(b)


def occurred(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return -log P(count > 0) = -log(1 - exp(-rate)) and its derivatives by a and b, of their shape."""
    log = log_rate(a, b)
    rate = log.exp()
    chance = -torch.expm1(-rate)
    # To first order it is the rate, which may be too small for a number but has a logarithm.
    tiny = rate < 1e-10
    loss = torch.where(tiny, rate / 2 - log, -chance.log())
    by_log = torch.where(tiny, rate / 2 - 1, -(log - rate).exp() / chance)
    ratio = torch.where(b < _SMALL, 1 - b.exp() / 2, torch.sigmoid(b) / F.softplus(b, threshold=_LARGE))
    return loss, by_log, by_log * ratio


def counted(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return -log P(count = 1) = rate - a - log sigmoid(b) and its derivatives by a and b, of their shape."""
    r, p = a.exp(), torch.sigmoid(b)
    rate = r * F.softplus(b, threshold=_LARGE)
    return rate - log_mean(a, b), rate - 1, r * p - torch.sigmoid(-b)


class NegativeBinomial:
    """The loss of rows given two heads' codes, with buffers that live as long as the training does.

    Args:
        one_loss: of the cells that are ones, `occurred` or `counted`.
        low: what the factors of products with all items are rounded to; None for not at all.
        items_a_block: items whose logits are made at a time; None chooses by the number of rows.
    """

    def __init__(
        self, one_loss: OneLoss, low: torch.dtype | None = None, *, items_a_block: int | None = None
    ) -> None:
        self._one_loss, self._low, self._items_a_block = one_loss, low, items_a_block
        self._scratch = Scratch()

    def loss_and_gradients(
        self, rows: SparseRows, heads: tuple[Head, Head], gradients: tuple[Head, Head] | None = None
    ) -> torch.Tensor:
        """Return -log P of each row, (n_rows,), and write the gradients of their mean.

        Args:
            rows: the ones; an empty row is a row of zeros, which has a loss too.
            heads: that of a, and that of b.
            gradients: overwritten with the gradients by `heads`, where given.
        """
        low, scratch, n_rows = self._low, self._scratch, rows.n_rows
        dtype, device = heads[0].code.dtype, heads[0].code.device
        losses = torch.zeros(n_rows + 1, dtype=dtype, device=device)  # the last one is of what is no row's
        codes = [rounded(head.code, low, scratch, f"code{n}") for n, head in enumerate(heads)]
        for gradient in gradients or ():
            gradient.code.zero_()
        step = self._items_a_block or block_items(2 * n_rows, rows.n_items, device.type)
        for start in range(0, rows.n_items, step):
            stop = min(start + step, rows.n_items)
            weights = [
                rounded(head.weight[start:stop], low, scratch, f"weight{n}") for n, head in enumerate(heads)
            ]
            a, b = (
                product(codes[n], weights[n].T, low, scratch, f"logits{n}").add_(head.bias[start:stop])
                for n, head in enumerate(heads)
            )
            users, at = _ones(rows, start, stop)
            size = n_rows * (stop - start)
            inside = at.clamp(max=size - 1)
            one_losses, *one_derivatives = self._one_loss(a.view(-1)[inside], b.view(-1)[inside])
            # One element more than there are cells, for what is not in this block.
            flat = [scratch.reserve(name, size + 1, dtype, device)[: size + 1] for name in ("rate", "slope")]
            rate, slope = (values[:size].view(n_rows, stop - start) for values in flat)
            r = a.exp_()
            torch.sigmoid(b, out=slope).mul_(r)
            torch.mul(r, F.softplus(b, threshold=_LARGE), out=rate)
            flat[0][at] = 0.0
            losses[:n_rows] += rate.sum(dim=1)
            losses.index_add_(0, users, one_losses)
            if gradients is None:
                continue
            flat[0][at], flat[1][at] = one_derivatives
            for n, derivative in enumerate((rate, slope)):
                gradient = gradients[n]
                derivative /= n_rows
                torch.sum(derivative, dim=0, out=gradient.bias[start:stop])
                factor = rounded(derivative, low, scratch, f"derivative{n}")
                gradient.code.add_(product(factor, weights[n], low, scratch))
                gradient.weight[start:stop] = product(factor.T, codes[n], low, scratch)
        return losses[:n_rows]


def _ones(rows: SparseRows, start: int, stop: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the row of each one among the items start..stop-1, and its cell in them laid flat: int64, (n_ones,) both.

    On a GPU, which would have to be waited for to know how many they are, all places are returned: those that are
    padding, or have other items, with `n_rows` and the first cell beyond the last one.
    """
    users, items, width = rows.row_of, rows.items.long(), stop - start
    inside = (users < rows.n_rows) & (items >= start) & (items < stop)
    if not items.is_cuda:
        users, items = users[inside], items[inside]
        return users, users * width + items - start
    cells = torch.where(inside, users * width + items - start, rows.n_rows * width)
    return torch.where(inside, users, rows.n_rows), cells
