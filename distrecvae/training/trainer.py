"""The Trainer protocol and `fit`, the iterator that everything else drives.

`fit` yields a report after every cycle and never decides to stop. The command line prints the reports, a Ray
trial sends them on and Tune stops it, a test takes two. There are no callbacks and no early stopping in here.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch

from distrecvae.activity import EVALUATING, TRAINING, at
from distrecvae.data.dataset import HeldOutUsers
from distrecvae.errors import DivergedError
from distrecvae.evaluation import PUBLISHED, Evaluation, Recommender, Scoring, evaluate, require_scorable
from distrecvae.metrics import on_validation


class Trainer(Protocol):
    """Trains one model, a cycle at a time.

    The model is usable after every `step`. `state_dict` is complete (parameters, optimizers, counters): a
    trainer made from the same configuration, data and seed that loads it continues bit for bit on a CPU.
    """

    @property
    def model(self) -> Recommender:
        """The model as it stands."""

    @property
    def cycle(self) -> int:
        """Cycles completed."""

    @property
    def passes(self) -> int:
        """Data passes completed: the budget's unit."""

    @property
    def passes_per_cycle(self) -> int:
        """Data passes that one `step` costs."""

    @property
    def solved(self) -> bool:
        """Whether a further step would change nothing: models that are solved, not iterated."""

    def step(self) -> dict[str, float]:
        """Train one cycle and return its mean losses by name.

        Raises:
            DivergedError: a loss is not finite.
        """

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return the complete state as flat named tensors (counters are tensors too)."""

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Load a state made by `state_dict`.

        Raises:
            CheckpointError: names or shapes do not fit.
        """

    def model_state(self) -> dict[str, torch.Tensor]:
        """Return the parameters that scoring needs, for `model.safetensors`: detached copies on the CPU."""


class Earlier(NamedTuple):
    """An earlier training of the same model, on data of other items maybe.

    Attributes:
        model: its parameters, as `Trainer.model_state` gave them.
        training: its state, as `Trainer.state_dict` gave it; empty where none was kept.
        at: int64, (n_items,), where each item of today is among its items; -1 for a new one.
    """

    model: Mapping[str, torch.Tensor]
    training: Mapping[str, torch.Tensor]
    at: torch.Tensor


@runtime_checkable
class WarmTrainer(Protocol):
    """A `Trainer` that can start from where an earlier training ended."""

    def begin_from(self, earlier: Earlier) -> bool | None:
        """Take the earlier parameters, before the first step; those of new items stay fresh.

        Returns:
            Whether the optimizer's moments are the earlier ones, too, or fresh; None if there are none.

        Raises:
            CheckpointError: shapes differ in more than the items; nothing is changed then.
        """


@dataclass(frozen=True)
class Report:
    """What one cycle gave.

    Attributes:
        cycle: cycles completed.
        passes: data passes completed.
        losses: mean training losses of the cycle, by name.
        valid: scores on the validation users; None where there are none to choose by.
        train_s: seconds of training in this cycle.
        evaluate_s: seconds of evaluation after it.
    """

    cycle: int
    passes: int
    losses: Mapping[str, float]
    valid: Evaluation | None
    train_s: float
    evaluate_s: float

    def metrics(self) -> dict[str, Any]:
        """Return the flat form that trials report: `valid/ndcg_100`, `train/loss`, `passes`, ..."""
        flat: dict[str, Any] = {"cycle": self.cycle, "passes": self.passes}
        if self.valid is not None:
            flat |= {on_validation(name): value for name, value in self.valid.means().items()}
        flat |= {f"train/{name}": value for name, value in self.losses.items()} | {"train_s": self.train_s}
        return flat if self.valid is None else flat | {"evaluate_s": self.evaluate_s}


def fit(trainer: Trainer, valid: HeldOutUsers | None, scoring: Scoring = PUBLISHED) -> Iterator[Report]:
    """Yield a report after each further cycle of `trainer`, without end; the caller decides when to stop.

    Without `valid` nothing is scored; `scoring` says by which metrics.

    Raises:
        DataError: none of `valid` can be scored.
        DivergedError: a loss or a validation score is not finite.
    """
    if valid is not None:
        require_scorable(valid, "validation")
    while True:
        started = time.perf_counter()
        with at(TRAINING):
            losses = trainer.step()
        trained = time.perf_counter()
        with at(EVALUATING):
            scores = None if valid is None else evaluate(trainer.model, valid, scoring)
        evaluated = time.perf_counter()
        report = Report(trainer.cycle, trainer.passes, losses, scores, trained - started, evaluated - trained)
        for name, value in report.metrics().items():
            if not math.isfinite(value):
                raise DivergedError(
                    f"{name} is {value} after cycle {trainer.cycle}; a lower learning rate may help"
                )
        yield report
