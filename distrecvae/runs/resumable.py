"""Training that outlives its process: trainer, best model and reports in one state.

What continues is a function of that state and of the trainer's own settings: after any interruption training ends with
the reports and the model that it would have had.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from distrecvae.activity import SAVING, at
from distrecvae.data.dataset import HeldOutUsers
from distrecvae.errors import CheckpointError
from distrecvae.evaluation import PUBLISHED, Scoring
from distrecvae.saved.places import StatePlace
from distrecvae.saved.tensors import load_state, read_metadata
from distrecvae.training.trainer import Trainer, fit

CHECKPOINT_SHARE = 0.02
"""Checkpoints may cost this share of the time; a slow disk gets fewer of them."""
_BEST, _TRAINER = "best/", "trainer/"


class ResumableTraining:
    """A trainer with a memory: iterate over `cycles`.

    Args:
        place: where the state lies.
        trainer: a fresh trainer.
        valid: the users that choose the best model; None where nothing is left to choose by, and the last is kept.
        identity: JSON-able; a state of another identity is refused.
        metric: key of the reports that is maximised, such as `valid/ndcg_100`; None without `valid`.
        scoring: what is computed on `valid`.
        checkpoint_every_s: seconds between checkpoints, at least.
        must_save: whether a checkpoint that cannot be written ends the training; else it continues without.
        about: JSON-able; written into the state for whoever reads it, and not looked at here.

    Attributes:
        trainer: as given.
        history: the reports so far, flat metrics, in order.
        taken_up: what `about` the state had that was restored; empty where none was.
    """

    def __init__(
        self,
        place: StatePlace,
        trainer: Trainer,
        valid: HeldOutUsers | None,
        *,
        identity: Mapping[str, Any],
        metric: str | None,
        scoring: Scoring = PUBLISHED,
        checkpoint_every_s: float = 30.0,
        must_save: bool = True,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        self.trainer = trainer
        self.history: list[dict[str, Any]] = []
        self.taken_up: dict[str, Any] = {}
        self._best_state: dict[str, torch.Tensor] = {}
        self._place, self._valid, self._identity = place, valid, dict(identity)
        self._metric, self._every_s, self._must_save = metric, checkpoint_every_s, must_save
        self._about = dict(about or {})
        self._n_saved, self._scoring = 0, scoring

    @property
    def best(self) -> dict[str, Any] | None:
        """The report of the model that is kept; None before the first report."""
        return best_report(self.history, self._metric)

    @property
    def best_state(self) -> dict[str, torch.Tensor]:
        """The parameters of the model that is kept, on the CPU; empty before the first report."""
        if self._metric is None and self.history:
            return self.trainer.model_state()
        return self._best_state

    @property
    def saved(self) -> bool:
        """Whether the state that lies there holds every cycle that was completed."""
        return self._n_saved == len(self.history)

    def note(self, **about: Any) -> None:
        """Add to what is written about the training into its state file; JSON-able."""
        self._about |= about

    def restore(self) -> None:
        """Take up the state that lies in its place; where there is none, nothing changes.

        Raises:
            CheckpointError: it is damaged or of another identity; training has not been touched then.
        """
        found = self._place.load()
        if found is None:
            return
        tensors, metadata = found
        _require_identity(self._place.name, metadata, self._identity)
        self.trainer.load_state_dict(_under(_TRAINER, tensors))
        # Copies: what was read may be one piece of memory, held as long as any part of it.
        self._best_state = {name: value.clone() for name, value in _under(_BEST, tensors).items()}
        self.history = list(metadata["history"])
        self.taken_up = {key: value for key, value in metadata.items() if key not in ("identity", "history")}
        self._n_saved = len(self.history)

    def cycles(
        self, over: Callable[[], bool], leaving: Callable[[], bool] = lambda: False
    ) -> Iterator[dict[str, Any]]:
        """Train and yield each cycle's report until `over()`; state is saved as time passes, and before the last one.

        While `leaving()`, it is saved before each one: this place may be gone at any moment.

        Raises:
            DivergedError: training stopped making sense.
            OSError: a checkpoint could not be written and must be.
        """
        saved_at, every_s = time.monotonic(), self._every_s
        reports = fit(self.trainer, self._valid, self._scoring)
        while not over():
            report, best = next(reports).metrics(), self.best
            if self._metric and (best is None or report[self._metric] > best[self._metric]):
                self._best_state = self.trainer.model_state()
            self.history.append(report)
            started = time.monotonic()
            if started - saved_at >= every_s or over() or leaving():
                self._try_to_save()
                saved_at = time.monotonic()
                every_s = max(self._every_s, (saved_at - started) / CHECKPOINT_SHARE)
            yield report

    def _try_to_save(self) -> None:
        try:
            self.save()
        except OSError:
            if self._must_save:
                raise

    def save(self) -> None:
        """Put the state into its place."""
        with at(SAVING):
            tensors = {_TRAINER + name: value for name, value in self.trainer.state_dict().items()}
            tensors |= {_BEST + name: value for name, value in self._best_state.items()}
            self._place.save(tensors, {**self._about, "identity": self._identity, "history": self.history})
        self._n_saved = len(self.history)


def best_report(history: Sequence[dict[str, Any]], metric: str | None) -> dict[str, Any] | None:
    """Return the report with the best `metric`, the first of equals, or without one the last; None of no reports."""
    if metric is None:
        return history[-1] if history else None
    return max(history, key=lambda report: float(report[metric]), default=None)


def read_trainer(path: Path, identity: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Return the trainer's state in a state file, on the CPU; empty where the file is of another identity.

    Args:
        path: the state file.
        identity: what must be so of its identity; the rest of it does not matter.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    found = read_metadata(path).get("identity") or {}
    if any(found.get(name) != value for name, value in identity.items()):
        return {}
    return _under(_TRAINER, load_state(path)[0])


def read_best(
    path: Path, *, identity: Mapping[str, Any], metric: str, cycle: int
) -> dict[str, torch.Tensor] | None:
    """Return the parameters of the best model in a state file, on the CPU, if they are those after `cycle` cycles.

    No trainer is made for it. Returns None where the best report so far is of another cycle.

    Raises:
        CheckpointError: the file is missing, damaged or of another identity.
    """
    metadata = read_metadata(path)
    _require_identity(path, metadata, identity)
    best = best_report(metadata["history"], metric)
    if best is None or best["cycle"] != cycle:
        return None
    return _under(_BEST, load_state(path)[0])


def _require_identity(name: Path | str, metadata: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
    if metadata.get("identity") != identity:
        raise CheckpointError(f"{name} is of another run; start over in another folder")


def _under(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
