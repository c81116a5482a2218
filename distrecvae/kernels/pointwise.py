"""Losses that are sums over all cells of users x items, under a linear output layer, and their gradients.

Such a loss is a function of one logit and whether the user has the item: a square, a logistic loss. Items are gone
through block by block: logits, the loss, its derivative by them, which PyTorch takes, and the products that carry it
to code, weight and bias. So neither logits nor targets of users x items are ever held.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional as F  # noqa: N812

from distrecvae.kernels.multinomial import block_items
from distrecvae.kernels.precision import product, rounded
from distrecvae.kernels.scratch import Scratch
from distrecvae.kernels.sparse import SparseRows

CellLoss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""From logits and targets (1 where the user has the item, else 0) to losses, all of one shape; differentiable."""


def square(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return (target - logit)^2."""
    return (targets - logits).square()


def logistic(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return -log sigmoid(logit) where the target is 1, -log(1 - sigmoid(logit)) where it is 0."""
    return F.softplus(logits) - targets * logits


def chance_of_a_zero(counts: torch.Tensor, n_items: int, negatives: float) -> torch.Tensor:
    """Return the chance of an item that a user lacks to be drawn as a negative: min(1, negatives n / (n_items - n)).

    Args:
        counts: n, the users' numbers of interactions.
        n_items: number of items.
        negatives: items drawn an interaction, from those without one.
    """
    return (negatives * counts / (n_items - counts).clamp(min=1)).clamp(max=1.0)


class Pointwise:
    """The loss of rows given codes, with buffers that live as long as the training does.

    Args:
        loss: of a cell.
        low: what the factors of products with all items are rounded to; None for not at all.
        negatives: a zero is weighted by its chance to be among so many, drawn an interaction: the loss of a sample of
            zeros, in expectation. None for all cells alike.
        items_a_block: items whose logits are made at a time; None chooses by the number of rows.
    """

    def __init__(
        self,
        loss: CellLoss,
        low: torch.dtype | None = None,
        *,
        negatives: float | None = None,
        items_a_block: int | None = None,
    ) -> None:
        self._loss, self._low, self._items_a_block = loss, low, items_a_block
        self._negatives = negatives
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
        """Return each row's loss, (n_rows,), and write the gradients of its mean over the rows.

        Arguments as for `layers.OutputLoss`. An empty row is a row of zeros, which has a loss, too.
        """
        low, scratch = self._low, self._scratch
        losses = code.new_zeros(rows.n_rows)
        code_low = rounded(code, low, scratch, "code")
        chance = None
        if self._negatives is not None:
            chance = chance_of_a_zero(rows.counts.to(code.dtype), rows.n_items, self._negatives)[:, None]
        if code_gradient is not None:
            code_gradient.zero_()
        step = self._items_a_block or block_items(rows.n_rows, rows.n_items, code.device.type)
        for start in range(0, rows.n_items, step):
            stop = min(start + step, rows.n_items)
            some = rounded(weight[start:stop], low, scratch, "weight")
            logits = product(code_low, some.T, low, scratch, "logits").add_(bias[start:stop])
            targets = self._targets(rows, start, stop, code.dtype)
            with torch.enable_grad():
                cells = self._loss(logits.requires_grad_(), targets)
                if chance is not None:
                    cells = cells * targets.maximum(chance)
                (derivative,) = torch.autograd.grad(cells.sum(), logits)
            losses += cells.detach().sum(dim=1)
            derivative /= rows.n_rows
            if row_weights is not None:
                derivative *= row_weights[:, None]
            if bias_gradient is not None:
                torch.sum(derivative, dim=0, out=bias_gradient[start:stop])
            factor = rounded(derivative, low, scratch, "derivative")
            if code_gradient is not None:
                code_gradient += product(factor, some, low, scratch)
            if weight_gradient is not None:
                weight_gradient[start:stop] = product(factor.T, code_low, low, scratch)
        return losses

    def _targets(self, rows: SparseRows, start: int, stop: int, dtype: torch.dtype) -> torch.Tensor:
        """Return which of the items start..stop-1 each row has: ones and zeros, (n_rows, stop - start)."""
        # One row more, for padding: it belongs to no row, and choosing what is not padding would wait for a GPU.
        n_rows = rows.n_rows + 1
        targets = self._scratch.matrix("targets", n_rows, stop - start, dtype, rows.items.device).zero_()
        users, items = rows.row_of, rows.items.long()
        if stop - start < rows.n_items:
            inside = (items >= start) & (items < stop)
            users, items = torch.where(inside, users, rows.n_rows), torch.where(inside, items - start, 0)
        targets[users, items] = 1.0
        return targets[: rows.n_rows]
