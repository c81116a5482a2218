"""What calls the kernels, run in the interpreter as if the CPU were a GPU that they are for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.kernels import multinomial, sparse
from distrecvae.kernels.sparse import SparseRows
from distrecvae.kernels.triton.choice import DTYPES
from distrecvae.models.recvae import RecVAEConfig
from distrecvae.training import registry
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

    with mock.patch.object(sparse, "usable", usable), mock.patch.object(multinomial, "usable", usable):
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
