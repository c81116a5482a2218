"""Owns Entry: what the registry knows of a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from distrecvae.evaluation import BATCH_USERS, Recommender
from distrecvae.training.trainer import Trainer

FLOAT_BYTES = 4


class Entry(NamedTuple):
    """How one model is made; `distrecvae.training.registry` says what its functions are given.

    Attributes:
        config_class: a frozen keyword-only dataclass that checks itself.
        train: returns a trainer.
        load: returns the model with given parameters.
        memory: returns what training takes on the device, and its state file, the best model in it: bytes.
        rounds: whether training has matrix products that `precision` may round.
        at_once: whether a step solves the model, so that there is nothing to stop early.
    """

    config_class: type
    train: Callable[..., Trainer]
    load: Callable[..., Recommender]
    memory: Callable[..., tuple[int, int]]
    rounds: bool = False
    at_once: bool = False


def score_bytes(n_users: int, n_items: int) -> int:
    """Return what scoring a batch of users takes: the scores and, while they are ranked, as much again."""
    return 2 * FLOAT_BYTES * min(BATCH_USERS, n_users) * n_items
