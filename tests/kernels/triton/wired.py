"""What calls the kernels, run in the interpreter as if the CPU were a GPU that they are for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import NamedTuple
from unittest import mock

import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.kernels import composite_prior, multinomial, normed, sparse
from distrecvae.kernels.sparse import SparseRows
from distrecvae.kernels.triton.choice import DTYPES
from distrecvae.models.recvae import RecVAE, RecVAEConfig
from distrecvae.training import registry
from distrecvae.training.schemes import item_steps, update
from distrecvae.training.schemes.alternating import AlternatingTrainer
from tests.kernels.triton.random_batch import RandomBatch


@contextmanager
def taken() -> Iterator[list[int]]:
    """Let the kernels be usable for tensors of the CPU; yield how often they were asked for, a number a call."""
    asked: list[int] = []

    def usable(*tensors: torch.Tensor) -> bool:
        fits = all(tensor.dtype in DTYPES for tensor in tensors)
        if fits:
            asked.append(len(tensors))
        return fits

    with ExitStack() as patched:
        for module in (sparse, multinomial, item_steps, composite_prior, normed):
            patched.enter_context(mock.patch.object(module, "usable", usable))
        yield asked


def loss_and_gradients(
    batch: RandomBatch, low: torch.dtype | None, row_weights: torch.Tensor | None
) -> list[torch.Tensor]:
    """Return losses and gradients as `Multinomial` finds them through the kernels."""
    rows = SparseRows(batch.offsets, batch.items, batch.weight.shape[0], padded=True)
    parts = (batch.code, batch.weight, batch.bias)
    gradients = [torch.full_like(part, float("nan")) for part in parts]
    with taken() as asked:
        losses = multinomial.Multinomial(low).loss_and_gradients(
            rows,
            *parts,
            code_gradient=gradients[0],
            weight_gradient=gradients[1],
            bias_gradient=gradients[2],
            row_weights=row_weights,
        )
    # All of it is one call where factors are rounded; else the sparse products are the kernel's, one by one.
    assert asked == ([3] if low is not None else [2, 2, 2])
    return [losses, *gradients]


def sample_and_gradients(
    parts: list[torch.Tensor], weights: composite_prior.Weights
) -> tuple[torch.Tensor, ...]:
    """Return z, the divergence and the gradients by mu and logvar as the prior finds them on a GPU."""
    mu, logvar, noise, old_mu, old_logvar, by_z = parts
    mu, logvar = mu.clone().requires_grad_(), logvar.clone().requires_grad_()
    old = (old_mu, old_logvar) if weights[1] else None
    with taken() as asked:
        # `sampled` takes it on a CUDA device only.
        z, divergence = composite_prior._Sampled.apply(mu, logvar, noise, weights, old)  # type: ignore[no-untyped-call]
        gradients = torch.autograd.grad((z, divergence), (mu, logvar), (by_z, by_z[:, 0]))
    assert asked == [3 if old is None else 5, 4]
    return z.detach(), divergence.detach(), *gradients


def normed_and_gradients(
    parts: list[torch.Tensor], norm: torch.nn.LayerNorm, *, residual: bool, add: bool, by_kernels: bool
) -> list[torch.Tensor]:
    """Return what a layer's end gives, and the gradients by all that it has, as `kernels.normed` finds them."""
    x, total, by_hidden, by_sum = parts
    inputs = [part.clone().requires_grad_() for part in ((x, total) if residual else (x,))]
    with taken() if by_kernels else nullcontext([3]) as asked:
        hidden, summed = normed.normed_swish(inputs[0], inputs[1] if residual else None, norm, add=add)
        # The sum may be what is hidden itself.
        outputs = [hidden] if summed is None else [hidden, summed]
        upstream = [by_hidden, by_sum][: len(outputs)]
        gradients = torch.autograd.grad(outputs, [*inputs, norm.weight, norm.bias], upstream)
    assert asked == [3]
    return [*(output.detach() for output in outputs), *gradients]


def recvae_cycle(
    train: InteractionMatrix, config: RecVAEConfig, *, by_kernels: bool
) -> dict[str, torch.Tensor]:
    """Return the state of a RecVAE after a cycle."""
    trainer = registry.make_trainer("recvae", config, train, seed=1, device="cpu")
    if by_kernels:
        with taken() as asked:
            trainer.step()
        assert len(asked) > 10
    else:
        trainer.step()
    return dict(trainer.state_dict())


class Trained(NamedTuple):
    """A RecVAE after two cycles.

    Attributes:
        state: of its trainer.
        restored: that of another one that took over the state after a cycle, and took the second one.
        without_gradient: the parameters that have none.
    """

    state: dict[str, torch.Tensor]
    restored: dict[str, torch.Tensor]
    without_gradient: set[str]


def recvae_trained(
    train: InteractionMatrix, config: RecVAEConfig, low: torch.dtype | None, *, by_kernels: bool
) -> Trained:
    """Return what two cycles make of a RecVAE before whose second one something else doubles its item layers.

    Args:
        train: the training users.
        config: its settings.
        low: what factors of products are rounded to.
        by_kernels: whether the kernels are there for it, from its making on.
    """

    def double(cycle: int, model: RecVAE, rows: SparseRows) -> None:
        if cycle == 1:
            with torch.no_grad():
                model.encoder.fc1.weight.mul_(2)
                model.decoder.weight.mul_(2)

    with (
        taken() if by_kernels else nullcontext(),
        mock.patch.object(update, "product_dtype", return_value=low),
    ):
        trainer, other = (AlternatingTrainer(config, train, seed=1, before_cycle=double) for _ in range(2))
        trainer.step()
        other.load_state_dict(trainer.state_dict())
        trainer.step()
        other.step()
    if by_kernels and low is not None:
        rounded = getattr(trainer._update._output, "_rounded")  # noqa: B009  (the fused way's)
        assert torch.equal(rounded, trainer.model.decoder.weight.to(low)), "the copy is an old weight's"
    named = trainer.model.named_parameters()
    return Trained(
        dict(trainer.state_dict()),
        dict(other.state_dict()),
        {name for name, parameter in named if parameter.grad is None},
    )
