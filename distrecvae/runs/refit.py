"""Owns the last training of a chosen configuration: on training and validation users together, for a known budget."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from distrecvae.data.dataset import Split
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.data.io import data_facts
from distrecvae.errors import CheckpointError, ConfigError, DivergedError, ResultsError
from distrecvae.evaluation import Evaluation, evaluate
from distrecvae.layout import BEST_FOLDER, METRICS_FILE, STATE_FILE
from distrecvae.runs.ending import room_for_a_cycle
from distrecvae.runs.training_run import RunSettings, require_same_data, write_history
from distrecvae.saved.model import save_model
from distrecvae.saved.tensors import load_state, read_json, save_state
from distrecvae.training import registry


def chosen_passes(folder: Path) -> int:
    """Return after how many passes the model in `folder` was the best, by its `metrics.json`.

    Raises:
        ConfigError: that file is missing or does not say so.
    """
    path = folder / METRICS_FILE
    try:
        passes = read_json(path).get("passes")
    except CheckpointError:
        passes = None
    if not isinstance(passes, int) or passes < 1:
        raise ConfigError(
            f"{path} does not say after how many passes the model was the best; give them by --max-passes"
        )
    return passes


def with_validation_users(split: Split) -> InteractionMatrix:
    """Return the training users' rows and, below them, the validation users': what both parts of a row hold."""
    shown, hidden = split.valid.fold_in, split.valid.held_out
    users = [np.repeat(np.arange(part.n_users), part.counts()) for part in (shown, hidden)]
    whole = InteractionMatrix.from_pairs(
        np.concatenate(users),
        np.concatenate([shown.indices, hidden.indices]),
        n_users=shown.n_users,
        n_items=split.n_items,
    )
    return InteractionMatrix(
        np.concatenate([split.train.indptr, split.train.indptr[-1] + whole.indptr[1:]]),
        np.concatenate([split.train.indices, whole.indices]),
        split.n_items,
    )


class RefitRun:
    """A refit in its folder: iterate over `cycles`, then `finish`; arguments and errors as for `TrainingRun`.

    Nothing is scored on the way: the validation users are trained on, and test users are looked at once, at the end.
    The last model is the one that is kept.
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
        require_same_data(folder, settings, split)
        self.progress: Callable[[float], None] = lambda _share: None
        self._folder, self._settings, self._split, self._device = folder, settings, split, device
        self._every_s = checkpoint_every_s
        self._config = registry.config_from_dict(settings.model, settings.config)
        self._train = with_validation_users(split)
        self._trainer = registry.make_trainer(
            settings.model,
            self._config,
            self._train,
            seed=settings.seed,
            device=device,
            precision=settings.precision,
            progress=lambda share: self.progress(share),
        )
        self._history: list[dict[str, Any]] = []
        self._identity = {
            "model": settings.model, "config": settings.config, "seed": settings.seed, "refit": True,
            "fingerprint": settings.fingerprint, "precision": settings.precision,
        }  # fmt: skip
        self._restore()

    @property
    def passes(self) -> int:
        """Data passes completed."""
        return self._trainer.passes

    @property
    def best(self) -> dict[str, Any] | None:
        """The last report; None before the first cycle."""
        return self._history[-1] if self._history else None

    @property
    def ended(self) -> str | None:
        """Why the run is over, or None where it is not."""
        trainer, settings = self._trainer, self._settings
        if trainer.solved:
            return "solved, there is nothing to train further"
        if not room_for_a_cycle(trainer.passes, trainer.passes_per_cycle, settings.max_passes):
            return f"{trainer.passes} of {settings.max_passes} passes are done"
        return None

    def cycles(self) -> Iterator[dict[str, Any]]:
        """Train and yield a cycle's losses until the budget is spent; checkpoints are written as time passes.

        Raises:
            DivergedError: a loss is not finite.
        """
        saved_at = time.monotonic()
        while self.ended is None:
            started = time.perf_counter()
            losses = {f"train/{name}": value for name, value in self._trainer.step().items()}
            for name, value in losses.items():
                if not math.isfinite(value):
                    raise DivergedError(
                        f"{name} is {value} after cycle {self._trainer.cycle}; a lower learning rate may help"
                    )
            counts = {"cycle": self._trainer.cycle, "passes": self._trainer.passes}
            self._history.append({**counts, **losses, "train_s": time.perf_counter() - started})
            if time.monotonic() - saved_at >= self._every_s or self.ended is not None:
                self.save()
                saved_at = time.monotonic()
            write_history(self._folder, self._history)
            yield self._history[-1]

    def save(self) -> None:
        """Write the state file."""
        metadata = {"identity": self._identity, "history": self._history}
        save_state(self._folder / STATE_FILE, self._trainer.state_dict(), metadata)

    def finish(self) -> dict[str, Evaluation]:
        """Score the model on the test users, write ``best/``, and return the scores by group.

        Raises:
            ResultsError: no cycle was completed.
        """
        if not self._history:
            raise ResultsError(f"{self._folder} has no model yet; train at least one cycle")
        settings, state = self._settings, self._trainer.model_state()
        model = registry.load_recommender(
            settings.model, self._config, self._split.n_items, state, self._device
        )
        test = evaluate(model, self._split.test)
        metrics = {
            "refit": True,
            "train_users": self._train.n_users,
            "cycle": self._trainer.cycle,
            "passes": self._trainer.passes,
            "test": test.summary(),
        }
        save_model(
            self._folder / BEST_FOLDER,
            model=settings.model,
            config=self._config,
            state=state,
            item_ids=self._split.item_ids,
            metrics=metrics,
            data=data_facts(settings.data, self._split),
        )
        return {"test": test}

    def _restore(self) -> None:
        path = self._folder / STATE_FILE
        if not path.exists():
            return
        tensors, metadata = load_state(path)
        if metadata.get("identity") != self._identity:
            raise CheckpointError(f"{path} is of another run; start anew in another folder")
        self._trainer.load_state_dict(tensors)
        self._history = list(metadata["history"])
