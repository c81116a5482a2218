"""Owns the training of models that are solved at once: the first step does it, others change nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from distrecvae.errors import CheckpointError
from distrecvae.evaluation import Recommender


class ClosedFormTrainer:
    """Solves a model in its first step; see `distrecvae.training.trainer.Trainer` for the promises.

    Args:
        solve: returns the parameters.
        load: returns the model with given parameters.
    """

    def __init__(
        self,
        solve: Callable[[], dict[str, torch.Tensor]],
        load: Callable[[dict[str, torch.Tensor]], Recommender],
    ) -> None:
        self._solve = solve
        self._load = load
        self._parameters: dict[str, torch.Tensor] = {}
        self._model: Recommender | None = None
        self._cycle = 0

    @property
    def model(self) -> Recommender:
        """The model; there is none before the first step."""
        if self._model is None:
            raise CheckpointError("the model is not solved yet; take a step first")
        return self._model

    @property
    def cycle(self) -> int:
        """Steps taken."""
        return self._cycle

    @property
    def passes(self) -> int:
        """Data passes completed."""
        return self._cycle

    @property
    def passes_per_cycle(self) -> int:
        """One."""
        return 1

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

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return the parameters and the counter."""
        return self.model_state() | {"cycle": torch.tensor(self._cycle)}

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take over a state made by `state_dict`."""
        if "cycle" not in state:
            raise CheckpointError("cycle is missing; the state is of another model: start anew")
        cycle = int(state["cycle"])
        if cycle:
            self._take({name: value for name, value in state.items() if name != "cycle"})
        self._cycle = cycle

    def model_state(self) -> dict[str, torch.Tensor]:
        """Return the parameters: copies on the CPU."""
        return {name: value.detach().cpu().clone() for name, value in self._parameters.items()}

    def _take(self, parameters: dict[str, torch.Tensor]) -> None:
        self._model = self._load(parameters)
        self._parameters = parameters
