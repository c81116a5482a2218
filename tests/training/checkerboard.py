"""A tiny data set that any correct model must complete: even users like even items, odd users odd ones."""

from __future__ import annotations

import numpy as np

from distrecvae.data.dataset import HeldOutUsers
from distrecvae.data.interactions import InteractionMatrix


def checkerboard(n_users: int = 64, n_items: int = 24) -> tuple[InteractionMatrix, HeldOutUsers]:
    """Return training users, each with most items of its colour, and held-out users shown a third."""
    generator = np.random.default_rng(0)
    colour = (np.arange(n_users)[:, None] + np.arange(n_items)) % 2 == 0
    train = colour & (generator.random(colour.shape) < 0.8)
    shown = colour & (generator.random(colour.shape) < 0.34)
    shown[:, :2] = colour[:, :2]
    parts = [
        InteractionMatrix.from_pairs(*np.nonzero(cells), n_users=n_users, n_items=n_items)
        for cells in (train, shown, colour & ~shown)
    ]
    return parts[0], HeldOutUsers(parts[1], parts[2])
