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


def withheld_diagonal(n: int = 16) -> HeldOutUsers:
    """Return a checkerboard of n users and n items, shown but for its diagonal, which is held out.

    To train on as it is: each user then lacks one item of its colour, and it must be put first.
    """
    colour = np.add.outer(np.arange(n), np.arange(n)) % 2 == 0
    diagonal = np.eye(n, dtype=bool)
    shown, hidden = (
        InteractionMatrix.from_pairs(*np.nonzero(cells), n_users=n, n_items=n)
        for cells in (colour & ~diagonal, diagonal)
    )
    return HeldOutUsers(shown, hidden)
