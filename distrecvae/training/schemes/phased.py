"""Trains networks in phases, a pass a cycle: parts with losses and optimizers of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.evaluation import Recommender
from distrecvae.kernels.item_axes import item_axes, take_items
from distrecvae.kernels.layers import Draws, load_parameters
from distrecvae.kernels.phases import Objective, Phase
from distrecvae.kernels.precision import product_dtype
from distrecvae.kernels.sparse import SparseRows
from distrecvae.precisions import Precision
from distrecvae.training.entry import FLOAT_BYTES, Entry, score_bytes
from distrecvae.training.schemes.gradient import gradient
from distrecvae.training.schemes.noise import Noise
from distrecvae.training.schemes.passes import Passes, fresh_module
from distrecvae.training.schemes.state import CountingTrainer, adam, moments, snapshot, take_moments
from distrecvae.training.trainer import Earlier


class Network(Protocol):
    """A `torch.nn.Module` of parts that says what they minimize, and when."""

    @property
    def scorer(self) -> torch.nn.Module:
        """The part that scores, a `distrecvae.evaluation.Recommender`: all that is kept of a trained model."""

    def phases(self) -> tuple[Phase, ...]:
        """Return the phases of training in order; the last one has all further passes."""


class PhasedTrainer(CountingTrainer):
    """Trains a network, a pass at a time; see `distrecvae.training.trainer.Trainer` for the promises.

    Every part has one Adam. It starts over, its moments zero, when a phase gives the part another loss to minimize, and
    continues when the phase before had the same.

    Args:
        make: returns the network with fresh parameters, drawn from PyTorch's global generator.
        train: the training users.
        batch_size: users a batch.
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
        seed: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        noise: Noise | None = None,
    ) -> None:
        place = torch.device(device)
        self._passes = Passes(train, batch_size, seed=seed, device=place, noise=noise)
        self._module = fresh_module(make, seed=seed, device=place, dtype=dtype)
        self._network: Network = self._module  # type: ignore[assignment]
        self._phases = self._network.phases()
        self._optimizers = {
            objective.part: adam(self._module.get_submodule(objective.part), objective.learning_rate)
            for phase in self._phases
            for objective in phase.objectives
        }

    @property
    def model(self) -> Recommender:
        """The model as it stands."""
        return self._network.scorer  # type: ignore[return-value]

    def step(self) -> dict[str, float]:
        """Train one pass; return the phase's losses, means a user.

        Raises:
            DivergedError: a loss or a logit is not finite.
        """
        number, before = self._phase()
        if number and self._cycle == before:
            self._begin(number)  # what the first phase starts with is fresh, or an earlier training's
        phase = self._phases[number]

        def update(
            _users: torch.Tensor, rows: SparseRows, draws: Draws, updates: torch.Tensor
        ) -> dict[str, torch.Tensor]:
            losses = phase.losses(rows, draws, updates)
            self._update(phase.objectives, losses)
            return losses

        taken = (self._cycle - before) * self._passes.n_batches
        means = self._passes.train(self._cycle, update, updates=taken, kind=number)
        self._cycle += 1
        return means

    def _phase(self) -> tuple[int, int]:
        """Return the phase of the next pass by its number, and how many passes came before that phase."""
        before = 0
        for number, phase in enumerate(self._phases):
            if phase.passes is None or self._cycle < before + phase.passes:
                return number, before
            before += phase.passes
        raise AssertionError("the last phase has an end")

    def _begin(self, number: int) -> None:
        """Let the optimizers be what phase `number` starts with."""
        earlier = {(o.part, o.loss) for o in self._phases[number - 1].objectives}
        for objective in self._phases[number].objectives:
            if (objective.part, objective.loss) not in earlier:
                for part_state in self._optimizers[objective.part].state.values():
                    for value in part_state.values():
                        value.zero_()

    def _update(self, objectives: tuple[Objective, ...], losses: Mapping[str, torch.Tensor]) -> None:
        """Take one step of each objective's optimizer, after all gradients are made."""
        for objective in objectives:
            parameters = list(self._module.get_submodule(objective.part).parameters())
            gradients = torch.autograd.grad(losses[objective.loss], parameters)
            for parameter, gradient_ in zip(parameters, gradients, strict=True):
                parameter.grad = gradient_
        for objective in objectives:
            optimizer = self._optimizers[objective.part]
            for group in optimizer.param_groups:
                group["lr"] = objective.learning_rate
            optimizer.param_groups[0]["weight_decay"] = objective.weight_decay  # the second are the biases
            optimizer.step()

    def _named_tensors(self) -> dict[str, torch.Tensor]:
        """Return everything that training changes, by name, not copied."""
        named = {f"model/{name}": value for name, value in self._module.state_dict().items()}
        for part, optimizer in self._optimizers.items():
            named |= moments(f"adam/{part}/", self._module.get_submodule(part), optimizer)
        return named

    def begin_from(self, earlier: Earlier) -> bool:
        """Start from the scorer's parameters or, given a whole state, from all parts and moments; phases start over."""
        scorer, training = self._network.scorer, earlier.training
        parts = {f"model/{name}": value for name, value in self._module.state_dict().items()}
        whole = parts.keys() <= training.keys()
        if whole:
            axes = {f"model/{name}": own for name, own in item_axes(self._module).items()}
            take_items(parts, training, axes, earlier.at)
        take_items(scorer.state_dict(), earlier.model, item_axes(scorer), earlier.at)
        taken = [
            take_moments(f"adam/{name}/", part, optimizer, training, item_axes(part), earlier.at)
            for name, optimizer in self._optimizers.items()
            for part in (self._module.get_submodule(name),)
        ]
        return whole and all(taken)

    def model_state(self) -> dict[str, torch.Tensor]:
        """Return the parameters that scoring needs: copies on the CPU."""
        return snapshot(self._network.scorer.state_dict())


def phased(config_class: type, network: Callable[..., torch.nn.Module]) -> Entry:
    """Return the registry's entry of a network that is trained in phases.

    Args:
        config_class: of the model; it has `batch_size` and `hidden_dim`.
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
    ) -> PhasedTrainer:
        return PhasedTrainer(
            lambda: network(config, train.n_items, product_dtype(precision)),
            train,
            batch_size=config.batch_size,
            seed=seed,
            device=device,
            dtype=dtype,
        )

    def load(
        config: Any, n_items: int, state: Mapping[str, torch.Tensor], device: torch.device | str = "cpu"
    ) -> Recommender:
        with torch.device("meta"):
            module: Any = network(config, n_items, None)
        load_parameters(module.scorer, state, device)
        return module.scorer  # type: ignore[no-any-return]

    def memory(
        config: Any, train: InteractionMatrix, *, device: torch.device, precision: Precision
    ) -> tuple[int, int]:
        held, saved = plain.memory(config, train, device=device, precision=precision)
        with torch.device("meta"):
            module: Any = network(config, train.n_items, None)
        numbers = [sum(value.numel() for value in part.parameters()) for part in (module, module.scorer)]
        # Of the best model only the part that scores is kept. Training users may be ranked beside what a step holds.
        saved -= FLOAT_BYTES * (numbers[0] - numbers[1])
        return held + score_bytes(train.n_users, train.n_items, device), saved

    plain = gradient(config_class, network)
    return plain._replace(train=train, load=load, memory=memory)
