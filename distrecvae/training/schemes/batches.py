"""How a pass over the training users is cut into batches, and what one optimizer step needs of a batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.kernels.sparse import PIECE_PLACES
from distrecvae.kernels.transfer import onto
from distrecvae.pacing import before_batch
from distrecvae.training.entry import FLOAT_BYTES
from distrecvae.training.schemes.noise import drawn_bytes

PLACE_BYTES = 96
"""What a GPU's step holds for an interaction at most: its item, row, value, and their order by item while sorted."""


class Batch(NamedTuple):
    """What an optimizer step takes, all on the training device.

    Attributes:
        users: int64, (n_rows,), positions of its users.
        kept: bool, (n_places,), which interactions the encoder sees; None for all of them.
        noise: (n_rows, latent_dim), the posterior's eps.
        beta: a scalar, the weight of the KL term; None where the model rescales it by the user.
        n_places: room for the batch's interactions, padding included.
        padded: whether there may be padding.
    """

    users: torch.Tensor
    kept: torch.Tensor | None
    noise: torch.Tensor
    beta: torch.Tensor | None
    n_places: int
    padded: bool


class Cutter:
    """Cuts passes into batches; knows each one's length on the host, so that nothing waits for the device.

    Args:
        train: the training users.
        batch_size: users a batch; the last one may be smaller.
        device: where the users' positions go.
    """

    def __init__(self, train: InteractionMatrix, batch_size: int, device: torch.device) -> None:
        self._counts = train.counts()
        self._size = batch_size
        self._device = device

    @property
    def n_batches(self) -> int:
        """Batches in a pass."""
        return -(-self._counts.size // self._size)

    @property
    def n_rows(self) -> int:
        """Users in every batch but the last one, which may have fewer."""
        return min(self._size, self.n_users)

    @property
    def n_users(self) -> int:
        """Users in a pass."""
        return self._counts.size

    def places(self) -> int:
        """Return room for the interactions of almost every batch: one length for all is what a CUDA graph needs.

        That is the mean and six standard deviations of a batch's interactions, or what the largest users have.
        """
        spread = self._counts.mean() * self.n_rows + 6 * self._counts.std() * np.sqrt(self.n_rows)
        most = np.sort(self._counts)[-self.n_rows :].sum()
        return max(1, int(min(np.ceil(spread), most)))

    def cut(self, order: torch.Tensor) -> Iterator[tuple[torch.Tensor, int]]:
        """Yield each batch's users, on the device, and its number of interactions.

        Args:
            order: int64, (n_users,), on the CPU.
        """
        starts = np.arange(0, order.numel(), self._size)
        n_interactions = np.add.reduceat(self._counts[order.numpy()], starts).tolist()
        users = onto(order, self._device)
        for batch, (start, number) in enumerate(zip(starts.tolist(), n_interactions, strict=True)):
            before_batch(batch, starts.size)
            yield users[start : start + self._size], number


def batch_bytes(train: InteractionMatrix, batch_size: int, width: int) -> int:
    """Return what a GPU holds for a batch's interactions and for random values drawn ahead: bytes.

    Args:
        train: the training users.
        batch_size: users a batch.
        width: of the noise of a user's code; 0 where there is none.
    """
    cutter = Cutter(train, batch_size, torch.device("cpu"))
    return drawn_bytes(cutter.n_rows, width, cutter.places()) + PLACE_BYTES * cutter.places()


def item_gradient_bytes(train: InteractionMatrix, batch_size: int, width: int) -> int:
    """Return what a GPU takes to make the gradient of item rows, before it is written into place: bytes.

    They are summed from pieces, one at least for each item; a matrix of those and one of the sums.

    Args:
        train: the training users.
        batch_size: users a batch.
        width: of a row.
    """
    places = Cutter(train, batch_size, torch.device("cpu")).places()
    return FLOAT_BYTES * width * (2 * train.n_items + places // PIECE_PLACES)
