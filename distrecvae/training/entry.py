"""Entry: what the registry knows of a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy.typing as npt
import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.evaluation import BATCH_USERS, GPU_BATCH_USERS, Recommender
from distrecvae.training.trainer import Trainer

FLOAT_BYTES = 4

CommonArrays = Mapping[str, npt.NDArray[Any]]
"""Arrays by name that trainings only read; they may lie in shared memory."""


class Common(NamedTuple):
    """What all trainings of a model on the same data need, whatever their settings: it can be computed once and lent.

    Two models with an equal one can be lent the same arrays.

    Attributes:
        compute: from the training users to the arrays; its second argument, `progress`, may be left out and is told
            the share that is done.
        size: of the arrays, from the training users, without computing them: bytes.
    """

    compute: Callable[..., dict[str, npt.NDArray[Any]]]
    size: Callable[[InteractionMatrix], int]


class Entry(NamedTuple):
    """How one model is made; `distrecvae.training.registry` says what its functions are given.

    Attributes:
        config_class: a frozen keyword-only dataclass that checks itself.
        train: returns a trainer.
        load: returns the model with given parameters.
        memory: returns what training takes on the device, and its state file, the best model in it: bytes.
        rounds: whether training has matrix products that `precision` may round.
        at_once: whether a step solves the model, so that there is nothing to stop early.
        common: what its trainings have in common, if anything; `train` and `memory` hear of it where it is lent.
        tells: whether `train` takes a function `progress`, to be told the share of a step that is done.
        space: what a search of it searches unless told otherwise, as a file in `search_spaces/` has it, of models that
            have no file there.
    """

    config_class: type
    train: Callable[..., Trainer]
    load: Callable[..., Recommender]
    memory: Callable[..., tuple[int, int]]
    rounds: bool = False
    at_once: bool = False
    common: Common | None = None
    tells: bool = False
    space: Mapping[str, Any] | None = None


def score_bytes(n_users: int, n_items: int, device: torch.device | str = "cpu") -> int:
    """Return what scoring a batch of users takes: the scores and, while they are ranked, as much again."""
    at_once = GPU_BATCH_USERS if torch.device(device).type == "cuda" else BATCH_USERS
    return 2 * FLOAT_BYTES * min(at_once, n_users) * n_items
