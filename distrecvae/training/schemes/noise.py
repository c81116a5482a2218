"""The randomness of training: the order of users, what denoising hides, the noise of the posterior.

Every draw is a function of its place (cycle, pass, batch), so none of it has to be saved, and a test can use known
values instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch

from distrecvae.rng import derive_seed, stream


class Place(NamedTuple):
    """Where something is drawn, each counted from 0; `pass_` runs over all passes of its cycle."""

    cycle: int
    pass_: int
    batch: int


class Noise(Protocol):
    """Where training gets its random values from: tensors on the device that training runs on, except the order."""

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


class HeldDraws:
    """Draws whose tensors stay in place, for a step that is recorded: what a model asked for once is in each step.

    Args:
        noise: where they come from.
    """

    def __init__(self, noise: Noise) -> None:
        self._noise, self._place = noise, Place(0, 0, 0)
        self._kept: dict[tuple[int, float], torch.Tensor] = {}
        self._normal: dict[tuple[tuple[int, int], torch.dtype], torch.Tensor] = {}

    def at(self, place: Place) -> HeldDraws:
        """Return these draws with the values of `place`, written over those they had."""
        self._place = place
        for (n_places, dropout), kept in self._kept.items():
            kept.copy_(self._noise.kept(place, n_places, dropout))
        for (shape, dtype), normal in self._normal.items():
            normal.copy_(self._noise.normal(place, shape, dtype))
        return self

    def kept(self, n_places: int, dropout: float) -> torch.Tensor:
        """Return which of a batch's interactions the model sees: bool, (n_places,)."""
        asked = (n_places, dropout)
        if asked not in self._kept:
            self._kept[asked] = self._noise.kept(self._place, n_places, dropout).clone()
        return self._kept[asked]

    def normal(self, shape: tuple[int, int], dtype: torch.dtype) -> torch.Tensor:
        """Return standard normal noise of `shape` and `dtype`."""
        asked = (shape, dtype)
        if asked not in self._normal:
            self._normal[asked] = self._noise.normal(self._place, shape, dtype).clone()
        return self._normal[asked]


DRAWN_AT_ONCE = 32
"""Batches whose values are drawn together on a GPU: a launch for all of them, at 13 MB of noise for 500 users."""


def drawn_bytes(n_rows: int, width: int, n_places: int) -> int:
    """Return what draws made ahead take on a GPU while the next ones are made: bytes.

    Args:
        n_rows: users a batch.
        width: of the noise of a user's code.
        n_places: interactions a batch; as long as they are drawn, they are floats.
    """
    return DRAWN_AT_ONCE * (2 * 4 * n_rows * width + (4 + 2 * 1) * n_places)


class CountedNoise:
    """Noise that is a function of the seed, the place and the kind of device.

    On a CPU each batch has a generator of its own. A GPU, whose generators give other values anyway, draws for
    `DRAWN_AT_ONCE` batches of a pass together.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._seed = seed
        self._device = device
        self._together: dict[str, tuple[tuple[object, ...], torch.Tensor]] = {}

    def order(self, place: Place, n_users: int) -> torch.Tensor:
        """Return a fresh permutation a pass."""
        return torch.from_numpy(stream(self._seed, "order", place.cycle, place.pass_).permutation(n_users))

    def kept(self, place: Place, n_interactions: int, dropout: float) -> torch.Tensor:
        """Return independent draws that are true with probability 1 - `dropout`."""

        def draw(generator: torch.Generator, n_batches: int) -> torch.Tensor:
            shape = (n_batches, n_interactions)
            return torch.rand(shape, generator=generator, device=self._device) >= dropout

        return self._drawn("dropout", place, (n_interactions, dropout), draw)

    def normal(self, place: Place, shape: tuple[int, int], dtype: torch.dtype) -> torch.Tensor:
        """Return independent standard normal draws."""

        def draw(generator: torch.Generator, n_batches: int) -> torch.Tensor:
            return torch.randn((n_batches, *shape), generator=generator, dtype=dtype, device=self._device)

        return self._drawn("posterior", place, (shape, dtype), draw)

    def _drawn(
        self,
        purpose: str,
        place: Place,
        what: tuple[object, ...],
        draw: Callable[[torch.Generator, int], torch.Tensor],
    ) -> torch.Tensor:
        """Return what `draw` gives for the batch at `place`; on a GPU a view of a draw for several batches."""
        if self._device.type != "cuda":
            return draw(self._generator(purpose, place), 1)[0]
        first = place._replace(batch=place.batch // DRAWN_AT_ONCE)
        known, values = self._together.get(purpose, ((), None))
        if values is None or known != (first, what):
            values = draw(self._generator(purpose, first), DRAWN_AT_ONCE)
            self._together[purpose] = ((first, what), values)
        return values[place.batch % DRAWN_AT_ONCE]

    def _generator(self, purpose: str, place: Place) -> torch.Generator:
        return torch.Generator(self._device).manual_seed(derive_seed(self._seed, purpose, *place))
