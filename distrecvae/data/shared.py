"""Turns a data set into plain arrays that many processes map, and back, with nothing copied."""

from __future__ import annotations

from typing import Any

import numpy as np

from distrecvae.data.dataset import HeldOutUsers, Split
from distrecvae.data.interactions import InteractionMatrix

SharedData = dict[str, Any]
"""Arrays by name, and the number of items."""


def shared_arrays(split: Split) -> SharedData:
    """Return what trials need of a data set. No test users in it."""
    parts = {"train": split.train, "fold_in": split.valid.fold_in, "held_out": split.valid.held_out}
    arrays: SharedData = {"n_items": split.n_items}
    for name, matrix in parts.items():
        arrays[f"{name}/indptr"] = np.ascontiguousarray(matrix.indptr)
        arrays[f"{name}/indices"] = np.ascontiguousarray(matrix.indices)
    return arrays


def from_shared(data: SharedData) -> tuple[InteractionMatrix, HeldOutUsers]:
    """Return the training matrix and the validation users over the shared arrays, nothing copied."""

    def matrix(name: str) -> InteractionMatrix:
        return InteractionMatrix(data[f"{name}/indptr"], data[f"{name}/indices"], data["n_items"])

    return matrix("train"), HeldOutUsers(matrix("fold_in"), matrix("held_out"))


def dataset_bytes(split: Split) -> int:
    """Return the size of what trials share, in bytes."""
    return sum(array.nbytes for array in shared_arrays(split).values() if hasattr(array, "nbytes"))
