"""Owns one training run's folder: settings, history, checkpoints, best model, and going on after a stop.

A run is a function of its settings and its data. Its state is one file, replaced atomically, with the
trainer, the best model so far and the history in it; a run that is killed goes on from the last one and ends
with the same model.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from distrecvae import __version__
from distrecvae.data.dataset import Split
from distrecvae.errors import CheckpointError, ResultsError
from distrecvae.evaluation import Evaluation, evaluate
from distrecvae.files import write_json, write_text
from distrecvae.metrics import METRICS
from distrecvae.training import checkpoint, registry
from distrecvae.training.builders import checked_device
from distrecvae.training.stopping import out_of_patience, room_for_a_cycle
from distrecvae.training.trainer import Report, fit

FORMAT = 1
RUN_FILE = "run.json"
STATE_FILE = "state.safetensors"
HISTORY_FILE = "history.csv"
BEST_FOLDER = "best"
CHECKPOINT_SHARE = 0.02
"""Checkpoints may cost this share of the time; a slow disk gets fewer of them."""
_BEST, _TRAINER = "best/", "trainer/"


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """What a run does; kept in its folder, so that going on needs nothing but the folder.

    Attributes:
        model: name in the registry.
        config: the model's whole configuration, JSON-able.
        data: the dataset folder.
        fingerprint: the dataset's content.
        seed: root of all randomness.
        max_passes: data passes that are not exceeded.
        patience: passes without a better validation score after which the run ends; None for never.
        metric: the validation score that chooses the best model.
    """

    model: str
    config: dict[str, Any]
    data: str
    fingerprint: str
    seed: int = 0
    max_passes: int = 200
    patience: int | None = 40
    metric: str = next(iter(METRICS))


def write_settings(folder: Path, settings: RunSettings) -> None:
    """Write the settings into the run's folder."""
    write_json(folder / RUN_FILE, {"format": FORMAT, "distrecvae": __version__, **asdict(settings)})


def read_settings(folder: Path) -> RunSettings:
    """Return the settings of the run in `folder`.

    Raises:
        ResultsError: there is no run, or it is of another format.
    """
    try:
        document = checkpoint.read_json(folder / RUN_FILE)
    except CheckpointError:
        raise ResultsError(f"{folder} holds no training run; start one without --resume") from None
    version = document.pop("format", None)
    document.pop("distrecvae", None)
    try:
        if version != FORMAT:
            raise TypeError
        return RunSettings(**document)
    except TypeError:
        raise ResultsError(
            f"{folder / RUN_FILE} is of format {version}; {FORMAT} is read here: start anew"
        ) from None


class TrainingRun:
    """A run in its folder: iterate over `cycles`, then `finish`.

    Args:
        folder: the run's folder; what lies there of this run is taken up.
        settings: what to do.
        split: the data.
        device: where to train.
        checkpoint_every_s: seconds between checkpoints, at least.

    Raises:
        ResultsError: the data is not what the run began with.
    """

    def __init__(
        self,
        folder: Path,
        settings: RunSettings,
        split: Split,
        *,
        device: str = "cpu",
        checkpoint_every_s: float = 30.0,
    ) -> None:
        if settings.fingerprint != split.fingerprint:
            raise ResultsError(
                f"{settings.data} is not the data that {folder} began with (fingerprint {split.fingerprint},"
                f" was {settings.fingerprint}); give that one, or start anew in another folder"
            )
        self._folder, self._settings, self._split, self._device = folder, settings, split, device
        self._every_s = checkpoint_every_s
        self._config = registry.config_from_dict(settings.model, settings.config)
        self._trainer = registry.make_trainer(
            settings.model, self._config, split.train, seed=settings.seed, device=device
        )
        self.history: list[dict[str, Any]] = []
        self._best: dict[str, torch.Tensor] = {}
        self._restore()

    @property
    def passes(self) -> int:
        """Data passes completed."""
        return self._trainer.passes

    @property
    def best(self) -> dict[str, Any] | None:
        """The report with the best validation score, the first of equals; None before the first cycle."""
        return max(self.history, key=self._score, default=None)

    @property
    def ended(self) -> str | None:
        """Why the run is over, or None where it is not."""
        trainer, settings = self._trainer, self._settings
        scores = [(row["passes"], self._score(row)) for row in self.history]
        if out_of_patience(scores, settings.patience):
            return f"no better {settings.metric} for {settings.patience} passes"
        if not room_for_a_cycle(trainer.passes, trainer.passes_per_cycle, settings.max_passes):
            return f"{trainer.passes} of {settings.max_passes} passes are done"
        return None

    def cycles(self) -> Iterator[Report]:
        """Train and yield a report a cycle until the run is over; checkpoints are written as time passes.

        Whoever iterates may stop at any report and call `save`.

        Raises:
            DivergedError: training stopped making sense.
        """
        saved_at, every_s = time.monotonic(), self._every_s
        reports = fit(self._trainer, self._split.valid)
        while self.ended is None:
            report = next(reports)
            row = report.metrics()
            best = self.best
            if best is None or self._score(row) > self._score(best):
                self._best = self._trainer.model_state()
            self.history.append(row)
            self._write_history()
            started = time.monotonic()
            if started - saved_at >= every_s or self.ended is not None:
                self.save()
                saved_at = time.monotonic()
                every_s = max(self._every_s, (saved_at - started) / CHECKPOINT_SHARE)
            yield report

    def save(self) -> None:
        """Write the state: the trainer, the best model, the history."""
        tensors = {_TRAINER + name: value for name, value in self._trainer.state_dict().items()}
        tensors |= {_BEST + name: value for name, value in self._best.items()}
        identity = replace(self._settings, data="", max_passes=0, patience=None)
        checkpoint.save_state(
            self._folder / STATE_FILE, tensors, {"run": asdict(identity), "history": self.history}
        )

    def finish(self) -> dict[str, Evaluation]:
        """Score the best model on validation and test users, write ``best/``, and return the scores by group.

        Raises:
            ResultsError: no cycle was completed.
        """
        best, settings = self.best, self._settings
        if best is None:
            raise ResultsError(f"{self._folder} has no model yet; train at least one cycle")
        model = registry.load_recommender(
            settings.model, self._config, self._split.n_items, self._best, self._device
        )
        scores = {"valid": evaluate(model, self._split.valid), "test": evaluate(model, self._split.test)}
        metrics = {
            "selected_by": f"valid/{settings.metric}",
            "cycle": best["cycle"],
            "passes": best["passes"],
            **{group: scored.summary() for group, scored in scores.items()},
        }
        checkpoint.save_model(
            self._folder / BEST_FOLDER,
            model=settings.model,
            config=self._config,
            state=self._best,
            item_ids=self._split.item_ids,
            metrics=metrics,
        )
        return scores

    def _score(self, row: dict[str, Any]) -> float:
        return float(row[f"valid/{self._settings.metric}"])

    def _restore(self) -> None:
        path = self._folder / STATE_FILE
        if not path.exists():
            return
        tensors, metadata = checkpoint.load_state(path)
        identity = replace(self._settings, data="", max_passes=0, patience=None)
        if metadata.get("run") != asdict(identity):
            raise ResultsError(
                f"{path} is of another run than {RUN_FILE} beside it; start anew in another folder"
            )
        sides: dict[str, dict[str, torch.Tensor]] = {
            prefix: {
                name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)
            }
            for prefix in (_TRAINER, _BEST)
        }
        self._trainer.load_state_dict(sides[_TRAINER])
        self._best, self.history = sides[_BEST], list(metadata["history"])
        self._write_history()

    def _write_history(self) -> None:
        if self.history:
            text = io.StringIO(newline="")
            writer = csv.DictWriter(text, list(self.history[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.history)
            write_text(self._folder / HISTORY_FILE, text.getvalue())


def use_threads(threads: int | None) -> None:
    """Let PyTorch compute in that many threads; None leaves its choice."""
    if threads is not None:
        torch.set_num_threads(threads)


def usable_device(device: str | None) -> str:
    """Return `device` if this machine has it; for None "cuda" where there is a GPU, else "cpu".

    Raises:
        ResourceError: there is no such device.
    """
    return str(checked_device(device or ("cuda" if torch.cuda.is_available() else "cpu")))
