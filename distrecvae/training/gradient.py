"""Owns the training of networks that minimize one loss by gradient steps, a pass a cycle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import DataError, DivergedError
from distrecvae.evaluation import Recommender
from distrecvae.models.choices import Precision
from distrecvae.models.layers import Draws, load_parameters
from distrecvae.models.multinomial import working_bytes
from distrecvae.models.precision import fast_float32, product_dtype
from distrecvae.models.sparse import SparseRows
from distrecvae.rng import derive_seed
from distrecvae.training.batches import Cutter
from distrecvae.training.entry import FLOAT_BYTES, Entry, score_bytes
from distrecvae.training.noise import CountedNoise, Noise, Place, PlacedNoise
from distrecvae.training.state import adam, moments, snapshot, take_over

HIDDEN_TENSORS = 16
"""What a step keeps for its gradient, counted in tensors of (batch_size, hidden_dim)."""


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

    def loss(self, rows: SparseRows, draws: Draws, updates: int) -> dict[str, torch.Tensor]:
        """Return a batch's mean losses by name; ``loss`` is minimized, the others are reported.

        Args:
            rows: the batch's users; an empty row contributes nothing to a likelihood.
            draws: where random values come from.
            updates: optimizer steps taken before.
        """


class GradientTrainer:
    """Trains a network, a pass at a time; see `distrecvae.training.trainer.Trainer` for the promises.

    Args:
        make: returns the network with fresh parameters, drawn from PyTorch's global generator.
        train: the training users.
        batch_size: users a batch.
        learning_rate: of Adam.
        seed: root of all randomness, the parameters' initial values included.
        device: where to train.
        dtype: of parameters and arithmetic; float64 is for oracles.
        noise: where random values come from; None for `CountedNoise` under `seed`.

    Raises:
        DataError: there is no training user or no item.
    """

    def __init__(
        self,
        make: Callable[[], torch.nn.Module],
        train: InteractionMatrix,
        *,
        batch_size: int,
        learning_rate: float,
        seed: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        noise: Noise | None = None,
    ) -> None:
        if not train.n_users or not train.n_items:
            raise DataError(
                f"training data is {train.n_users} users x {train.n_items} items; both must be positive"
            )
        self._device = torch.device(device)
        self._rows = SparseRows.from_matrix(train, self._device)
        self._cutter = Cutter(train, batch_size, self._device)
        self._noise = noise if noise is not None else CountedNoise(seed, self._device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "parameters"))
            self._module = make().to(self._device, dtype)
        self._network: Network = self._module  # type: ignore[assignment]
        self._optimizer = adam(self._module, learning_rate, self._network.weight_decay)
        self._parameters = list(self._module.parameters())
        self._cycle = 0

    @property
    def model(self) -> Recommender:
        """The model as it stands."""
        return self._network

    @property
    def cycle(self) -> int:
        """Passes completed."""
        return self._cycle

    @property
    def passes(self) -> int:
        """Passes completed."""
        return self._cycle

    @property
    def passes_per_cycle(self) -> int:
        """One."""
        return 1

    @property
    def solved(self) -> bool:
        """Never: training goes on as long as anyone asks."""
        return False

    def step(self) -> dict[str, float]:
        """Train one pass; return the network's losses, means a user.

        Raises:
            DivergedError: a loss is not finite.
        """
        order = self._noise.order(Place(self._cycle, 0, 0), self._cutter.n_users)
        totals: dict[str, torch.Tensor] = {}
        with fast_float32():
            for number, (users, n_interactions) in enumerate(self._cutter.cut(order)):
                place = Place(self._cycle, 0, number)
                for name, loss in self._update(place, users, n_interactions).items():
                    totals[name] = totals.get(name, 0.0) + loss.double() * users.numel()
        losses = {name: float(total) / self._cutter.n_users for name, total in totals.items()}
        for name, value in losses.items():
            if not torch.isfinite(torch.tensor(value)):
                raise DivergedError(f"{name} is {value} in pass {self._cycle + 1}; lower learning_rate")
        self._cycle += 1
        return losses

    def _update(self, place: Place, users: torch.Tensor, n_interactions: int) -> dict[str, torch.Tensor]:
        """Take one optimizer step; return the batch's mean losses."""
        rows = self._rows.take(users, n_interactions)
        updates = place.cycle * self._cutter.n_batches + place.batch
        losses = self._network.loss(rows, PlacedNoise(self._noise, place), updates)
        gradients = torch.autograd.grad(losses["loss"], self._parameters)
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            parameter.grad = gradient
        self._optimizer.step()
        return {name: loss.detach() for name, loss in losses.items()}

    def _named_tensors(self) -> dict[str, torch.Tensor]:
        """Return everything that training changes, by name, not copied."""
        model = {f"model/{name}": value for name, value in self._module.state_dict().items()}
        return model | moments("adam/", self._module, self._optimizer)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return the complete state: copies on the CPU."""
        return snapshot(self._named_tensors()) | {"cycle": torch.tensor(self._cycle)}

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take over a state made by `state_dict`; nothing is changed where it does not fit."""
        cycle = torch.tensor(0)
        take_over(self._named_tensors() | {"cycle": cycle}, state)
        self._cycle = int(cycle)

    def model_state(self) -> dict[str, torch.Tensor]:
        """Return the parameters that scoring needs: copies on the CPU."""
        return snapshot(self._module.state_dict())


def gradient(config_class: type, network: Callable[..., torch.nn.Module]) -> Entry:
    """Return the registry's entry of a network.

    Args:
        config_class: of the model; it has `batch_size`, `learning_rate` and `hidden_dim`.
        network: from a configuration, a number of items and what factors of products are rounded to (or None) to a
            fresh `Network`.
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
            parameters = sum(p.numel() for p in network(config, train.n_items, None).parameters())
        saved = 3 * FLOAT_BYTES * parameters
        step = FLOAT_BYTES * HIDDEN_TENSORS * config.batch_size * config.hidden_dim
        step += working_bytes(config.batch_size, train.n_items, device.type, product_dtype(precision))
        # Gradients are made anew each step; the best model's copy is on the host.
        working = 2 * FLOAT_BYTES * parameters + step + score_bytes(train.n_users, train.n_items)
        if device.type == "cuda":
            working += train.indices.nbytes + train.indptr.nbytes
        return saved + working, saved + FLOAT_BYTES * parameters

    return Entry(config_class, train, load, memory, rounds=True)
