"""Says where the state of a training lies that outlives its process: in a file, or wherever somebody else keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch

from distrecvae.saved.tensors import load_state, save_state

State = tuple[dict[str, torch.Tensor], dict[str, Any]]
"""Named tensors on the CPU, and JSON-able facts about them."""


class StatePlace(Protocol):
    """Where one training's state lies."""

    @property
    def name(self) -> str:
        """What it is called in messages."""

    def load(self) -> State | None:
        """Return the state; None where there is none.

        Raises:
            CheckpointError: it is damaged, or of another format.
        """

    def save(self, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, Any]) -> None:
        """Put a state there in the place of the one before; it is durable when this returns.

        Raises:
            OSError: the storage refuses it.
        """


class StateFile:
    """A file on this machine, replaced atomically.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def name(self) -> str:
        """The file's path."""
        return str(self._path)

    def load(self) -> State | None:
        """Return what the file holds; None where there is none.

        Raises:
            CheckpointError: it is damaged, or of another format.
        """
        return load_state(self._path) if self._path.exists() else None

    def save(self, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, Any]) -> None:
        """Replace the file.

        Raises:
            OSError: it cannot be written.
        """
        save_state(self._path, tensors, metadata)
