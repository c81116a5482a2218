"""distrecvae: distributed hyperparameter search for RecVAE and the models it was published against."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distrecvae.saved.model import LoadedModel

__version__ = "0.1.0"


def load(path: str | PathLike[str], *, device: str | None = None) -> LoadedModel:
    """Return the model of a folder that `distrecvae train` or a search wrote; its `recommend` takes it from there.

    Args:
        path: the results folder, or the ``best/`` in it.
        device: "cpu", "cuda", "cuda:1"; None for a GPU where there is one.

    Raises:
        CheckpointError: there is no model, or it is damaged.
        ResourceError: there is no such device.
    """
    # Imported here, so that `import distrecvae` costs nothing.
    from pathlib import Path

    from distrecvae.saved.model import load_model
    from distrecvae.training.device import usable_device

    return load_model(Path(path), usable_device(device))
