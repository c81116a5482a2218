"""The layers that neural models share: one that sees a user's items, and one that scores all items.

Both are ordinary differentiable layers; inside, their gradients are the sparse products and the sweep over blocks of
items of `sparse.py` and `multinomial.py`. Between them a model is what any PyTorch model is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import torch
from torch import nn

from distrecvae.errors import CheckpointError
from distrecvae.kernels import item_axes
from distrecvae.kernels.sparse import SparseRows, gather_sum, scatter_sum


class Draws(Protocol):
    """Where a model gets a batch's random values from."""

    def kept(self, n_places: int, dropout: float) -> torch.Tensor:
        """Return which of a batch's interactions the model sees: bool, (n_places,)."""

    def normal(self, shape: tuple[int, int], dtype: torch.dtype) -> torch.Tensor:
        """Return standard normal noise of `shape`."""


class OutputLoss(Protocol):
    """A loss of the logits of all items: `multinomial.Multinomial`, `pointwise.Pointwise`."""

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

        Args:
            rows: the observed items.
            code: z, (n_rows, width).
            weight: W, (n_items, width).
            bias: b, (n_items,).
            code_gradient: overwritten with the gradient by `code` where given.
            weight_gradient: overwritten with the gradient by `weight` where given.
            bias_gradient: overwritten with the gradient by `bias` where given.
            row_weights: (n_rows,), what each row counts in that mean, not in what is returned; None for 1 each.
        """


def denoised(rows: SparseRows, dropout: float, draws: Draws, dtype: torch.dtype) -> torch.Tensor:
    """Return x / ||x||_2 at the interactions of `rows`, some of them dropped and the others scaled up: (n_places,)."""
    values = rows.unit_values(dtype)
    if not dropout:
        return values
    return values * draws.kept(values.numel(), dropout) / (1 - dropout)


def divergence(mu: torch.Tensor, logvar: torch.Tensor) -> torch.Tensor:
    """Return KL(N(mu, exp(logvar)) || N(0, I)) of each row, (n_rows,), for two (n_rows, latent_dim)."""
    return 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum(dim=1)


def annealed(
    beta: float, anneal_updates: int, updates: torch.Tensor, dtype: torch.dtype
) -> torch.Tensor | float:
    """Return the weight of a KL term after `updates` steps: min(beta, updates / anneal_updates), or beta for 0.

    `updates` is a scalar, float64, and a tensor, for a recorded step reads it again at each replay; so is what is
    returned, of `dtype`.
    """
    return (updates / anneal_updates).clamp(max=beta).to(dtype) if anneal_updates else beta


def unit_rows(x: torch.Tensor) -> torch.Tensor:
    """Return x / ||x||_2 of rows of zeros and ones, (n_rows, n_items); an empty row stays one."""
    return x * x.sum(dim=1, keepdim=True).clamp(min=1).rsqrt()


class _GatherSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: torch.Tensor, rows: SparseRows, values: torch.Tensor) -> torch.Tensor:
        ctx.rows, ctx.values, ctx.shape = rows, values, weight.shape
        return gather_sum(rows, values, weight)

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (gradient,) = upstream
        out = gradient.new_empty(ctx.shape)
        scatter_sum(ctx.rows, ctx.values, gradient.contiguous(), out=out)
        return out, None, None


class SparseLinear(nn.Module):
    """A linear layer for sparse rows, initialized as `nn.Linear`; its weight lies transposed, a row an item.

    Attributes:
        weight: (n_items, out_dim), so that what an item contributes is contiguous.
        bias: (out_dim,).
    """

    ITEM_AXES: ClassVar = {"weight": (0,)}

    def __init__(self, n_items: int, out_dim: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(max(n_items, 1))
        self.weight = nn.Parameter(torch.empty(n_items, out_dim).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(out_dim).uniform_(-bound, bound))

    def forward(self, rows: SparseRows, values: torch.Tensor) -> torch.Tensor:
        """Return x W + b, (n_rows, out_dim), for the rows with `values`, (n_places,), at their interactions."""
        product: torch.Tensor = _GatherSum.apply(self.weight, rows, values)  # type: ignore[no-untyped-call]
        return product + self.bias

    def dense(self, x: torch.Tensor) -> torch.Tensor:
        """Return x W + b, (n_rows, out_dim), for rows with a place for every item, (n_rows, n_items)."""
        return x @ self.weight + self.bias


class _MeanLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        code: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        rows: SparseRows,
        output: OutputLoss,
    ) -> torch.Tensor:
        wanted = zip((code, weight, bias), ctx.needs_input_grad, strict=False)
        ctx.gradients = [torch.empty_like(part) if needed else None for part, needed in wanted]
        losses = output.loss_and_gradients(
            rows,
            code,
            weight,
            bias,
            code_gradient=ctx.gradients[0],
            weight_gradient=ctx.gradients[1],
            bias_gradient=ctx.gradients[2],
        )
        return losses.mean()

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (scale,) = upstream
        return *(None if part is None else part.mul_(scale) for part in ctx.gradients), None, None


class _RowLosses(torch.autograd.Function):
    """Each row's weight is known only in the backward pass: gradients are made there, from logits computed again."""

    @staticmethod
    def forward(
        ctx: Any,
        code: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        rows: SparseRows,
        output: OutputLoss,
    ) -> torch.Tensor:
        ctx.save_for_backward(code, weight, bias)
        ctx.rows, ctx.output = rows, output
        return output.loss_and_gradients(rows, code, weight, bias)

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (weights,) = upstream
        parts = ctx.saved_tensors
        wanted = zip(parts, ctx.needs_input_grad, strict=False)
        gradients = [torch.empty_like(part) if needed else None for part, needed in wanted]
        ctx.output.loss_and_gradients(
            ctx.rows,
            *parts,
            code_gradient=gradients[0],
            weight_gradient=gradients[1],
            bias_gradient=gradients[2],
            row_weights=weights * ctx.rows.n_rows,
        )
        return *gradients, None, None


class ItemOutput(nn.Module):
    """A linear layer from a code to a logit for every item, initialized as `nn.Linear`.

    Args:
        n_items: number of items.
        width: of the code.
        output: the loss of its logits.

    Attributes:
        weight: (n_items, width).
        bias: (n_items,).
    """

    ITEM_AXES: ClassVar = item_axes.ROWS

    def __init__(self, n_items: int, width: int, output: OutputLoss) -> None:
        super().__init__()
        bound = 1 / math.sqrt(width)
        self.weight = nn.Parameter(torch.empty(n_items, width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(n_items).uniform_(-bound, bound))
        self._output = output

    def forward(self, code: torch.Tensor) -> torch.Tensor:
        """Return the logits of all items, (n_rows, n_items)."""
        return torch.addmm(self.bias, code, self.weight.T)

    def mean_loss(self, code: torch.Tensor, rows: SparseRows) -> torch.Tensor:
        """Return the loss of these logits for what the rows have, a mean over the rows; the logits are never held."""
        loss: torch.Tensor = _MeanLoss.apply(code, self.weight, self.bias, rows, self._output)  # type: ignore[no-untyped-call]
        return loss

    def row_losses(self, code: torch.Tensor, rows: SparseRows) -> torch.Tensor:
        """Return the loss of each row, (n_rows,), for a model that weighs them; `mean_loss` is the faster one."""
        losses: torch.Tensor = _RowLosses.apply(code, self.weight, self.bias, rows, self._output)  # type: ignore[no-untyped-call]
        return losses


def init_as_published(module: nn.Module) -> None:
    """Make weights Xavier-uniform and biases truncated normal of deviation 0.001, as in Liang et al.'s code."""
    for name, parameter in module.named_parameters():
        if name.endswith("bias"):
            nn.init.trunc_normal_(parameter, std=0.001, a=-0.002, b=0.002)
        else:
            nn.init.xavier_uniform_(parameter)


def load_parameters(module: nn.Module, state: Mapping[str, torch.Tensor], device: torch.device | str) -> None:
    """Give a module that was made on the meta device the parameters `state`, for scoring.

    Raises:
        CheckpointError: names, shapes or types do not fit.
    """
    expected = {name: (value.shape, value.dtype) for name, value in module.state_dict().items()}
    given = {name: (value.shape, value.dtype) for name, value in state.items()}
    if expected != given:
        wrong = sorted(
            name for name in expected.keys() | given.keys() if expected.get(name) != given.get(name)
        )
        raise CheckpointError(
            f"parameters {', '.join(wrong[:3])} do not fit the configuration; the file is another model's"
        )
    module.load_state_dict({name: value.to(device) for name, value in state.items()}, assign=True)
    module.requires_grad_(False)
