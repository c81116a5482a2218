"""What every step is given: where it runs, on what data, how large."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from acceptance.outcome import LeftOutError
from distrecvae.data.dataset import HeldOutUsers, Split
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.models.recvae import RecVAEConfig
from distrecvae.precisions import PRECISIONS, Precision

ROOT = Path(__file__).resolve().parents[2]
SOFT_BYTES = 3 << 30
"""Memory of the soft device: a quarter of it has room for a small trial beside the context that is allowed for."""


@dataclass(frozen=True)
class Shape:
    """A set of training users."""

    n_users: int
    n_items: int
    per_user: float


@dataclass(frozen=True)
class Given:
    """What a step is given.

    Attributes:
        soft: whether it runs on the soft device of tests/soft_cuda, at a small shape: nothing is timed.
        data: MovieLens-1M as `distrecvae prepare` wrote it, or that packed; None where it was not given.
        work: an empty folder.
    """

    soft: bool
    data: Path | None
    work: Path

    @property
    def ml1m(self) -> Shape:
        """MovieLens-1M's shape: 836,478 interactions."""
        return Shape(100, 150, 12) if self.soft else Shape(6039, 3628, 138.5)

    @property
    def ml20m(self) -> Shape:
        """MovieLens-20M's shape under the published protocol."""
        return Shape(100, 400, 12) if self.soft else Shape(136_677, 20_108, 73)

    @property
    def config(self) -> RecVAEConfig:
        """RecVAE's settings: the published ones where there is a GPU."""
        return RecVAEConfig(hidden_dim=64, latent_dim=16, batch_size=100) if self.soft else RecVAEConfig()

    def ml1m_users(self) -> InteractionMatrix:
        """Return MovieLens-1M's training users, or others of that shape where the data cannot be had."""
        if not self.soft:
            with suppress(LeftOutError):
                return self.split().train
        return users_of(self.ml1m)

    @property
    def precisions(self) -> tuple[Precision, ...]:
        """The precisions that steps run in: one where nothing but the script is tried."""
        return ("bfloat16",) if self.soft else PRECISIONS

    def split(self) -> Split:
        """Return the data that was given.

        Raises:
            LeftOutError: none was, or what reads it is not installed.
        """
        if self.data is None:
            raise LeftOutError("needs --data with MovieLens-1M as `distrecvae prepare` writes it")
        if self.data.suffix == ".npz":
            return unpacked(self.data)
        try:
            from distrecvae.data.io import load_dataset
        except ImportError as error:
            raise LeftOutError(f"--data cannot be read here ({error}); --pack it where it can") from None
        return load_dataset(self.data)

    @contextmanager
    def device(self) -> Iterator[Any]:
        """Let `cuda` be the GPU, or the soft device, which is yielded."""
        if not self.soft:
            yield None
            return
        from tests.soft_cuda import soft_cuda

        with soft_cuda(SOFT_BYTES) as device:
            yield device


def users_of(shape: Shape, seed: int = 0) -> InteractionMatrix:
    """Return users of that shape: item popularity ~ rank^-0.8, each user's number of draws log-normal."""
    random = np.random.default_rng(seed)
    popularity = 1 / np.arange(1, shape.n_items + 1) ** 0.8
    cumulated = np.cumsum(popularity / popularity.sum())
    sizes = random.lognormal(0.0, 0.6, shape.n_users)
    wanted, draws = shape.per_user * shape.n_users, shape.per_user
    matrix = InteractionMatrix.from_pairs(
        np.empty(0, np.int64), np.empty(0, np.int64), n_users=shape.n_users, n_items=shape.n_items
    )
    for _ in range(4):  # duplicates are merged: draw more, until two per cent are missing at most
        counts = np.maximum(1, np.round(sizes * draws / sizes.mean())).astype(np.int64)
        users = np.repeat(np.arange(shape.n_users), counts)
        items = np.minimum(np.searchsorted(cumulated, random.random(users.size)), shape.n_items - 1)
        matrix = InteractionMatrix.from_pairs(users, items, n_users=shape.n_users, n_items=shape.n_items)
        if abs(matrix.n_interactions / wanted - 1) < 0.02:
            break
        draws *= wanted / matrix.n_interactions
    return matrix


def pack(split: Split, path: Path) -> None:
    """Write a split as one file that NumPy alone reads: a bare GPU box has nothing else."""
    parts = (split.train, split.valid.fold_in, split.valid.held_out, split.test.fold_in, split.test.held_out)
    arrays: dict[str, Any] = {"n_items": np.array(split.n_items)}
    for number, matrix in enumerate(parts):
        arrays |= {f"indptr{number}": matrix.indptr, f"indices{number}": matrix.indices}
    np.savez_compressed(path, **arrays)


def unpacked(path: Path) -> Split:
    """Return the split that `pack` wrote; its ids are positions."""
    with np.load(path) as arrays:
        n_items = int(arrays["n_items"])
        parts = [InteractionMatrix(arrays[f"indptr{n}"], arrays[f"indices{n}"], n_items) for n in range(5)]
    train, *rest = parts
    valid, test = HeldOutUsers(rest[0], rest[1]), HeldOutUsers(rest[2], rest[3])
    n_users = train.n_users + valid.n_users + test.n_users
    return Split(train, valid, test, np.arange(n_users), np.arange(n_items))
