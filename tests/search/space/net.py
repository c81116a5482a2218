"""A model's config as a search space sees it, small, so that each rule has one field that breaks it. For tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from distrecvae.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Net:
    """A number of each kind, two of which one is set, a tuple, a flag."""

    size: int = 64
    rate: float = 0.01
    gamma: float | None = 0.005
    beta: float | None = None
    weights: tuple[float, float, float] = (0.15, 0.75, 0.1)
    residual: bool = True

    def __post_init__(self) -> None:
        if self.size > 1000:
            raise ConfigError(f"size={self.size} must be at most 1000")
        if (self.gamma is None) == (self.beta is None):
            raise ConfigError("exactly one of gamma and beta must be given")
        if self.rate <= 0:
            raise ConfigError(f"rate={self.rate} must be above 0")


KL: dict[str, Any] = {
    "type": "one_of",
    "branches": {
        "gamma": {"gamma": {"type": "float", "low": 5e-4, "high": 5e-2, "log": True}},
        "beta": {"beta": {"type": "float", "low": 0.01, "high": 1.0, "log": True}},
    },
}
