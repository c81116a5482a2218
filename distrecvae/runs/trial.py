"""One trial of a search: train a configuration within a budget, yield what it reports, leave its best model.

No Ray in here: the trainable sends the reports on, a test takes two. A trial that is given the place of a state of its
own continues from it; started again from nothing it repeats itself (all randomness comes from the task's seed).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from distrecvae.data.dataset import HeldOutUsers
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.dotted import trust
from distrecvae.errors import CheckpointError
from distrecvae.evaluation import Scoring
from distrecvae.metrics import METRICS, trust_in
from distrecvae.precisions import Precision
from distrecvae.runs.ending import why_over
from distrecvae.runs.resumable import ResumableTraining, read_best
from distrecvae.saved.places import StateFile, StatePlace
from distrecvae.training import registry
from distrecvae.training.device import device_kind, moved
from distrecvae.training.entry import CommonArrays


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
        metrics: names of what is computed of rankings.
        device: a torch device.
        precision: of the matrix products.
        checkpoint_every_s: seconds between checkpoints, at least.
        ledger: how long the search's ledger was when the trial was given out; kept in the state, which so
            vouches for the ledger. It is no part of what the trial is.
    """

    number: int
    model: str
    config: dict[str, Any]
    seed: int
    max_passes: int
    metric: str
    metrics: tuple[str, ...] = METRICS
    device: str = "cpu"
    precision: Precision = "float32"
    checkpoint_every_s: float = 30.0
    ledger: Mapping[str, Any] | None = field(default=None, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-able form."""
        return asdict(self)


def memory_of(task: TrialTask, train: InteractionMatrix, *, lent: bool = False) -> int:
    """Return what the trial takes on its device, by estimate: bytes; see `registry.memory_bytes`."""
    trust(task.model)  # its driver was asked for it
    config = registry.config_from_dict(task.model, task.config)
    return registry.memory_bytes(
        task.model, config, train, device=task.device, precision=task.precision, lent=lent
    )[0]


def run_trial(
    task: TrialTask,
    place: StatePlace,
    train: InteractionMatrix,
    valid: HeldOutUsers,
    common: CommonArrays | None = None,
    progress: Callable[[float], None] | None = None,
    leaving: Callable[[], bool] = lambda: False,
    remark: Callable[[str], None] = lambda _text: None,
) -> Iterator[dict[str, Any]]:
    """Yield the trial's reports: flat metrics with `passes`, `cycle` and `valid/...`.

    A trial that continues from a checkpoint first repeats the checkpoint's report: its reader may have died before
    taking it in. The state with the best model is durable before the last report is given. `common` is what the
    model's trials on these users have in common, where it is lent; `progress` is told the share of a long step that is
    done; while `leaving()` says that this machine is about to go, the state is durable before each report. `remark` is
    told what it means that the trial was on another kind of device until now.

    Raises:
        OSError: the state's place refuses it.
        DivergedError: training stopped making sense.
        ConfigError: the configuration is not the model's.
    """
    training = _restored(task, place, train, valid, common, progress)
    if text := moved(training.taken_up.get("device"), task.device):
        remark(text)
    if training.history:
        yield training.history[-1]
    yield from training.cycles(lambda: _over(training, task), leaving)


def best_model(
    task: TrialTask, path: Path, cycle: int, train: InteractionMatrix, valid: HeldOutUsers
) -> dict[str, torch.Tensor]:
    """Return the parameters that the trial had after `cycle` cycles, when it was at its best.

    They are read from the trial's state in the file at `path`, and no trainer is made: the driver's device may be too
    small for one. Only where that state does not reach so far, or is gone, the trial is repeated up to that cycle: it
    is a function of its task. A state that cannot be written on the way is done without.
    """
    kept = kept_model(task, path, cycle)
    if kept is not None:
        return kept
    place = StateFile(path)
    training = _restored(task, place, train, valid, must_save=False)
    if training.best is None or training.best["cycle"] != cycle:
        if training.trainer.cycle > cycle:
            training = _fresh(task, place, train, valid, must_save=False)
        for _ in training.cycles(lambda: training.trainer.cycle >= cycle):
            pass
    return training.best_state


def kept_model(task: TrialTask, path: Path, cycle: int) -> dict[str, torch.Tensor] | None:
    """Return the parameters that the trial had after `cycle` cycles, from its state at `path`; None without these."""
    with suppress(CheckpointError):
        return read_best(path, identity=_identity(task), metric=task.metric, cycle=cycle)
    return None


def _over(training: ResumableTraining, task: TrialTask) -> bool:
    return why_over(training.trainer, task.max_passes) is not None


def _fresh(
    task: TrialTask,
    place: StatePlace,
    train: InteractionMatrix,
    valid: HeldOutUsers,
    common: CommonArrays | None = None,
    progress: Callable[[float], None] | None = None,
    *,
    must_save: bool = True,
) -> ResumableTraining:
    # What a driver gives out it has been asked for.
    trust(task.model)
    trust_in(",".join(task.metrics))
    config = registry.config_from_dict(task.model, task.config)
    return ResumableTraining(
        place,
        registry.make_trainer(
            task.model,
            config,
            train,
            seed=task.seed,
            device=task.device,
            precision=task.precision,
            common=common,
            progress=progress,
        ),
        valid,
        identity=_identity(task),
        metric=task.metric,
        scoring=Scoring.of(task.metrics, train),
        checkpoint_every_s=task.checkpoint_every_s,
        must_save=must_save,
        about={"ledger": task.ledger, "device": device_kind(task.device)},
    )


def _identity(task: TrialTask) -> dict[str, Any]:
    return {"model": task.model, "config": task.config, "seed": task.seed, "precision": task.precision}


def _restored(
    task: TrialTask,
    place: StatePlace,
    train: InteractionMatrix,
    valid: HeldOutUsers,
    common: CommonArrays | None = None,
    progress: Callable[[float], None] | None = None,
    *,
    must_save: bool = True,
) -> ResumableTraining:
    training = _fresh(task, place, train, valid, common, progress, must_save=must_save)
    try:
        training.restore()
    except CheckpointError:
        # Damaged or of an older search in the same place: the trial starts again and repeats itself.
        return _fresh(task, place, train, valid, common, progress, must_save=must_save)
    return training
