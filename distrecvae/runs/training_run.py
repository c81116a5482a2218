"""One training run's folder: settings, history, checkpoints, best model, and continuing after a stop.

A run is a function of its settings and its data. Its state is one file, replaced atomically, with the trainer, the best
model so far and the history in it; a run that is killed continues from the last one and ends with the same model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

from distrecvae import __version__
from distrecvae.data.dataset import HeldOutUsers, Split
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.data.io import data_facts
from distrecvae.errors import ResultsError
from distrecvae.evaluation import Evaluation, Scoring, evaluate
from distrecvae.files import write_json
from distrecvae.layout import BEST_FOLDER, RUN_FILE, STATE_FILE
from distrecvae.metrics import METRICS, on_validation, title_of
from distrecvae.precisions import Precision
from distrecvae.runs import warm
from distrecvae.runs.ending import why_over
from distrecvae.runs.history import write_history
from distrecvae.runs.resumable import ResumableTraining
from distrecvae.saved.model import save_model
from distrecvae.saved.places import StateFile, StatePlace
from distrecvae.training import registry
from distrecvae.training.device import device_kind, moved
from distrecvae.typed import MisfitError, read_typed
from distrecvae.words import first_line

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """What a run does; kept in its folder, so that continuing needs nothing but the folder.

    Attributes:
        model: name in the registry.
        config: the model's whole configuration, JSON-able.
        data: the dataset folder.
        fingerprint: the dataset's content.
        seed: root of all randomness.
        max_passes: data passes that are not exceeded.
        patience: passes without a better validation score after which the run ends; None for never.
        metric: the validation score that chooses the best model.
        metrics: names of what is computed of rankings.
        precision: of the matrix products.
        refit: train on the validation users, too, for `max_passes`, with nothing left to choose by.
        warm_weights: a results folder of the same model, with whose weights the run begins; None for fresh ones.
    """

    model: str
    config: dict[str, Any]
    data: str
    fingerprint: str
    seed: int = 0
    max_passes: int = 200
    patience: int | None = 40
    metric: str = METRICS[0]
    metrics: tuple[str, ...] = METRICS
    precision: Precision = "float32"
    refit: bool = False
    warm_weights: str | None = None


@dataclass(frozen=True, kw_only=True)
class _RunFile(RunSettings):
    """What lies in `run.json`."""

    format: int
    distrecvae: str


def write_settings(folder: Path, settings: RunSettings) -> None:
    """Write the settings into the run's folder."""
    write_json(folder / RUN_FILE, {"format": FORMAT, "distrecvae": __version__, **asdict(settings)})


def read_settings(folder: Path) -> RunSettings:
    """Return the settings of the run in `folder`.

    Raises:
        ResultsError: there is no run, its settings do not fit, or it is of another format.
    """
    path = folder / RUN_FILE
    try:
        found = read_typed(path, _RunFile)
    except FileNotFoundError:
        raise ResultsError(f"{folder} holds no training run; start one without --resume") from None
    except (MisfitError, OSError) as error:
        raise ResultsError(
            f"{path} cannot be read ({first_line(error)}); restore it, or start over"
        ) from None
    if found.format != FORMAT:
        raise ResultsError(f"{path} is of format {found.format}; {FORMAT} is read here: start over")
    return RunSettings(**{field.name: getattr(found, field.name) for field in fields(RunSettings)})


def require_same_data(folder: Path, settings: RunSettings, split: Split) -> None:
    """Refuse to continue with other data than the run in `folder` was started with.

    Raises:
        ResultsError: the fingerprints differ.
    """
    if settings.fingerprint != split.fingerprint:
        raise ResultsError(
            f"{settings.data} is not the data that {folder} began with (fingerprint {split.fingerprint},"
            f" was {settings.fingerprint}); give that one, or start over in another folder"
        )


class Run:
    """A training in its folder: iterate over `cycles`, then `finish`. `TrainingRun` and `RefitRun` are the two kinds.

    Args:
        folder: the run's folder; what lies there of this run is taken up.
        settings: what to do.
        split: the data.
        train: the users to train on.
        valid: the users that choose the model; None keeps the last one.
        chosen: how the model was chosen, as `metrics.json` says it.
        identity: JSON-able; what sets the run's state apart, beside its settings.
        device: where to train.
        checkpoint_every_s: seconds between checkpoints, at least.
        place: where the state lies, if not in the folder.
        record: takes the reports so far after each cycle, if they are not to be written into the folder.

    Attributes:
        progress: called during a step with the share of it that is done, by models whose steps are long; set it before
            iterating.

    Raises:
        ResultsError: the data is not what the run began with.
        CheckpointError: the state in the folder is of another run, or damaged.
    """

    def __init__(
        self,
        folder: Path,
        settings: RunSettings,
        split: Split,
        *,
        train: InteractionMatrix,
        valid: HeldOutUsers | None,
        chosen: Mapping[str, Any],
        identity: Mapping[str, Any],
        device: str,
        checkpoint_every_s: float,
        place: StatePlace | None = None,
        record: Callable[[Sequence[Mapping[str, Any]]], object] | None = None,
    ) -> None:
        require_same_data(folder, settings, split)
        self.progress: Callable[[float], None] = lambda _share: None
        self._folder, self._settings, self._split, self._device = folder, settings, split, device
        self._item_counts = train.item_counts()
        self._config, self._chosen = registry.config_from_dict(settings.model, settings.config), dict(chosen)
        self._metric = None if valid is None else on_validation(settings.metric)
        self._scored = {"test": split.test} if valid is None else {"valid": valid, "test": split.test}
        self._scoring = Scoring.of(settings.metrics, split.train)
        self._training = ResumableTraining(
            StateFile(folder / STATE_FILE) if place is None else place,
            registry.make_trainer(
                settings.model,
                self._config,
                train,
                seed=settings.seed,
                device=device,
                precision=settings.precision,
                progress=lambda share: self.progress(share),
            ),
            valid,
            identity={
                "model": settings.model, "config": settings.config, "seed": settings.seed,
                "fingerprint": settings.fingerprint, "precision": settings.precision, **identity,
            },
            metric=self._metric, scoring=self._scoring, checkpoint_every_s=checkpoint_every_s,
            about={"device": device_kind(device)},
        )  # fmt: skip
        self._training.restore()
        facts = partial(data_facts, settings.data, split)
        begun = warm.begin(self._training, settings.warm_weights, settings.model, split.item_ids, facts)
        self._remarks = [moved(self._training.taken_up.get("device"), device), *begun.remarks]
        self._chosen |= begun.chosen
        self._record = partial(write_history, folder) if record is None else record
        self._record(self._training.history)

    @property
    def remark(self) -> str:
        """What people must know of how it begins or continues here, a line each; empty for nothing."""
        return "\n".join(filter(None, self._remarks))

    @property
    def passes(self) -> int:
        """Data passes completed."""
        return self._training.trainer.passes

    @property
    def passes_per_cycle(self) -> int:
        """Data passes that a cycle costs."""
        return self._training.trainer.passes_per_cycle

    @property
    def saved(self) -> bool:
        """Whether the folder holds every cycle that was completed."""
        return self._training.saved

    @property
    def best(self) -> dict[str, Any] | None:
        """The report of the model that is kept; None before the first cycle."""
        return self._training.best

    @property
    def ended(self) -> str | None:
        """Why the run is over, or None where it is not."""
        settings, metric, history = self._settings, self._metric, self._training.history
        return why_over(
            self._training.trainer,
            settings.max_passes,
            scores=[(report["passes"], report[metric]) for report in history] if metric else (),
            patience=settings.patience,
            title=title_of(settings.metric),
        )

    def cycles(self) -> Iterator[dict[str, Any]]:
        """Train and yield a report a cycle until the run is over; checkpoints are written as time passes.

        Whoever iterates may stop at any report and call `save`.

        Raises:
            DivergedError: training stopped making sense.
        """
        for report in self._training.cycles(lambda: self.ended is not None):
            self._record(self._training.history)
            yield report

    def save(self) -> None:
        """Write the state file."""
        self._training.save()

    def finish(self) -> dict[str, Evaluation]:
        """Score the model that is kept, write ``best/``, and return its scores by group of users.

        Raises:
            ResultsError: no cycle was completed.
        """
        best, settings, state = self.best, self._settings, self._training.best_state
        if best is None:
            raise ResultsError(f"{self._folder} has no model yet; train at least one cycle")
        model = registry.load_recommender(
            settings.model, self._config, self._split.n_items, state, self._device
        )
        scores = {group: evaluate(model, users, self._scoring) for group, users in self._scored.items()}
        save_model(
            self._folder / BEST_FOLDER,
            model=settings.model,
            config=self._config,
            state=state,
            item_ids=self._split.item_ids,
            metrics={
                **self._chosen,
                "cycle": best["cycle"],
                "passes": best["passes"],
                **{group: scored.summary() for group, scored in scores.items()},
            },
            data=data_facts(settings.data, self._split),
            item_counts=self._item_counts,
        )
        return scores


class TrainingRun(Run):
    """A run that keeps the model that validation users chose, and ends early where they see no better one.

    Arguments and errors as for `Run`.
    """

    def __init__(
        self,
        folder: Path,
        settings: RunSettings,
        split: Split,
        *,
        device: str = "cpu",
        checkpoint_every_s: float = 30.0,
        place: StatePlace | None = None,
        record: Callable[[Sequence[Mapping[str, Any]]], object] | None = None,
    ) -> None:
        super().__init__(
            folder, settings, split, train=split.train, valid=split.valid, chosen={"selected_by":
            on_validation(settings.metric)}, identity={}, device=device, checkpoint_every_s=checkpoint_every_s,
            place=place, record=record,
        )  # fmt: skip
