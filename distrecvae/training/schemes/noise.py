"""Owns the randomness of training: the order of users, what denoising hides, the noise of the posterior.

Every draw is made from its place (cycle, pass, batch), so nothing about it has to be saved, and a test can
put known values in its stead.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch

from distrecvae.rng import derive_seed, stream


class Place(NamedTuple):
    """Where something is drawn, each counted from 0; `pass_` runs over all passes of its cycle."""

    cycle: int
    pass_: int
    batch: int


class Noise(Protocol):
    """Where training gets its random values from; tensors come on the device that training runs on, but the order."""

    def order(self, place: Place, n_users: int) -> torch.Tensor:
        """Return the order of users in a pass, a permutation: int64, (n_users,), on the CPU.

        The host must know how many interactions each batch has.
        """

    def kept(self, place: Place, n_interactions: int, dropout: float) -> torch.Tensor:
        """Return which of a batch's interactions the encoder sees: bool, (n_interactions,)."""

    def normal(self, place: Place, shape: tuple[int, int], dtype: torch.dtype) -> torch.Tensor:
        """Return the standard normal noise of a batch's codes, eps: of `shape` and `dtype`."""


class PlacedNoise:
    """The noise of one place, for a model that asks without knowing where it is."""

    def __init__(self, noise: Noise, place: Place) -> None:
        self._noise, self._place = noise, place

    def kept(self, n_places: int, dropout: float) -> torch.Tensor:
        """Return which of a batch's interactions the model sees: bool, (n_places,)."""
        return self._noise.kept(self._place, n_places, dropout)

    def normal(self, shape: tuple[int, int], dtype: torch.dtype) -> torch.Tensor:
        """Return standard normal noise of `shape` and `dtype`."""
        return self._noise.normal(self._place, shape, dtype)


class CountedNoise:
    """Noise that is a function of the seed and the place."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self._seed = seed
        self._device = device

    def order(self, place: Place, n_users: int) -> torch.Tensor:
        """Return a fresh permutation a pass."""
        return torch.from_numpy(stream(self._seed, "order", place.cycle, place.pass_).permutation(n_users))

    def kept(self, place: Place, n_interactions: int, dropout: float) -> torch.Tensor:
        """Return independent draws that are true with probability 1 - `dropout`."""
        draws = torch.rand(n_interactions, generator=self._generator("dropout", place), device=self._device)
        return draws >= dropout

    def normal(self, place: Place, shape: tuple[int, int], dtype: torch.dtype) -> torch.Tensor:
        """Return independent standard normal draws."""
        return torch.randn(
            shape, generator=self._generator("posterior", place), dtype=dtype, device=self._device
        )

    def _generator(self, purpose: str, place: Place) -> torch.Generator:
        return torch.Generator(self._device).manual_seed(derive_seed(self._seed, purpose, *place))
