"""What models cost to serve: bytes of weights, and milliseconds a user, measured on the machine that blends."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from distrecvae.blending.mixtures import scorable
from distrecvae.data.dataset import HeldOutUsers
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import ConfigError
from distrecvae.evaluation import BATCH_USERS, Recommender
from distrecvae.kernels.precision import fast_float32

SINGLE_REQUESTS = 30
"""Users that are scored one by one; their median is what a request costs."""


@dataclass(frozen=True)
class Cost:
    """What a model costs to serve.

    Attributes:
        size_bytes: of its weights, as they are stored.
        single_ms: milliseconds to score the items of one user, asked for alone: a median.
        batch_ms: milliseconds a user, of many at once.
    """

    size_bytes: int
    single_ms: float
    batch_ms: float


def measured(model: Recommender, size_bytes: int, users: HeldOutUsers) -> Cost:
    """Return what a model costs with the threads that PyTorch has now.

    Args:
        model: the model.
        size_bytes: of its weights.
        users: some of them are scored.
    """
    shown = users.fold_in.take(scorable(users)[: max(SINGLE_REQUESTS, BATCH_USERS)])
    batch = shown.slice(0, min(BATCH_USERS, shown.n_users))
    with fast_float32():
        _seconds(model, batch)  # memory and caches are warm after it
        together = _seconds(model, batch)
        alone = [
            _seconds(model, shown.slice(user, user + 1))
            for user in range(min(SINGLE_REQUESTS, shown.n_users))
        ]
    return Cost(size_bytes, 1e3 * float(np.median(alone)), 1e3 * together / batch.n_users)


def _seconds(model: Recommender, users: InteractionMatrix) -> float:
    started = time.perf_counter()
    model.score(users).cpu()
    return time.perf_counter() - started


@dataclass(frozen=True)
class Limits:
    """What a blend may cost.

    Attributes:
        max_bytes: of weights; None for any.
        max_latency_ms: milliseconds to score one user alone; None for any.

    Raises:
        ConfigError: a limit is not positive.
    """

    max_bytes: int | None = None
    max_latency_ms: float | None = None

    def __post_init__(self) -> None:
        for option, value in (("--max-bytes", self.max_bytes), ("--max-latency", self.max_latency_ms)):
            if value is not None and not value > 0:
                raise ConfigError(f"{option} {value} must be above 0")

    @property
    def any(self) -> bool:
        """Whether there is a limit at all."""
        return self.max_bytes is not None or self.max_latency_ms is not None

    def allow(self, costs: Sequence[Cost]) -> bool:
        """Return whether models with these costs, all scored one after another, keep within the limits."""
        size, latency = sum(cost.size_bytes for cost in costs), sum(cost.single_ms for cost in costs)
        return (self.max_bytes is None or size <= self.max_bytes) and (
            self.max_latency_ms is None or latency <= self.max_latency_ms
        )

    def tightened(self, latency_ms: float) -> Limits:
        """Return limits for another choice, after a blend that should have kept them was measured at `latency_ms`."""
        if self.max_latency_ms is None:
            return self
        return Limits(self.max_bytes, self.max_latency_ms * min(1.0, self.max_latency_ms / latency_ms))
