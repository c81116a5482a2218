"""A worker's side of what the driver keeps: the place of a state that lies on another machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray

from distrecvae.errors import ResourceError
from distrecvae.saved.places import State
from distrecvae.saved.tensors import state_from, state_pieces
from distrecvae.search.on_ray.doing import telling
from distrecvae.search.planning.resources import PIECE_BYTES

ANSWERS_WITHIN_S = 1.0
"""How long a worker waits to hear whether the search is paused, before it continues."""


class NotWantedError(ResourceError):
    """A worker's state is not wanted any more: its trial continues elsewhere, or the search is over."""


class RefusedError(OSError):
    """The driver's storage refuses a state."""


class LentState:
    """One training's state, kept by the driver; a `StatePlace`.

    Args:
        keeper: the handle that `keeping` yields.
        training: the training's folder under the results folder.
        piece_bytes: how much is sent at a time.
    """

    def __init__(self, keeper: Any, training: str, piece_bytes: int = PIECE_BYTES) -> None:
        self._keeper, self._training, self._piece_bytes = keeper, training, piece_bytes
        self._lease = 0

    @property
    def name(self) -> str:
        """The state of ..."""
        return f"the state of {self._training}"

    def load(self) -> State | None:
        """Take the training over, and return its state; None where there is none.

        Raises:
            CheckpointError: it is damaged, or of another format.
        """
        self._lease, n_bytes = ray.get(self._keeper.lend.remote(self._training))
        if not n_bytes:
            return None
        content = bytearray()
        while len(content) < n_bytes:
            piece = ray.get(self._keeper.read.remote(self._training, len(content), self._piece_bytes))
            if not piece.nbytes:
                break
            content += piece.data
        return state_from(content, self.name)

    def save(self, tensors: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
        """Send the state; it is durable when this returns.

        Raises:
            RefusedError: the driver's storage refuses it.
            NotWantedError: the training is another worker's by now, or its search is over.
        """
        parts = state_pieces(tensors, metadata)
        n_bytes, sent = sum(part.nbytes for part in parts), 0
        while True:
            piece = between(parts, sent, sent + self._piece_bytes)
            answer = ray.get(self._keeper.take.remote(self._training, self._lease, sent, n_bytes, piece))
            if answer.refused is not None:
                raise RefusedError(*answer.refused)
            if not answer.wanted:
                raise NotWantedError(f"{self.name} is not wanted any more; its trial continues elsewhere")
            sent = answer.received
            if sent == n_bytes:
                return


def between(parts: Sequence[NDArray[np.uint8]], begins: int, ends: int) -> list[NDArray[np.uint8]]:
    """Return views of the bytes from `begins` to `ends` of arrays that lie one behind the other."""

    def cut() -> Iterator[NDArray[np.uint8]]:
        at = 0
        for part in parts:
            piece = part[max(0, begins - at) : max(0, ends - at)]
            if piece.nbytes:
                yield piece
            at += part.nbytes

    return list(cut())


@dataclass(frozen=True)
class LentStates:
    """The states of a search's trials, as its workers are lent them.

    Attributes:
        keeper: the handle that `keeping` yields.
        piece_bytes: how much of a state is sent at a time.
    """

    keeper: Any
    piece_bytes: int = PIECE_BYTES

    def pausing(self) -> bool:
        """Tell whether the search is paused: trials save what they have, and give their workers back."""
        try:
            return bool(ray.get(self.keeper.pausing.remote(), timeout=ANSWERS_WITHIN_S))
        except ray.exceptions.RayError:  # late, or it died and is restarted: it is asked again
            return False

    def telling(self, training: str) -> AbstractContextManager[None]:
        """Tell the driver what this process is at in the block, for the training in that folder."""
        return telling(self.keeper, training)

    def of(self, training: str) -> LentState:
        """Return the place of one training's state, by its folder under the results folder."""
        return LentState(self.keeper, training, self.piece_bytes)
