"""Phases of training as data: which parts of a network are trained, for how many passes and by which losses."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch

from distrecvae.kernels.layers import Draws
from distrecvae.kernels.sparse import SparseRows

Losses = Callable[[SparseRows, Draws, torch.Tensor], dict[str, torch.Tensor]]
"""From a batch, its random values and the updates taken before in this phase, a scalar, to the batch's mean losses."""


class Objective(NamedTuple):
    """One optimizer's work: a part of the network and the loss that it minimizes.

    Attributes:
        part: name of the submodule that is updated, and nothing else of the network.
        loss: name of the loss; objectives of one phase share no autograd graph.
        learning_rate: of Adam.
        weight_decay: what Adam adds of a weight to its gradient.
    """

    part: str
    loss: str
    learning_rate: float
    weight_decay: float = 0.0


class Phase(NamedTuple):
    """A stretch of training that does the same for each batch.

    Attributes:
        passes: how many passes it takes; None for all that follow.
        losses: makes a batch's losses; those that no objective minimizes are reported.
        objectives: what is updated, each by its own Adam, all from gradients at the same parameters.
    """

    passes: int | None
    losses: Losses
    objectives: tuple[Objective, ...]
