"""Optimizer steps of layers with a row per item: from a gradient in memory, or where the gradient is made.

These layers are nearly all of a model's parameters. Written, their gradients lie beside them and are read once more by
PyTorch's Adam with all the others. Fused, on a GPU that the Triton kernels are for, the step is taken where an item's
gradient is made: such a parameter's `grad` stays None, so that the optimizer, which keeps its moments, passes it by.
The choice depends on the parameters alone and is made once.
"""

from __future__ import annotations

from typing import Protocol

import torch

from distrecvae.kernels.multinomial import Multinomial
from distrecvae.kernels.sparse import SparseRows, scatter_sum
from distrecvae.kernels.triton.choice import usable


class FirstLayer(Protocol):
    """The layer that sees a row: a gather-sum of its weight, (n_items, width)."""

    def learn(self, rows: SparseRows, values: torch.Tensor, gradient: torch.Tensor) -> None:
        """Take the weight's step, or write its gradient for the optimizer's step that follows.

        Args:
            rows: what the layer saw.
            values: (n_places,), at the rows' interactions.
            gradient: (n_rows, width), by the rows' sums.
        """


class OutputLayer(Protocol):
    """The layer that scores all items under the multinomial likelihood: a weight, (n_items, width), and a bias."""

    def losses(
        self, rows: SparseRows, code: torch.Tensor, code_gradient: torch.Tensor | None, *, learn: bool
    ) -> torch.Tensor:
        """Return -log p(x) of each row, (n_rows,); let the layer learn its mean over the rows if asked to.

        Then weight and bias take their steps, or their gradients are written for the optimizer's step that follows.

        Args:
            rows: the observed items.
            code: (n_rows, width), without autograd.
            code_gradient: overwritten with the gradient by `code` of the mean over the rows; None for not wanted.
            learn: whether the layer is trained.
        """

    def renew(self) -> None:
        """Note that something else has changed the weight."""


def first_layer(weight: torch.nn.Parameter, optimizer: torch.optim.Adam) -> FirstLayer:
    """Return how the layer that sees the items learns; `optimizer` has the moments of `weight`."""
    if usable(weight.detach()):
        return _FusedFirst(weight, optimizer)
    return _WrittenFirst(weight)


def output_layer(
    weight: torch.nn.Parameter,
    bias: torch.nn.Parameter,
    optimizer: torch.optim.Adam,
    low: torch.dtype | None,
) -> OutputLayer:
    """Return how the layer that scores the items learns.

    Args:
        weight: (n_items, width).
        bias: (n_items,).
        optimizer: has the moments of both.
        low: what the factors of products are rounded to; None for not at all.
    """
    if usable(weight.detach(), bias.detach()):
        from distrecvae.kernels.triton import likelihood

        if low is not None and likelihood.fits(weight.detach(), low):
            return _FusedOutput(weight, bias, optimizer, low)
    return _WrittenOutput(weight, bias, low)


class _WrittenFirst:
    def __init__(self, weight: torch.nn.Parameter) -> None:
        weight.grad = self._gradient = torch.zeros_like(weight)  # written to for ever

    def learn(self, rows: SparseRows, values: torch.Tensor, gradient: torch.Tensor) -> None:
        scatter_sum(rows, values, gradient, out=self._gradient)


class _FusedFirst:
    def __init__(self, weight: torch.nn.Parameter, optimizer: torch.optim.Adam) -> None:
        from distrecvae.kernels.triton import adam

        weight.grad = None
        self._weight, self._adam = weight.detach(), adam
        self._moments = adam.Moments(**optimizer.state[weight])
        self._rates = adam.Rates(*(optimizer.defaults[name] for name in ("lr", "betas", "eps")))

    def learn(self, rows: SparseRows, values: torch.Tensor, gradient: torch.Tensor) -> None:
        found = self._adam.by_item(rows.items, rows.n_items)
        self._adam.step_item_rows(
            found, rows.row_of, values, gradient, self._weight, self._moments, self._rates
        )


class _WrittenOutput:
    def __init__(self, weight: torch.nn.Parameter, bias: torch.nn.Parameter, low: torch.dtype | None) -> None:
        self._layer = (weight.detach(), bias.detach())
        self._gradients = torch.zeros_like(weight), torch.zeros_like(bias)  # written to for ever
        weight.grad, bias.grad = self._gradients
        self._likelihood = Multinomial(
            low, keeps_weight=True
        )  # while the encoder is trained it does not change

    def losses(
        self, rows: SparseRows, code: torch.Tensor, code_gradient: torch.Tensor | None, *, learn: bool
    ) -> torch.Tensor:
        by_weight, by_bias = self._gradients if learn else (None, None)
        losses = self._likelihood.loss_and_gradients(
            rows,
            code,
            *self._layer,
            code_gradient=code_gradient,
            weight_gradient=by_weight,
            bias_gradient=by_bias,
        )
        if learn:  # the optimizer's step follows
            self.renew()
        return losses

    def renew(self) -> None:
        self._likelihood.renew()


class _FusedOutput:
    """Keeps the rounded weight, too: it does not change while the encoder is trained."""

    def __init__(
        self,
        weight: torch.nn.Parameter,
        bias: torch.nn.Parameter,
        optimizer: torch.optim.Adam,
        low: torch.dtype,
    ) -> None:
        from distrecvae.kernels.triton import likelihood
        from distrecvae.kernels.triton.adam import Moments, Rates

        weight.grad = bias.grad = None
        self._weight, self._bias, self._low, self._likelihood = (
            weight.detach(),
            bias.detach(),
            low,
            likelihood,
        )
        self._rounded = self._weight.to(low)
        of_weight, of_bias = (Moments(**optimizer.state[parameter]) for parameter in (weight, bias))
        rates = Rates(*(optimizer.defaults[name] for name in ("lr", "betas", "eps")))
        self._step = likelihood.AdamStep(of_weight, of_bias, rates, copy=self._rounded)

    def losses(
        self, rows: SparseRows, code: torch.Tensor, code_gradient: torch.Tensor | None, *, learn: bool
    ) -> torch.Tensor:
        return self._likelihood.loss_and_gradients(
            self._likelihood.Observed(rows.offsets, rows.items, rows.row_of),
            code,
            self._weight,
            self._bias,
            self._low,
            code_gradient=code_gradient,
            step=self._step if learn else None,
            low_weight=self._rounded,
        )

    def renew(self) -> None:
        self._rounded.copy_(self._weight)
