"""The state of trainings: counted cycles, tensors by name, Adam ready to be saved, and loading a saved state."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import torch

from distrecvae.errors import CheckpointError
from distrecvae.kernels.item_axes import take_items
from distrecvae.kernels.transfer import copies_on_host

_STEP = inspect.unwrap(torch.optim.Adam.step)
_ZERO_GRAD = inspect.unwrap(torch.optim.Adam.zero_grad)
_ADD_PARAM_GROUP = inspect.unwrap(torch.optim.Adam.add_param_group)


class _Adam(torch.optim.Adam):
    """PyTorch's Adam, without what its methods are wrapped in for the sake of `torch.compile`.

    Nothing is compiled here, and the wrappers import the compiler at the first call: most of a second of each
    worker's start.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Take one step, as `torch.optim.Adam` does."""
        return _STEP(self, closure)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients, likewise."""
        _ZERO_GRAD(self, set_to_none)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Train these parameters, too, likewise."""
        _ADD_PARAM_GROUP(self, param_group)


class CountingTrainer(ABC):
    """A trainer that counts its cycles; its state is that count and tensors by name."""

    _cycle = 0

    @property
    @abstractmethod
    def passes_per_cycle(self) -> int:
        """Data passes that one step costs."""

    @property
    def cycle(self) -> int:
        """Cycles completed."""
        return self._cycle

    @property
    def passes(self) -> int:
        """Data passes completed."""
        return self._cycle * self.passes_per_cycle

    @abstractmethod
    def _named_tensors(self) -> Mapping[str, torch.Tensor]:
        """Return everything that training changes, by name, not copied."""

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return the complete state: copies on the CPU."""
        return snapshot(self._named_tensors()) | {"cycle": torch.tensor(self._cycle)}

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Load a state made by `state_dict`; nothing is changed if it does not fit.

        Raises:
            CheckpointError: a tensor is missing, or of another shape or type.
        """
        cycle = torch.tensor(0)
        take_over({**self._named_tensors(), "cycle": cycle}, state)
        self._cycle = int(cycle)


BETA1, BETA2 = 0.9, 0.999
"""Decays of Adam's moments, its paper's and PyTorch's (Kingma and Ba, ICLR 2015)."""


def adam(
    module: torch.nn.Module, learning_rate: float, weight_decay: float = 0.0, *, beta2: float = BETA2
) -> torch.optim.Adam:
    """Return Adam over a module's parameters with its state made at once: to save, or to load into.

    Args:
        module: what is trained.
        learning_rate: of all parameters.
        weight_decay: what is added of a weight to its gradient; biases, which have one axis, are free.
        beta2: the second moment's decay.
    """
    parameters = list(module.parameters())
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1]},
    ]
    # Recording a CUDA graph needs the step counter on the device.
    optimizer = _Adam(
        groups, lr=learning_rate, betas=(BETA1, beta2), fused=True, capturable=parameters[0].is_cuda
    )
    for parameter in parameters:
        optimizer.state[parameter] = {
            "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
            "exp_avg": torch.zeros_like(parameter),
            "exp_avg_sq": torch.zeros_like(parameter),
        }
    return optimizer


def moments(prefix: str, module: torch.nn.Module, optimizer: torch.optim.Adam) -> dict[str, torch.Tensor]:
    """Return the optimizer's tensors by name, ``prefix`` first, not copied."""
    return {
        f"{prefix}{name}/{key}": value
        for name, parameter in module.named_parameters()
        for key, value in optimizer.state[parameter].items()
    }


def take_moments(
    prefix: str,
    module: torch.nn.Module,
    optimizer: torch.optim.Adam,
    earlier: Mapping[str, torch.Tensor],
    axes: Mapping[str, tuple[int, ...]],
    at: torch.Tensor,
) -> bool:
    """Copy an earlier optimizer's moments into another one; those of new items stay zero.

    Args:
        prefix: of the tensors' names, as in `moments`.
        module: what is trained.
        optimizer: its Adam.
        earlier: the earlier training's state.
        axes: as `item_axes` gives them, of the module.
        at: where each item is among the earlier ones; -1 for a new one.

    Returns:
        Whether the earlier state has them.

    Raises:
        CheckpointError: shapes differ in more than the items.
    """
    named = moments(prefix, module, optimizer)
    if not named.keys() <= earlier.keys():
        return False
    own = {
        f"{prefix}{name}/{key}": axes.get(name, ())
        for name, parameter in module.named_parameters()
        for key, value in optimizer.state[parameter].items()
        if value.ndim
    }
    take_items(named, earlier, own, at)
    return True


def snapshot(named: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return copies on the CPU, waiting for a GPU once."""
    return copies_on_host(named)


def take_over(named: Mapping[str, torch.Tensor], state: Mapping[str, torch.Tensor]) -> None:
    """Copy the values of `state` into the tensors `named`; nothing is changed if they do not fit.

    Raises:
        CheckpointError: a tensor is missing, or of another shape or type.
    """
    for name, value in named.items():
        given = state.get(name)
        if given is None or given.shape != value.shape or given.dtype != value.dtype:
            found = "missing" if given is None else f"{given.dtype} of shape {tuple(given.shape)}"
            raise CheckpointError(f"{name} is {found}; it is the state of another run: start over")
    for name, value in named.items():
        value.copy_(state[name])
