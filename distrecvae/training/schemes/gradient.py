"""Trains networks that minimize one loss by gradient steps, a pass a cycle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast, runtime_checkable

import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.evaluation import Recommender
from distrecvae.kernels.item_axes import item_axes, take_items
from distrecvae.kernels.layers import Draws, load_parameters
from distrecvae.kernels.multinomial import working_bytes
from distrecvae.kernels.precision import product_dtype
from distrecvae.kernels.sparse import SparseRows
from distrecvae.precisions import Precision
from distrecvae.training.entry import FLOAT_BYTES, Entry, score_bytes
from distrecvae.training.schemes.batches import batch_bytes, item_gradient_bytes
from distrecvae.training.schemes.noise import Noise
from distrecvae.training.schemes.passes import Passes, fresh_module
from distrecvae.training.schemes.state import BETA2, CountingTrainer, adam, moments, snapshot, take_moments
from distrecvae.training.schemes.user_vectors import UserVectors
from distrecvae.training.trainer import Earlier

HIDDEN_TENSORS = 16
"""What a step keeps for its gradient, counted in tensors of (batch_size, hidden_dim)."""
VECTOR_TENSORS = 8
"""What a step of users' vectors takes besides, counted in tensors of (batch_size, user_dim)."""


class Network(Protocol):
    """A `torch.nn.Module` that says what it minimizes."""

    @property
    def n_items(self) -> int:
        """Number of items it can score."""

    @property
    def weight_decay(self) -> float:
        """What Adam adds of a weight to its gradient."""

    def score(self, fold_in: InteractionMatrix) -> torch.Tensor:
        """Return scores, as `distrecvae.evaluation.Recommender` promises."""

    def loss(self, rows: SparseRows, draws: Draws, updates: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return a batch's mean losses by name; ``loss`` is minimized, the others are reported.

        Args:
            rows: the batch's users; an empty row contributes nothing to a likelihood. On a GPU there is padding.
            draws: where random values come from.
            updates: optimizer steps taken before, a scalar, float64. On a GPU a step is recorded and replayed: what
                changes from one to the next must be computed from tensors, and nothing may wait for the device.
        """


@runtime_checkable
class UserNetwork(Protocol):
    """A `Network` with a trained vector for each training user, which the trainer owns: users are no part of a model.

    Its methods here replace `loss`.
    """

    @property
    def user_dim(self) -> int:
        """Length of a user's vector."""

    def loss_of_users(
        self, rows: SparseRows, vectors: torch.Tensor, draws: Draws, updates: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Return what `Network.loss` does, given the vectors of the batch's users, (n_rows, user_dim)."""

    def settle(self, vectors: torch.Tensor) -> None:
        """Keep what scoring needs of all users' vectors, (n_users, user_dim), for a user who has none.

        Called after each pass. What is kept is a buffer of the module, and so part of its state.
        """


class GradientTrainer(CountingTrainer):
    """Trains a network, a pass at a time; see `distrecvae.training.trainer.Trainer` for the promises.

    Args:
        make: returns the network with fresh parameters, drawn from PyTorch's global generator.
        train: the training users.
        batch_size: users a batch.
        learning_rate: of Adam.
        beta2: decay of Adam's second moment; users' vectors have Adam's own.
        seed: root of all randomness, the parameters' initial values included.
        device: where to train.
        dtype: of parameters and arithmetic; float64 is for oracles.
        noise: where random values come from; None for `CountedNoise` under `seed`.

    Raises:
        DataError: there is no training user or no item.
    """

    passes_per_cycle = 1
    solved = False

    def __init__(
        self,
        make: Callable[[], torch.nn.Module],
        train: InteractionMatrix,
        *,
        batch_size: int,
        learning_rate: float,
        beta2: float = BETA2,
        seed: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        noise: Noise | None = None,
    ) -> None:
        place = torch.device(device)
        self._passes = Passes(train, batch_size, seed=seed, device=place, noise=noise)
        self._module = fresh_module(make, seed=seed, device=place, dtype=dtype)
        self._network: Network = self._module  # type: ignore[assignment]
        self._optimizer = adam(self._module, learning_rate, self._network.weight_decay, beta2=beta2)
        self._parameters = list(self._module.parameters())
        self._vectors: UserVectors | None = None
        if isinstance(self._module, UserNetwork):
            self._vectors = UserVectors(
                train.n_users, self._module.user_dim, learning_rate, device=place, dtype=dtype
            )

    @property
    def model(self) -> Recommender:
        """The model as it stands."""
        return self._network

    def step(self) -> dict[str, float]:
        """Train one pass; return the network's losses, means a user.

        Raises:
            DivergedError: a loss is not finite.
        """
        if self._vectors is not None:
            self._vectors.begin(self._cycle + 1)
        losses = self._passes.train(self._cycle, self._update, updates=self._cycle * self._passes.n_batches)
        if self._vectors is not None:
            cast(UserNetwork, self._module).settle(self._vectors.values)
        self._cycle += 1
        return losses

    def _update(
        self, users: torch.Tensor, rows: SparseRows, draws: Draws, updates: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Take one optimizer step; return the batch's mean losses."""
        wanted: list[torch.Tensor] = [*self._parameters]
        if self._vectors is None:
            losses = self._network.loss(rows, draws, updates)
        else:
            vectors = self._vectors.of(users)
            losses = cast(UserNetwork, self._module).loss_of_users(rows, vectors, draws, updates)
            wanted.append(vectors)
        gradients = torch.autograd.grad(losses["loss"], wanted)
        # Those by users' vectors, if there are any, come last.
        for parameter, gradient in zip(self._parameters, gradients, strict=False):
            parameter.grad = gradient
        self._optimizer.step()
        if self._vectors is not None:
            self._vectors.step(users, gradients[-1])
        return losses

    def _named_tensors(self) -> dict[str, torch.Tensor]:
        """Return everything that training changes, by name, not copied."""
        model = {f"model/{name}": value for name, value in self._module.state_dict().items()}
        users = {} if self._vectors is None else self._vectors.named_tensors("users/")
        return model | moments("adam/", self._module, self._optimizer) | users

    def begin_from(self, earlier: Earlier) -> bool:
        """Start from an earlier training's parameters and moments; users' vectors start at zero."""
        axes = item_axes(self._module)
        take_items(self._module.state_dict(), earlier.model, axes, earlier.at)
        return take_moments("adam/", self._module, self._optimizer, earlier.training, axes, earlier.at)

    def model_state(self) -> dict[str, torch.Tensor]:
        """Return the parameters that scoring needs, without users' vectors: copies on the CPU."""
        return snapshot(self._module.state_dict())


def gradient(config_class: type, network: Callable[..., torch.nn.Module]) -> Entry:
    """Return the registry's entry of a network.

    Args:
        config_class: of the model; it has `batch_size`, `learning_rate` and `hidden_dim`, and may have
            `adam_beta2`.
        network: from a configuration, a number of items and what factors of products are rounded to (or None) to a
            fresh `Network` or `UserNetwork`.
    """

    def train(
        config: Any,
        train: InteractionMatrix,
        *,
        seed: int,
        device: torch.device,
        precision: Precision,
        dtype: torch.dtype,
    ) -> GradientTrainer:
        return GradientTrainer(
            lambda: network(config, train.n_items, product_dtype(precision)),
            train,
            batch_size=config.batch_size,
            learning_rate=config.learning_rate,
            beta2=getattr(config, "adam_beta2", BETA2),
            seed=seed,
            device=device,
            dtype=dtype,
        )

    def load(
        config: Any, n_items: int, state: Mapping[str, torch.Tensor], device: torch.device | str = "cpu"
    ) -> Recommender:
        with torch.device("meta"):
            module = network(config, n_items, None)
        load_parameters(module, state, device)
        return module  # type: ignore[return-value]

    def memory(
        config: Any, train: InteractionMatrix, *, device: torch.device, precision: Precision
    ) -> tuple[int, int]:
        with torch.device("meta"):
            module = network(config, train.n_items, None)
        parameters = sum(parameter.numel() for parameter in module.parameters())
        user_dim = module.user_dim if isinstance(module, UserNetwork) else 0
        of_users = train.n_users * user_dim
        saved = 3 * FLOAT_BYTES * (parameters + of_users)
        step = (
            FLOAT_BYTES * config.batch_size * (HIDDEN_TENSORS * config.hidden_dim + VECTOR_TENSORS * user_dim)
        )
        step += working_bytes(config.batch_size, train.n_items, device.type, product_dtype(precision))
        # Gradients are made again each step; the best model's copy is on the host.
        working = 2 * FLOAT_BYTES * parameters + step + score_bytes(train.n_users, train.n_items, device)
        if device.type == "cuda":
            # The data lies there too. A CUDA graph lends what its step holds, gradients included, to no one else.
            working += item_gradient_bytes(train, config.batch_size, config.hidden_dim)
            working += train.indices.nbytes + train.indptr.nbytes + 2 * FLOAT_BYTES * parameters + step
            working += batch_bytes(train, config.batch_size, getattr(config, "latent_dim", 0))
        return saved + working, saved + FLOAT_BYTES * parameters

    return Entry(config_class, train, load, memory, rounds=True)
