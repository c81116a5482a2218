"""Owns a pass over the training users: a batch at a time in an order of the pass's own, losses averaged."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import DataError, DivergedError
from distrecvae.kernels.precision import fast_float32
from distrecvae.kernels.sparse import SparseRows
from distrecvae.rng import derive_seed
from distrecvae.training.schemes.batches import Cutter
from distrecvae.training.schemes.noise import CountedNoise, Noise, Place, PlacedNoise

Update = Callable[[torch.Tensor, SparseRows, PlacedNoise, int], dict[str, torch.Tensor]]
"""From a batch's users, int64 (n_rows,), their rows, its draws and its number in the pass to its mean losses."""


class Passes:
    """The training users on their device, and the passes over them.

    Args:
        train: the training users.
        batch_size: users a batch.
        seed: root of the order and the draws.
        device: where to train.
        noise: where they come from; None for `CountedNoise` under `seed`.

    Raises:
        DataError: there is no training user or no item.
    """

    def __init__(
        self,
        train: InteractionMatrix,
        batch_size: int,
        *,
        seed: int,
        device: torch.device,
        noise: Noise | None = None,
    ) -> None:
        if not train.n_users or not train.n_items:
            raise DataError(
                f"training data is {train.n_users} users x {train.n_items} items; both must be positive"
            )
        self._rows = SparseRows.from_matrix(train, device)
        self._cutter = Cutter(train, batch_size, device)
        self._noise = noise if noise is not None else CountedNoise(seed, device)

    @property
    def n_batches(self) -> int:
        """Batches in a pass."""
        return self._cutter.n_batches

    def train(self, number: int, update: Update) -> dict[str, float]:
        """Call `update` for each batch of pass `number`; return the losses that it gives, means a user.

        Raises:
            DivergedError: a loss is not finite.
        """
        order = self._noise.order(Place(number, 0, 0), self._cutter.n_users)
        totals: dict[str, torch.Tensor] = {}
        with fast_float32():
            for batch, (users, n_interactions) in enumerate(self._cutter.cut(order)):
                rows = self._rows.take(users, n_interactions)
                draws = PlacedNoise(self._noise, Place(number, 0, batch))
                for name, loss in update(users, rows, draws, batch).items():
                    totals[name] = totals.get(name, 0.0) + loss.detach().double() * users.numel()
        losses = {name: float(total) / self._cutter.n_users for name, total in totals.items()}
        for name, value in losses.items():
            if not math.isfinite(value):
                raise DivergedError(f"{name} is {value} in pass {number + 1}; lower learning_rate")
        return losses


def fresh_module(
    make: Callable[[], torch.nn.Module], *, seed: int, device: torch.device, dtype: torch.dtype
) -> torch.nn.Module:
    """Return what `make` makes, with parameters drawn from PyTorch's global generator under `seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "parameters"))
        return make().to(device, dtype)
