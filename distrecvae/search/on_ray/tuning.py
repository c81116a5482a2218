"""Ray Tune's loop: it runs a conductor's trials until they have ended, or the search must."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from ray import tune

from distrecvae.pacing import Seldom
from distrecvae.search.core.conductor import RETRIES, Conductor
from distrecvae.search.on_ray.callbacks import ConductorCallback, ConductorScheduler, ConductorSearcher, Quiet
from distrecvae.search.on_ray.doing import Doings
from distrecvae.search.on_ray.interruption import Endpoint, Interruption, StopSearch
from distrecvae.search.on_ray.keeping import Wakefulness, keeping
from distrecvae.search.on_ray.lent import LentStates
from distrecvae.search.on_ray.ray_internals import every_loss_is_told, started_here
from distrecvae.search.on_ray.trainable import trainable
from distrecvae.search.on_ray.workers import Workers
from distrecvae.search.planning.resources import PIECE_BYTES, Slots

TUNE_FOLDER = ".ray"
"""Where Tune keeps what it must; nothing in it is read again, and it is removed at the end."""

LOCAL_PATIENCE_S, HEAD_PATIENCE_S = 2.0, 40.0
"""How long Ray's processes may be silent: what died here stays dead; the head of a cluster may be started again, and
Ray itself gives it 60 s."""


PAUSE_EVERY_S = 1.0
"""How often workers' keeper is told whether the search is paused: it may have been restarted meanwhile."""


def clear_away(folder: Path) -> None:
    """Remove what Tune left in the results folder, or a driver that was killed."""
    shutil.rmtree(folder / TUNE_FOLDER, ignore_errors=True)


def run_trials(
    conductor: Conductor,
    data: Any,
    common: Any,
    slots: Slots,
    folder: Path,
    *,
    refresh: Callable[[], None],
    tell: Callable[[str], None],
    stop: Interruption,
    piece_bytes: int = PIECE_BYTES,
) -> None:
    """Let Tune run the conductor's trials to the end, or until `stop` says so.

    Args:
        conductor: gives out the trials and hears of them.
        data: reference of the shared arrays.
        common: reference of what the trials have in common, or None.
        slots: how trials are laid on the cluster.
        folder: the results folder.
        refresh: called each time Tune goes around its loop.
        tell: shows a line: a trial lost its worker, or is silent, and what comes of it.
        stop: hears signals, watches Ray.
        piece_bytes: how much of a trial's state is on its way at a time.

    Raises:
        OSError: the results folder could not be written; what was written before stands.
    """
    clear_away(folder)
    workers = Workers(conductor, tell)
    try:
        with (
            keeping(folder, is_gone=lambda: stop.lost) as keeper,
            stop.listening(vital_parts()),
            every_loss_is_told(),
        ):
            states, wakefulness = LentStates(keeper, piece_bytes), Wakefulness(keeper)
            doings = Doings(keeper, workers.are_at)
            tell_workers = Seldom(lambda: keeper.pause.remote(conductor.paused), PAUSE_EVERY_S)

            def look() -> None:
                wakefulness.look()
                doings.look()
                tell_workers()
                refresh()

            _tuner(conductor, workers, data, common, states, slots, folder, look).fit()
        conductor.reclaim()
    except StopSearch as stopped:
        if stopped.cause is not None:
            raise stopped.cause from None
    finally:
        clear_away(folder)


def _tuner(
    conductor: Conductor,
    workers: Workers,
    data: Any,
    common: Any,
    states: LentStates,
    slots: Slots,
    folder: Path,
    refresh: Callable[[], None],
) -> tune.Tuner:
    worker = tune.with_parameters(
        trainable, data=data, common=common, states=states, threads=slots.cpus, gpus=slots.gpus
    )
    return tune.Tuner(
        tune.with_resources(worker, {"cpu": slots.cpus, "gpu": slots.gpus}),
        tune_config=tune.TuneConfig(
            search_alg=ConductorSearcher(conductor, refresh),
            scheduler=ConductorScheduler(conductor, workers),
            num_samples=-1,
            max_concurrent_trials=slots.concurrent,
            reuse_actors=True,
            trial_dirname_creator=lambda trial: f"{trial.config['task']['number']:05d}",
        ),
        run_config=tune.RunConfig(
            name=TUNE_FOLDER,
            storage_path=str(folder.resolve()),
            verbose=0,
            # Silent, as it says; the one that Tune takes in a notebook wipes the cell's output.
            progress_reporter=tune.CLIReporter(),
            failure_config=tune.FailureConfig(max_failures=RETRIES),
            callbacks=[ConductorCallback(conductor, workers, refresh), Quiet()],
        ),
    )


def vital_parts() -> tuple[Endpoint, ...]:
    """Return what a driver cannot do without: the cluster's head and the node manager of its own machine."""
    context = ray.get_runtime_context()
    host, _, port = context.gcs_address.rpartition(":")
    here = next(node for node in ray.nodes() if node["NodeID"] == context.get_node_id())
    return (
        Endpoint("Ray's head", host, int(port), LOCAL_PATIENCE_S if started_here() else HEAD_PATIENCE_S),
        Endpoint(
            "Ray on this machine", here["NodeManagerAddress"], here["NodeManagerPort"], LOCAL_PATIENCE_S
        ),
    )
