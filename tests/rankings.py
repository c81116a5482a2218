"""Scores that are hard to rank, and what their ranking is by a stable sort."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from distrecvae.data.interactions import InteractionMatrix


def matrix(rows: list[list[int]], n_items: int) -> InteractionMatrix:
    users = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    return InteractionMatrix.from_pairs(
        users,
        np.concatenate([np.asarray(row, dtype=np.int64) for row in rows]),
        n_users=len(rows),
        n_items=n_items,
    )


# Scores on which a ranking goes wrong first: zeros of both signs are equal, the smallest numbers are not zero,
# and the greatest must stay below the infinities that mark cells.
HARD = np.array([0.0, -0.0, 1e-45, -1e-45, 1.0, np.nextafter(np.float32(1), 2), 3.4e38, -3.4e38], np.float32)


def stable_order(scores: npt.NDArray[np.float32], fold_in: InteractionMatrix, k: int) -> npt.NDArray[np.intp]:
    """Return what `rank` promises: the start of a stable sort of the masked scores, so ties by position."""
    masked = scores.copy()
    masked[np.repeat(np.arange(len(scores)), fold_in.counts()), fold_in.indices] = -np.inf
    return np.argsort(-masked, axis=1, kind="stable")[:, :k]


def some_scores(generator: np.random.Generator, kind: str, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    if kind == "hard":
        return generator.choice(HARD, size=shape)
    if kind == "levels":
        return generator.integers(0, generator.integers(1, 30), size=shape).astype(np.float32)
    return generator.normal(size=shape).astype(np.float32)


def some_fold_in(generator: np.random.Generator, kind: str, n_users: int, n_items: int) -> InteractionMatrix:
    shown = generator.random((n_users, n_items)) < {"none": 0, "some": 0.1, "most": 1}[kind]
    shown[np.arange(n_users), generator.integers(0, n_items, n_users)] = False
    return InteractionMatrix.from_pairs(*np.nonzero(shown), n_users=n_users, n_items=n_items)
