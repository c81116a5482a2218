"""Alternating least squares: users' factors given the items', then items' given the users', a cycle a sweep.

Factors are not solved exactly but improved from where they stood, by a few steps of conjugate gradients, which is
several times as fast; sweeps arrive at the same minimum, and about as soon.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from distrecvae import rng
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import DataError
from distrecvae.evaluation import Recommender
from distrecvae.kernels.item_axes import take_items
from distrecvae.kernels.least_squares import (
    Factors,
    Weighing,
    group_bytes,
    item_side,
    load_factors,
    row_elements,
    user_side,
)
from distrecvae.kernels.solvers.conjugate_gradients import STEPS, block_bytes, improve_rows
from distrecvae.kernels.sparse import SparseRows
from distrecvae.precisions import Precision
from distrecvae.training.entry import FLOAT_BYTES, Entry, score_bytes
from distrecvae.training.schemes.state import CountingTrainer, snapshot
from distrecvae.training.trainer import Earlier

START_DEVIATION = 0.1
"""Of an item's initial factors, as a vector; a coordinate has it divided by sqrt(latent_dim)."""


class LeastSquaresTrainer(CountingTrainer):
    """Trains a factorization, a sweep at a time; see `distrecvae.training.trainer.Trainer` for the promises.

    A sweep begins with the users. Their factors are 0 at first, and carried from one sweep to the next as the items'
    are; the model is the items' alone.

    Args:
        train: the training users.
        latent_dim: factors of a user and of an item.
        regularization: lambda.
        weigh: what cells count.
        seed: root of the items' initial factors.
        device: where to train.
        dtype: of factors and arithmetic.
        steps: of conjugate gradients, a row and sweep.

    Raises:
        DataError: there is no training user or no item.
    """

    passes_per_cycle = 1  # a sweep solves every user's and every item's problem once
    solved = False  # each sweep lowers the loss, if by little

    def __init__(
        self,
        train: InteractionMatrix,
        latent_dim: int,
        regularization: float,
        weigh: Weighing,
        *,
        seed: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        steps: int = STEPS,
    ) -> None:
        if not train.n_users or not train.n_items:
            raise DataError(
                f"training data is {train.n_users} users x {train.n_items} items; both must be positive"
            )
        self._regularization, self._steps = regularization, steps
        self._users = user_side(SparseRows.from_matrix(train, device), weigh)
        self._items = item_side(self._users, SparseRows.from_matrix(_transposed(train), device))
        self._one_each = self._users.one * train.n_interactions
        start = rng.stream(seed, "parameters").normal(
            scale=START_DEVIATION / np.sqrt(latent_dim), size=(train.n_items, latent_dim)
        )
        self._model = Factors(torch.from_numpy(start).to(device, dtype), weigh, regularization)
        self._factors = torch.zeros((train.n_users, latent_dim), dtype=dtype, device=device)

    @property
    def model(self) -> Factors:
        """The model as it stands."""
        return self._model

    def step(self) -> dict[str, float]:
        """Train one sweep.

        Returns:
            ``loss``: the whole weighted loss, regularization included, a training user.

        Raises:
            DivergedError: a least-squares problem cannot be solved.
        """
        # Not under `fast_float32`: its products are of few columns, where oneDNN gains nothing.
        model, regularization = self._model, self._regularization
        users = improve_rows(
            self._users, model.items, self._factors, regularization, steps=self._steps
        ).factors
        items = improve_rows(self._items, users, model.items, regularization, steps=self._steps)
        self._factors = users
        model.items.copy_(items.factors)
        self._cycle += 1
        ridge = regularization * users.double().square().sum()
        loss = self._one_each - items.explained + ridge
        return {"loss": float(loss) / self._users.rows.n_rows}

    def _named_tensors(self) -> dict[str, torch.Tensor]:
        """Return both sides' factors, not copied."""
        return {"items": self._model.items, "users": self._factors}

    def begin_from(self, earlier: Earlier) -> None:
        """Start from the factors of the items that both have."""
        take_items({"items": self._model.items}, earlier.model, {"items": (0,)}, earlier.at)

    def model_state(self) -> dict[str, torch.Tensor]:
        """Return the parameters: a copy on the CPU."""
        return snapshot({"items": self._model.items})


def _transposed(matrix: InteractionMatrix) -> InteractionMatrix:
    """Return items x users."""
    columns = matrix.to_scipy().tocsc()
    return InteractionMatrix(
        columns.indptr.astype(np.int64), columns.indices.astype(np.int32), matrix.n_users
    )


def least_squares(config_class: type, weighing: Callable[[Any], Weighing]) -> Entry:
    """Return the registry's entry of a factorization by alternating least squares, always in the trainer's dtype.

    Args:
        config_class: of the model; it has `latent_dim` and `regularization`.
        weighing: from a configuration to what cells count.
    """

    def train(
        config: Any,
        train: InteractionMatrix,
        *,
        seed: int,
        device: torch.device,
        precision: Precision,  # noqa: ARG001
        dtype: torch.dtype,
    ) -> LeastSquaresTrainer:
        return LeastSquaresTrainer(
            train,
            config.latent_dim,
            config.regularization,
            weighing(config),
            seed=seed,
            device=device,
            dtype=dtype,
        )

    def load(
        config: Any, n_items: int, state: Mapping[str, torch.Tensor], device: torch.device | str = "cpu"
    ) -> Recommender:
        return load_factors(
            n_items, config.latent_dim, state, device, weighing(config), config.regularization
        )

    def memory(
        config: Any,
        train: InteractionMatrix,
        *,
        device: torch.device,
        precision: Precision,  # noqa: ARG001
    ) -> tuple[int, int]:
        return _memory(config.latent_dim, train, device)

    return Entry(config_class, train, load, memory)


def _memory(latent_dim: int, train: InteractionMatrix, device: torch.device) -> tuple[int, int]:
    """Return what training takes on the device, and its state on disk: bytes, by counting tensors."""
    items = FLOAT_BYTES * train.n_items * latent_dim
    users = FLOAT_BYTES * train.n_users * latent_dim
    longest = max((int(counts.max(initial=0)) for counts in (train.counts(), train.item_counts())), default=0)
    transposed = train.indices.nbytes + 8 * (train.n_items + 1)
    # While one side is improved: its new factors, right sides, residuals, directions and what comes of them.
    training = 8 * max(items, users) + block_bytes(longest)
    # Users that are scored are solved exactly: gathered factors and matrices; weighted factors; triangles. One very
    # long row may exceed a group's limit, and few users may not reach it.
    row = FLOAT_BYTES * row_elements(longest, latent_dim)
    scoring = 3 * min(max(group_bytes(device.type), row), train.n_users * row)
    working = items + users + transposed
    if device.type == "cuda":
        working += train.indices.nbytes + train.indptr.nbytes
        training += group_bytes(device.type)
    else:
        working += 2 * items + users  # the best model's copy, and the state that is being saved
    working += max(training, scoring)
    return working + score_bytes(train.n_users, train.n_items, device), 2 * items + users
