"""Owns the driver's side of Ray: start or join it, see what it has, lend it the data, let Tune run the trials."""

from __future__ import annotations

import logging
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from math import floor
from pathlib import Path
from typing import Any

import ray
from ray import tune

from distrecvae.data.dataset import Split
from distrecvae.errors import ResourceError
from distrecvae.search.callbacks import ConductedCallback, ConductedScheduler, ConductedSearcher
from distrecvae.search.conductor import RETRIES, Conductor
from distrecvae.search.config import SearchConfig
from distrecvae.search.interruption import Endpoint, Interruption, StopSearch
from distrecvae.search.trainable import shared_arrays, trainable
from distrecvae.training.device import DeviceFacts, device_facts

TUNE_FOLDER = ".ray"
"""Where Tune keeps what it must; nothing in it is read again, and it is removed at the end."""

ANSWER_S = 10.0
"""How long a cluster's address may take to accept a connection."""

LOCAL_PATIENCE_S, HEAD_PATIENCE_S = 2.0, 40.0
"""How long Ray's processes may be silent: what died here stays dead; the head of a cluster may be started again, and
Ray itself gives it 60 s."""

_ENVIRONMENT = {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative data paths keep their meaning
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the ledger and the event files are ours
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",  # Tune's own snapshots are never read; they grow with the trials
    "TUNE_WARN_THRESHOLD_S": "10",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # signals are heard by Interruption
    "RAY_AIR_NEW_OUTPUT": "0",  # the newer output prints a banner even when told to be silent
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent anywhere
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # Ray's coming default, chosen now: it warns otherwise
}


@dataclass(frozen=True)
class Cluster:
    """What Ray offers: (CPUs, GPUs) by node, and the driver node's object store.

    Attributes:
        nodes: (CPUs, GPUs) of each living node.
        object_store_bytes: size of the smallest node's object store.
        memory_bytes: memory that Ray counts for workers, of all nodes.
    """

    nodes: tuple[tuple[float, float], ...]
    object_store_bytes: int
    memory_bytes: int

    @property
    def cpus(self) -> float:
        """CPUs of all nodes."""
        return sum(cpus for cpus, _ in self.nodes)

    @property
    def gpus(self) -> float:
        """GPUs of all nodes."""
        return sum(gpus for _, gpus in self.nodes)


@dataclass(frozen=True)
class Slots:
    """How trials are laid on the cluster.

    Attributes:
        concurrent: trials at once.
        cpus: CPU cores (and training threads) a trial.
        gpus: GPUs a trial, possibly a fraction.
    """

    concurrent: int
    cpus: int
    gpus: float

    @property
    def device(self) -> str:
        """The trials' torch device."""
        return "cuda" if self.gpus else "cpu"


@dataclass(frozen=True)
class Session:
    """A Ray that was joined, and a data set: several searches may share both.

    Attributes:
        cluster: what Ray offers.
        split: the data set.
        stop: hears signals, watches Ray.
    """

    cluster: Cluster
    split: Split
    stop: Interruption = field(default_factory=Interruption)

    @cached_property
    def data(self) -> Any:
        """Reference of the arrays that workers map: put into Ray's object store once, when first asked for.

        Raises:
            ResourceError: as `lend`.
        """
        return lend(self.split, self.cluster)


@contextmanager
def ray_session(address: str | None, *, verbose: bool = False) -> Iterator[Cluster]:
    """Join the Ray cluster at `address` (or the one this job runs in), else start one here; leave it at the end.

    Raises:
        ResourceError: there is no Ray at `address`.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    level = logging.INFO if verbose else logging.ERROR
    for name in ("ray", "ray.train", "ray.data"):
        logging.getLogger(name).setLevel(level)
    # At ERROR it prints a traceback for every process that dies; the search says so in a line.
    logging.getLogger("ray.tune").setLevel(level if verbose else logging.CRITICAL)
    where = address or os.environ.get("RAY_ADDRESS") or "local"
    _require_listener(where)
    # A local Ray must not be found by, nor find, another one on this machine.
    extra = {"include_dashboard": False} if where == "local" else {}
    try:
        with _process_groups_of_their_own():
            ray.init(
                address=where, log_to_driver=verbose, logging_level=level, configure_logging=verbose, **extra
            )
    except (ConnectionError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ResourceError(
            f"--address {where}: no Ray cluster answers there ({reason}); start one or leave it out"
        ) from error
    try:
        yield _cluster()
    finally:
        ray.shutdown()


@contextmanager
def _process_groups_of_their_own() -> Iterator[None]:
    """Keep signals to the driver's process group (`timeout`, batch systems) from Ray's processes.

    They would die while the driver still ends the search, and take it along. They end with the driver all the same.
    """
    from ray._private import services

    original = services.ConsolePopen
    services.ConsolePopen = partial(original, process_group=0)
    try:
        yield
    finally:
        services.ConsolePopen = original


def _require_listener(where: str) -> None:
    """Refuse an address at which nothing listens; Ray itself would try for minutes."""
    host, _, port = where.rpartition("://")[2].rpartition(":")
    if not host:
        return  # 'auto' and 'local'
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER_S).close()
    except (OSError, ValueError, OverflowError) as error:
        raise ResourceError(
            f"--address {where}: nothing listens there ({error}); start Ray, or leave it out to run here"
        ) from error


def _cluster() -> Cluster:
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    nodes = tuple((float(node.get("CPU", 0.0)), float(node.get("GPU", 0.0))) for node in alive)
    stores = [int(node["object_store_memory"]) for node in alive if "object_store_memory" in node]
    return Cluster(nodes, min(stores, default=0), sum(int(node.get("memory", 0)) for node in alive))


def slots_for(config: SearchConfig, cluster: Cluster) -> Slots:
    """Return how many trials run at once and with what.

    Raises:
        ResourceError: no node has what a single trial asks for.
    """
    gpus = config.gpus_per_trial
    if gpus is None:
        gpus = 1.0 if cluster.gpus else 0.0
    fit = sum(
        min(floor(node_cpus / config.cpus_per_trial), floor(node_gpus / gpus + 1e-9) if gpus else 10**9)
        for node_cpus, node_gpus in cluster.nodes
    )
    if fit < 1:
        most_cpus = max((cpus for cpus, _ in cluster.nodes), default=0.0)
        most_gpus = max((gpus for _, gpus in cluster.nodes), default=0.0)
        raise ResourceError(
            f"a trial asks for {config.cpus_per_trial} CPU and {gpus:g} GPU, and no node has both"
            f" (at most {most_cpus:g} CPUs, {most_gpus:g} GPUs); lower --cpus-per-trial or --gpus-per-trial"
        )
    concurrent = min(config.concurrent or fit, fit, config.trials)
    return Slots(concurrent, config.cpus_per_trial, gpus)


def survey(config: SearchConfig, slots: Slots) -> DeviceFacts:
    """Return what the device of a trial offers: asked in a Ray worker with a trial's resources, unless that is here.

    Raises:
        ResourceError: the worker finds no such device.
    """
    if not slots.gpus and config.address is None:
        return device_facts(slots.device)
    worker = ray.remote(device_facts).options(num_cpus=slots.cpus, num_gpus=slots.gpus)
    try:
        facts: DeviceFacts = ray.get(worker.remote(slots.device))
    except ray.exceptions.RayTaskError as error:
        raise ResourceError(f"a worker cannot use its device: {' '.join(str(error.cause).split())}") from None
    return facts


def dataset_bytes(split: Split) -> int:
    """Return the size of what workers share, in bytes."""
    return sum(array.nbytes for array in shared_arrays(split).values() if hasattr(array, "nbytes"))


def require_store(needed_bytes: int, cluster: Cluster) -> None:
    """Refuse a data set that does not fit into Ray's object store: Ray would use files on disk, slowly and silently.

    Raises:
        ResourceError: it does not fit.
    """
    if needed_bytes > cluster.object_store_bytes:
        raise ResourceError(
            f"the data set takes {needed_bytes / 2**20:.0f} MiB and Ray's object store has"
            f" {cluster.object_store_bytes / 2**20:.0f} MiB;"
            " give /dev/shm more room (docker: --shm-size) or start Ray with a larger --object-store-memory"
        )


def lend(split: Split, cluster: Cluster) -> Any:
    """Put the data set into Ray's object store, once, and return its reference.

    Raises:
        ResourceError: it does not fit.
    """
    require_store(dataset_bytes(split), cluster)
    return ray.put(shared_arrays(split))


def clear_away(folder: Path) -> None:
    """Remove what Tune left in the results folder, or a driver that was killed."""
    shutil.rmtree(folder / TUNE_FOLDER, ignore_errors=True)


def run_trials(
    conductor: Conductor,
    data: Any,
    slots: Slots,
    folder: Path,
    *,
    refresh: Callable[[], None],
    died: Callable[[int], None],
    stop: Interruption,
) -> None:
    """Let Tune run the conductor's trials to the end, or until `stop` says so.

    Args:
        conductor: gives out the trials and hears of them.
        data: reference of the shared arrays.
        slots: how trials are laid on the cluster.
        folder: the results folder.
        refresh: called each time Tune goes around its loop.
        died: called with the number of a trial that is run again because its process died.
        stop: hears signals, watches Ray.

    Raises:
        OSError: the results folder could not be written; what was written before stands.
    """
    clear_away(folder)
    worker = tune.with_parameters(trainable, data=data, threads=slots.cpus, gpus=slots.gpus)
    tuner = tune.Tuner(
        tune.with_resources(worker, {"cpu": slots.cpus, "gpu": slots.gpus}),
        tune_config=tune.TuneConfig(
            search_alg=ConductedSearcher(conductor),
            scheduler=ConductedScheduler(conductor),
            num_samples=-1,
            max_concurrent_trials=slots.concurrent,
            reuse_actors=True,
            trial_dirname_creator=lambda trial: f"{trial.config['task']['number']:05d}",
        ),
        run_config=tune.RunConfig(
            name=TUNE_FOLDER,
            storage_path=str(folder.resolve()),
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=RETRIES),
            callbacks=[ConductedCallback(conductor, refresh, died)],
        ),
    )
    try:
        with stop.listening(_vital_parts()):
            tuner.fit()
        conductor.reclaim()
    except StopSearch as stopped:
        if stopped.cause is not None:
            raise stopped.cause from None
    finally:
        clear_away(folder)


def _vital_parts() -> tuple[Endpoint, ...]:
    """Return what a driver cannot do without: the cluster's head and the node manager of its own machine."""
    context = ray.get_runtime_context()
    host, _, port = context.gcs_address.rpartition(":")
    here = next(node for node in ray.nodes() if node["NodeID"] == context.get_node_id())
    local = ray._private.worker._global_node is not None and ray._private.worker._global_node.head
    return (
        Endpoint("Ray's head", host, int(port), LOCAL_PATIENCE_S if local else HEAD_PATIENCE_S),
        Endpoint(
            "Ray on this machine", here["NodeManagerAddress"], here["NodeManagerPort"], LOCAL_PATIENCE_S
        ),
    )
