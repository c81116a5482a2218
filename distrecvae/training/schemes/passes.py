"""Passes over the training users: a batch at a time in each pass's own order, losses averaged."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from typing import NamedTuple

import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import DataError, DivergedError
from distrecvae.kernels.layers import Draws
from distrecvae.kernels.precision import fast_float32
from distrecvae.kernels.sparse import SparseRows
from distrecvae.rng import derive_seed
from distrecvae.training.schemes.batches import Cutter
from distrecvae.training.schemes.graphs import Recorder
from distrecvae.training.schemes.noise import CountedNoise, HeldDraws, Noise, Place, PlacedNoise

Update = Callable[[torch.Tensor, SparseRows, Draws, torch.Tensor], dict[str, torch.Tensor]]
"""From a batch's users, int64 (n_rows,), their rows, draws and the updates before, a scalar, to its mean losses."""


class _Given(NamedTuple):
    """What a step takes; see `Recorder`."""

    users: torch.Tensor
    updates: torch.Tensor
    draws: Draws
    n_places: int


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
        self._held = HeldDraws(self._noise)
        self._device, self._n_places = device, self._cutter.places() if device.type == "cuda" else 0
        self._recorder = Recorder[_Given](self._take_step, device)
        self._sums: dict[Hashable, tuple[list[str], torch.Tensor]] = {}
        self._update: Update | None = None

    @property
    def n_batches(self) -> int:
        """Batches in a pass."""
        return self._cutter.n_batches

    def train(
        self, number: int, update: Update, *, updates: int = 0, kind: Hashable = None
    ) -> dict[str, float]:
        """Call `update` for each batch of pass `number`; return the losses that it gives, means a user.

        Args:
            number: of the pass.
            update: takes an optimizer step; on a GPU it is recorded, and not called for every batch.
            updates: that were taken before.
            kind: of update; updates that differ must have different kinds.

        Raises:
            DivergedError: a loss is not finite.
        """
        order = self._noise.order(Place(number, 0, 0), self._cutter.n_users)
        self._update = update
        with fast_float32(self._device), self._recorder.running():
            if kind in self._sums:
                self._sums[kind][1].zero_()
            for batch, (users, n_interactions) in enumerate(self._cutter.cut(order)):
                given, fixed = self._given(Place(number, 0, batch), users, n_interactions, updates + batch)
                self._recorder.take(given, kind, fixed=fixed)
            names, sums = self._sums[kind]
            losses = dict(zip(names, (sums / self._cutter.n_users).tolist(), strict=True))
        for name, value in losses.items():
            if not math.isfinite(value):
                raise DivergedError(f"{name} is {value} in pass {number + 1}; lower learning_rate")
        return losses

    def _given(
        self, place: Place, users: torch.Tensor, n_interactions: int, updates: int
    ) -> tuple[_Given, bool]:
        """Return what a step takes, and whether that is of the shapes that are recorded."""
        n_places = max(n_interactions, self._n_places)
        fixed = n_places == self._n_places and users.numel() == self._cutter.n_rows
        count = torch.full((), float(updates), dtype=torch.float64, device=self._device)
        draws = self._held.at(place) if fixed else PlacedNoise(self._noise, place)
        return _Given(users, count, draws, n_places), fixed

    def _take_step(self, given: _Given, kind: Hashable) -> None:
        """Call the update of a batch and add up its losses."""
        assert self._update is not None  # noqa: S101  (`train` sets it)
        rows = self._rows.take(given.users, given.n_places, padded=self._n_places > 0)
        losses = self._update(given.users, rows, given.draws, given.updates)
        values = torch.stack([loss.detach().double() for loss in losses.values()]) * given.users.numel()
        if kind not in self._sums:
            self._sums[kind] = list(losses), torch.zeros_like(values)
        self._sums[kind][1].add_(values)


def fresh_module(
    make: Callable[[], torch.nn.Module], *, seed: int, device: torch.device, dtype: torch.dtype
) -> torch.nn.Module:
    """Return what `make` makes, with parameters drawn from PyTorch's global generator under `seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "parameters"))
        return make().to(device, dtype)
