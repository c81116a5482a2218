"""What helps where one trial does not fit into memory: fewer items, or a model that takes less."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.training import registry
from distrecvae.words import counted, gib

LEAST = (2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)
"""Values of --min-item-interactions that are tried."""


def remedies(model: str, config: object, train: InteractionMatrix, room_bytes: int) -> str:
    """Return what lets a trial on the CPU fit, with figures; empty where nothing that is tried does.

    Args:
        model: of the trial.
        config: its configuration.
        train: the training users.
        room_bytes: what a trial may take.
    """
    found = []
    counts = train.item_counts()
    for least in LEAST:
        fewer = _of_items(train, counts >= least)
        if fewer.n_items in (0, train.n_items):
            continue
        taken = registry.memory_bytes(model, config, fewer)[0]
        if taken <= room_bytes:
            found.append(
                f"prepare the data with --min-item-interactions {least} (about {fewer.n_items:,} of"
                f" {counted(train.n_items, 'item', 'items')} are left, and a trial takes {gib(taken)})"
            )
            break
    common = registry.common_of(model)
    for other in registry.models():
        if other != model and common is not None and registry.common_of(other) == common:
            taken = registry.memory_bytes(other, registry.config_from_dict(other, {}), train)[0]
            if taken <= room_bytes:
                found.append(f"take --model {other}, which takes less (about {gib(taken)})")
    return ", or ".join(found)


def _of_items(matrix: InteractionMatrix, kept: npt.NDArray[np.bool_]) -> InteractionMatrix:
    """Return the interactions with some items, bool (n_items,), alone."""
    inside = kept[matrix.indices]
    before = np.concatenate([[0], np.cumsum(inside)])
    place = np.cumsum(kept) - 1
    return InteractionMatrix(
        before[matrix.indptr].astype(np.int64),
        place[matrix.indices[inside]].astype(np.int32),
        int(kept.sum()),
    )
