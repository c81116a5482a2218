"""Users with structure, for models that are held against independent solutions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from distrecvae.data.interactions import InteractionMatrix


def random_users(*, n_users: int, n_items: int, seed: int = 0) -> InteractionMatrix:
    """Return users who like items near their own taste, on a ring; the last one has none."""
    generator = np.random.default_rng(seed)
    taste, places = generator.random((n_users, 1)), generator.random(n_items)
    distance = np.abs(taste - places)
    chance = 0.6 * np.exp(-8 * np.minimum(distance, 1 - distance))
    chance[-1] = 0
    users, items = np.nonzero(generator.random((n_users, n_items)) < chance)
    return InteractionMatrix.from_pairs(users, items, n_users=n_users, n_items=n_items)


def dense(matrix: InteractionMatrix) -> npt.NDArray[np.float64]:
    """Return the users x items matrix of zeros and ones."""
    return np.asarray(matrix.to_scipy().toarray(), dtype=np.float64)
