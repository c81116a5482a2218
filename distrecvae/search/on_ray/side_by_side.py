"""Training one configuration under several seeds side by side: a Ray worker each, over one copy of the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import floor
from pathlib import Path
from typing import Any

import ray

from distrecvae.data.dataset import Split
from distrecvae.dotted import trust
from distrecvae.errors import DivergedError, ResourceError
from distrecvae.metrics import trust_in
from distrecvae.pacing import Seldom
from distrecvae.runs.halting import StopRun, within_cycles
from distrecvae.runs.training_run import RunSettings, TrainingRun
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.on_ray.keeping import SeedKeeper, keeping
from distrecvae.search.on_ray.lent import LentState, RefusedError
from distrecvae.search.on_ray.same_package import require_package
from distrecvae.search.on_ray.session import ray_session
from distrecvae.search.planning.resources import Slots, require_store, slots_for
from distrecvae.training.device import usable_device, use_threads
from distrecvae.words import one_line

LOOK_EVERY_S = 0.5
"""How often the driver looks at its workers, and a worker, between two batches, whether it is to stop; no more often it
tells its reports."""
RESTARTS = 3
"""How often a seed whose process died is restarted, each time from its checkpoint."""


def train_seeds(
    runs: Mapping[Path, RunSettings],
    folder: Path,
    split: Split,
    *,
    device: str,
    threads: int | None,
    checkpoint_every_s: float,
    address: str | None,
    tell: Callable[[Slots], None],
    look: Callable[[], bool],
) -> bool:
    """Train every run to its end, as many at once as there is room for; return whether they were stopped before.

    A run that has ended is left as it is. What comes of a run lies in its folder: the caller opens and finishes it.

    Args:
        runs: settings by folder; they differ in their seeds.
        folder: all the runs' folder.
        split: the data set, put into Ray's object store once.
        device: what each trains on, "cpu" or a GPU.
        threads: CPU threads of each; None shares the cores among them.
        checkpoint_every_s: seconds between checkpoints, at least.
        address: a Ray cluster to join, or None to start Ray here.
        tell: told once how the runs are laid on the cluster.
        look: called twice a second; it returns True when the runs shall stop, at the next batch where nothing is lost.

    Raises:
        ResourceError: one run fits nowhere, or its process died again and again.
        OSError: a run's folder could not be written.
        DivergedError: training stopped making sense; the other runs have ended, or were stopped.
    """
    with ray_session(address) as cluster:
        require_package()
        require_store(_bytes(split), cluster)
        gpus = 0.0 if device == "cpu" else 1.0
        cpus = threads or max(1, floor(max(cpus for cpus, _ in cluster.nodes)) // len(runs))
        slots = slots_for(
            SearchConfig(trials=len(runs), cpus_per_trial=cpus, gpus_per_trial=gpus, data="-"), cluster
        )
        tell(slots)
        worker = _on_worker(slots.cpus, gpus)
        data = ray.put(split)
        with keeping(folder, SeedKeeper) as keeper:
            waiting: dict[Any, int] = {
                worker.remote(
                    str(place.relative_to(folder)),
                    settings,
                    data,
                    device,
                    slots.cpus,
                    checkpoint_every_s,
                    keeper,
                    LOOK_EVERY_S,
                ): settings.seed
                for place, settings in runs.items()
            }
            return _wait(waiting, keeper, look)


def _on_worker(cpus: int, gpus: float) -> Any:
    """Return `_train` as a function of Ray's."""
    # A GPU's worker takes one run: its context would live on, and an error that ruined it would meet the next one.
    limits = {"max_retries": RESTARTS, "max_calls": 1 if gpus else 0}
    return ray.remote(num_cpus=cpus, num_gpus=gpus, **limits)(_train)


def _wait(waiting: dict[Any, int], keeper: Any, look: Callable[[], bool]) -> bool:
    """Wait for all workers; return whether one of them was stopped before its end."""
    stopped, diverged = False, ""
    while waiting:
        ready, _ = ray.wait(list(waiting), num_returns=1, timeout=LOOK_EVERY_S)
        for reference in ready:
            seed = waiting.pop(reference)
            try:
                ended, trouble = ray.get(reference)
            except ray.exceptions.RayError as error:
                reason = one_line(error)
                raise ResourceError(
                    f"seed {seed}: its process died more than {RESTARTS} times ({reason});"
                    " lower what it takes, then continue with --resume"
                ) from None
            if isinstance(trouble, tuple):
                raise OSError(*trouble)
            stopped = stopped or not ended
            if trouble:
                diverged = diverged or f"seed {seed}: {trouble}"
        if look():
            keeper.stop.remote()  # each time: the keeper may have been restarted
    if diverged:
        raise DivergedError(diverged)
    return stopped


def _train(
    training: str,
    settings: RunSettings,
    split: Split,
    device: str,
    threads: int,
    checkpoint_every_s: float,
    keeper: Any,
    look_every_s: float,
) -> tuple[bool, str | tuple[Any, ...]]:
    """Train one run in a Ray worker; return whether it has ended, and what went wrong with it, if anything.

    That is a line, or what to make an OSError of where the driver's storage refused the run's state.
    """
    use_threads(threads)
    trust(settings.model)  # what the driver gives out it has been asked for
    trust_in(",".join(settings.metrics))
    try:
        place, heard = LentState(keeper, training), _Heard(keeper, training, look_every_s)
        run = TrainingRun(
            Path(training),
            settings,
            split,
            device=usable_device(device),
            checkpoint_every_s=checkpoint_every_s,
            place=place,
            record=heard.record,
        )
        if run.ended is None:
            with within_cycles(run, heard.asked, lambda _: None):
                for _ in run.cycles():
                    if heard.asked():
                        break
            run.save()
        heard.record_last()
        return run.ended is not None, ""
    except StopRun:
        return False, ""
    except DivergedError as error:
        return False, str(error)
    except RefusedError as error:
        return False, (error.errno, error.strerror, error.filename)


class _Heard:
    """What a run's worker and its driver say to each other through the keeper, now and then."""

    def __init__(self, keeper: Any, training: str, every_s: float) -> None:
        self._keeper, self._training = keeper, training
        self._stopping = False
        self._last: Sequence[Mapping[str, Any]] = ()
        self._ask, self._tell = Seldom(self._look, every_s), Seldom(self.record_last, every_s)

    def asked(self) -> bool:
        """Tell whether the run is to stop."""
        self._ask()
        return self._stopping

    def record(self, history: Sequence[Mapping[str, Any]]) -> None:
        """Receive the reports so far."""
        self._last = history
        self._tell()

    def record_last(self) -> None:
        """Let the driver have the reports so far."""
        ray.get(self._keeper.record.remote(self._training, self._last))

    def _look(self) -> None:
        self._stopping = ray.get(self._keeper.stopping.remote())


def _bytes(split: Split) -> int:
    matrices = [
        split.train,
        split.valid.fold_in,
        split.valid.held_out,
        split.test.fold_in,
        split.test.held_out,
    ]
    return sum(matrix.indptr.nbytes + matrix.indices.nbytes for matrix in matrices)
