"""Owns one trial: train a configuration, keep its best model and its checkpoints, yield what it reports.

No Ray in here: the trainable sends the reports on, a test takes two. A trial that starts where files of its own lie
goes on from them; started again from nothing it repeats itself (all randomness comes from the task's seed).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from distrecvae.data.dataset import HeldOutUsers
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import CheckpointError
from distrecvae.training import checkpoint, registry
from distrecvae.training.trainer import Trainer, fit

STATE_FILE = "state.safetensors"
BEST_FILE = "best.safetensors"
CHECKPOINT_SHARE = 0.02
"""Checkpoints may cost this share of a trial's time; a slow disk gets fewer of them."""


@dataclass(frozen=True, kw_only=True)
class TrialTask:
    """What a worker needs to know to run a trial.

    Attributes:
        number: the trial's number.
        model: registry name.
        config: the model's configuration, JSON-able.
        seed: root of the trial's randomness.
        max_passes: data passes that must not be exceeded.
        metric: key of the reports by which the best model is kept.
        folder: where the trial's checkpoints lie; on several nodes it must be shared.
        device: a torch device.
        checkpoint_every_s: seconds between checkpoints, at least.
    """

    number: int
    model: str
    config: dict[str, Any]
    seed: int
    max_passes: int
    metric: str
    folder: str
    device: str = "cpu"
    checkpoint_every_s: float = 30.0

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-able form."""
        return asdict(self)


@dataclass
class _Best:
    """The best model so far: its score, when it was, its parameters (on the CPU)."""

    value: float
    cycle: int
    state: dict[str, torch.Tensor]
    written: bool = False


def run_trial(task: TrialTask, train: InteractionMatrix, valid: HeldOutUsers) -> Iterator[dict[str, Any]]:
    """Yield the trial's reports: flat metrics with `passes`, `cycle` and `valid/...`.

    A trial that goes on from a checkpoint first repeats the checkpoint's report: its reader may have died before
    taking it in. The best model's file is written before the last report is given.

    Raises:
        DivergedError: training stopped making sense.
        ConfigError: the configuration is not the model's.
    """
    folder = Path(task.folder)
    trainer = _make_trainer(task, train)
    best, last = _restore(task, trainer)
    if last is not None:
        yield last
    every_s, saved_at = task.checkpoint_every_s, time.monotonic()
    if not room_for_a_cycle(trainer, task.max_passes):
        return
    for report in fit(trainer, valid):
        metrics = report.metrics()
        value = float(metrics[task.metric])
        if best is None or value > best.value:
            best = _Best(value, report.cycle, trainer.model_state())
        ends = not room_for_a_cycle(trainer, task.max_passes)
        started = time.monotonic()
        if ends:
            _save_best(folder, task, best)
        elif started - saved_at >= every_s:
            _save_best(folder, task, best)
            _save_state(folder, task, trainer, best, metrics)
            saved_at = time.monotonic()
            every_s = max(task.checkpoint_every_s, (saved_at - started) / CHECKPOINT_SHARE)
        yield metrics
        if ends:
            return


def room_for_a_cycle(trainer: Trainer, max_passes: int) -> bool:
    """Tell whether another cycle fits in the budget; the first one always does."""
    return trainer.cycle == 0 or trainer.passes + trainer.passes_per_cycle <= max_passes


def best_model(task: TrialTask, cycle: int, train: InteractionMatrix) -> dict[str, torch.Tensor]:
    """Return the parameters that the trial had after `cycle` cycles.

    They are read from the trial's file where it holds that cycle; else the trial is repeated up to it, from its
    checkpoint where that helps: a trial is a function of its task.
    """
    try:
        state, metadata = checkpoint.load_state(Path(task.folder) / BEST_FILE)
        if metadata["cycle"] == cycle and metadata["config"] == task.config:
            return dict(state)
    except CheckpointError:
        pass
    trainer = _make_trainer(task, train)
    _restore(task, trainer)
    if trainer.cycle > cycle:
        trainer = _make_trainer(task, train)
    while trainer.cycle < cycle:
        trainer.step()
    return trainer.model_state()


def _make_trainer(task: TrialTask, train: InteractionMatrix) -> Trainer:
    config = registry.config_from_dict(task.model, task.config)
    return registry.make_trainer(task.model, config, train, seed=task.seed, device=task.device)


def _save_best(folder: Path, task: TrialTask, best: _Best) -> None:
    if not best.written:
        metadata = {"config": task.config, "cycle": best.cycle, "value": best.value}
        checkpoint.save_state(folder / BEST_FILE, best.state, metadata)
        best.written = True


def _save_state(
    folder: Path, task: TrialTask, trainer: Trainer, best: _Best, report: Mapping[str, Any]
) -> None:
    metadata = {"config": task.config, "best_cycle": best.cycle, "report": dict(report)}
    checkpoint.save_state(folder / STATE_FILE, trainer.state_dict(), metadata)


def _restore(task: TrialTask, trainer: Trainer) -> tuple[_Best | None, dict[str, Any] | None]:
    """Bring the trainer to the last checkpoint, if there is a whole one of this very trial."""
    folder = Path(task.folder)
    try:
        tensors, metadata = checkpoint.load_state(folder / STATE_FILE)
        state, kept = checkpoint.load_state(folder / BEST_FILE)
        if metadata["config"] != task.config or kept["cycle"] < metadata["best_cycle"]:
            return None, None
        trainer.load_state_dict(tensors)
    except (CheckpointError, KeyError):
        # Missing or damaged: the trial starts again and repeats itself.
        return None, None
    # The best model's file is written first, so it may be of a later cycle than the state; training comes by there
    # again and finds the same value, so until then nothing beats it.
    return _Best(float(kept["value"]), int(kept["cycle"]), dict(state), written=True), dict(
        metadata["report"]
    )
