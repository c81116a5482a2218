"""Trains models that are solved at once: the first step solves, later ones change nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import CheckpointError, DataError
from distrecvae.evaluation import Recommender
from distrecvae.precisions import Precision
from distrecvae.training.entry import Common, Entry, score_bytes
from distrecvae.training.schemes.state import CountingTrainer, snapshot


class ClosedFormTrainer(CountingTrainer):
    """Solves a model in its first step; see `distrecvae.training.trainer.Trainer` for the promises.

    Args:
        solve: returns the parameters.
        load: returns the model with given parameters.
    """

    passes_per_cycle = 1

    def __init__(
        self,
        solve: Callable[[], dict[str, torch.Tensor]],
        load: Callable[[dict[str, torch.Tensor]], Recommender],
    ) -> None:
        self._solve = solve
        self._load = load
        self._parameters: dict[str, torch.Tensor] = {}
        self._model: Recommender | None = None

    @property
    def model(self) -> Recommender:
        """The model; there is none before the first step."""
        if self._model is None:
            raise CheckpointError("the model is not solved yet; take a step first")
        return self._model

    @property
    def solved(self) -> bool:
        """True after the first step."""
        return self._model is not None

    def step(self) -> dict[str, float]:
        """Solve the model, the first time; there is no loss to report."""
        if self._model is None:
            self._take(self._solve())
        self._cycle += 1
        return {}

    def _named_tensors(self) -> dict[str, torch.Tensor]:
        """Return the parameters, not copied; none before the first step."""
        return self._parameters

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Load a state made by `state_dict`."""
        if "cycle" not in state:
            raise CheckpointError("cycle is missing; the state is of another model: start over")
        cycle = int(state["cycle"])
        if cycle:
            self._take({name: value for name, value in state.items() if name != "cycle"})
        self._cycle = cycle

    def model_state(self) -> dict[str, torch.Tensor]:
        """Return the parameters: copies on the CPU."""
        return snapshot(self._parameters)

    def _take(self, parameters: dict[str, torch.Tensor]) -> None:
        self._model = self._load(parameters)
        self._parameters = parameters


def closed_form(
    config_class: type,
    solve: Callable[..., dict[str, torch.Tensor]],
    load: Callable[..., Recommender],
    memory: Callable[..., tuple[int, int]],
    *,
    common: Common | None = None,
    tells: bool = False,
) -> Entry:
    """Return the registry's entry of a model that is solved at once; it decides its precision itself.

    Args:
        config_class: of the model.
        solve: from a configuration, the training users, a device and, with `common`, the arrays that are lent (or
            None) to the parameters.
        load: from a configuration, the number of items, parameters and a device to the model.
        memory: from a configuration, the training users and, with `common`, whether the solver can read it without
            copying, to bytes: what solving takes at its peak, and the parameters.
        common: what all solutions on the same data start from.
        tells: whether `solve` takes a function `progress`, to be told the share that is done.
    """

    def train(
        config: Any,
        train: InteractionMatrix,
        *,
        seed: int,  # noqa: ARG001
        device: torch.device,
        precision: Precision,  # noqa: ARG001
        dtype: torch.dtype,  # noqa: ARG001
        **given: Any,
    ) -> ClosedFormTrainer:
        if not train.n_users or not train.n_items:
            raise DataError(
                f"training data is {train.n_users} users x {train.n_items} items; both must be positive"
            )
        return ClosedFormTrainer(
            lambda: solve(config, train, device, **given),
            lambda state: load(config, train.n_items, state, device),
        )

    def memory_bytes(
        config: Any,
        train: InteractionMatrix,
        *,
        device: torch.device,
        precision: Precision,  # noqa: ARG001
        **told: bool,
    ) -> tuple[int, int]:
        # What is lent lies in the host's memory: a GPU has its own copy.
        solving, parameters = memory(
            config, train, **{k: v and device.type == "cpu" for k, v in told.items()}
        )
        # Afterwards there are the model and, on the host, the best model's copy and the one that is being saved.
        copies = 1 if device.type == "cuda" else 3
        return max(
            solving, copies * parameters + score_bytes(train.n_users, train.n_items, device)
        ), 2 * parameters

    return Entry(config_class, train, load, memory_bytes, at_once=True, common=common, tells=tells)
