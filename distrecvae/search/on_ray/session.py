"""The driver's side of Ray: start or join it, see what it has, lend it the data."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from distrecvae.data.dataset import Split
from distrecvae.data.shared import dataset_bytes, shared_arrays
from distrecvae.errors import ResourceError
from distrecvae.search.on_ray.interruption import Interruption
from distrecvae.search.on_ray.joining import (
    named,
    ray_folder,
    refused_token,
    require_listener,
    require_room_for_sockets,
    stderr_kept,
)
from distrecvae.search.on_ray.ray_internals import (
    none_left_behind,
    own_session_folder,
    process_groups_of_their_own,
    started_here,
)
from distrecvae.search.on_ray.session_folders import marked, remove_dead
from distrecvae.search.planning.resources import Cluster, Slots, fitting, require_store
from distrecvae.signals import hear_again, unchanged
from distrecvae.training import registry
from distrecvae.training.device import DeviceFacts, device_facts
from distrecvae.training.entry import Common
from distrecvae.words import one_line

NODE_ANSWER_S = 60.0
"""How long a node may take to answer a question: a worker is started there first."""

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
    _lent: dict[Common, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def data(self) -> Any:
        """Reference of the arrays that workers map: put into Ray's object store once, when first asked for.

        Raises:
            ResourceError: as `lend`.
        """
        return lend(self.split, self.cluster)

    def lends_common(self, model: str) -> bool:
        """Tell whether `common` has something for the trials of `model`: they need it, and it fits beside the rest."""
        common, train = registry.common_of(model), self.split.train
        if common is None or common in self._lent:
            return common is not None
        held = dataset_bytes(self.split) + sum(other.size(train) for other in self._lent)
        return held + common.size(train) <= self.cluster.object_store_bytes

    def common(self, model: str, progress: Callable[[float], None] | None = None) -> Any:
        """Return a reference of what the trials of `model` have in common, None where each has to compute it itself.

        It is computed here, when first asked for, and put into Ray's object store once for all models that share it.
        `progress` is told the share of it that is computed.
        """
        common = registry.common_of(model)
        if common is None or not self.lends_common(model):
            return None
        if common not in self._lent:
            self._lent[common] = ray.put(common.compute(self.split.train, progress))
        return self._lent[common]


@contextmanager
def ray_session(address: str | None, *, verbose: bool = False) -> Iterator[Cluster]:
    """Join the Ray cluster at `address` (or the one this job runs in), else start one here; leave it at the end.

    A Ray that this process is connected to already is its caller's: it is used, and stays.

    Raises:
        ResourceError: there is no Ray at `address`, or this process is connected to another one; `passing` where
            Ray did not start, or answer, in time.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if ray.is_initialized():
        with _as_it_runs(address, verbose=verbose) as cluster:
            yield cluster
        return
    level = logging.INFO if verbose else logging.ERROR
    for name in ("ray", "ray.train", "ray.data"):
        logging.getLogger(name).setLevel(level)
    # Tune prints a traceback for every process that is lost and run again; `lost` says it in a line.
    logging.getLogger("ray.tune").setLevel(level if verbose else logging.CRITICAL)
    where = address or os.environ.get("RAY_ADDRESS") or "local"
    if where == "local":
        require_room_for_sockets()
        remove_dead(Path(ray_folder()) / "ray")
    else:
        require_listener(where, named(address, where))
    _connect(where, named(address, where), level, verbose=verbose)
    try:
        own = own_session_folder()
        with nullcontext() if own is None else marked(own):
            yield living_nodes(joined=where != "local")
    finally:
        with none_left_behind():
            ray.shutdown()
        # Ray leaves SIGTERM to the system: it would end this process at once, whoever had a handler for it.
        hear_again(signal.SIGTERM)


def _connect(where: str, name: str, level: int, *, verbose: bool) -> None:
    """Start or join Ray at `where`, which is called `name`; errors are one line, whatever Ray says on the way."""
    # A local Ray must not be found by, nor find, another one on this machine.
    extra = {"include_dashboard": False} if where == "local" else {}
    said: Callable[[], str] = str
    try:
        # Ray's own handler would end this process with status 15, and stay when Ray is gone.
        with unchanged(signal.SIGTERM), process_groups_of_their_own(), ExitStack() as kept:
            if where != "local" and not verbose:
                said = kept.enter_context(stderr_kept())
            try:
                ray.init(
                    address=where,
                    log_to_driver=verbose,
                    logging_level=level,
                    configure_logging=verbose,
                    **extra,
                )
            except (ConnectionError, ValueError):
                if not refused_token(said()):
                    raise
                raise ResourceError(
                    f"{name}: it answered and refused the token; give the cluster's own in RAY_AUTH_TOKEN (or its file"
                    " in RAY_AUTH_TOKEN_PATH), with RAY_AUTH_MODE=token"
                ) from None
    except (ConnectionError, ValueError) as error:
        raise ResourceError(
            f"{name}: no Ray cluster answers there ({one_line(error)}); start one or leave it out"
        ) from error
    except Exception as error:
        here = where == "local"
        if not _says_too_late(error, started=here):
            raise
        what = "Ray did not start on this machine" if here else f"{name}: Ray did not answer in time"
        raise ResourceError(
            f"{what} ({one_line(error)}); is it too busy? Try again, with --resume where the search had begun",
            passing=True,
        ) from error


def _says_too_late(error: Exception, *, started: bool) -> bool:
    """Tell whether Ray gave up waiting for its processes: it says so by errors of several kinds, a bare one too.

    Of a cluster that is joined, and not `started` here, a RuntimeError says that its versions are others.
    """
    return type(error) is Exception or isinstance(error, (RayError, RuntimeError) if started else RayError)


@contextmanager
def _as_it_runs(address: str | None, *, verbose: bool) -> Iterator[Cluster]:
    """Use the Ray that this process is connected to, and leave it and its logging as they were."""
    own = ray.get_runtime_context().gcs_address
    if address not in (None, "auto", own):
        raise ResourceError(
            f"--address {address}: this process is connected to the Ray at {own}; leave it out, or call"
            " ray.shutdown() first"
        )
    loggers = [logging.getLogger(name) for name in ("ray", "ray.train", "ray.data", "ray.tune")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in [] if verbose else loggers:
            logger.setLevel(logging.CRITICAL if logger.name == "ray.tune" else logging.ERROR)
        yield living_nodes(joined=not started_here())
    finally:
        for logger, before in zip(loggers, levels, strict=True):
            logger.setLevel(before)


def living_nodes(*, joined: bool) -> Cluster:
    """Return what the nodes have that are alive now."""
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    nodes = tuple((float(node.get("CPU", 0.0)), float(node.get("GPU", 0.0))) for node in alive)
    stores = [int(node["object_store_memory"]) for node in alive if "object_store_memory" in node]
    memory = sum(int(node.get("memory", 0)) for node in alive)
    return Cluster(nodes, min(stores, default=0), memory, joined)


def on_every_node(ask: Callable[[], Any]) -> dict[str, Any]:
    """Return what `ask` returns on each living node, by address; where it failed, the reason as text.

    `ask` is sent by its name: a node without this package cannot answer.
    """
    asked = {}
    for node in ray.nodes():
        if node["Alive"]:
            there = NodeAffinitySchedulingStrategy(node_id=node["NodeID"], soft=False)
            worker = ray.remote(ask).options(num_cpus=0, max_retries=0, scheduling_strategy=there)
            asked[f"{node['NodeManagerAddress']}:{node['NodeManagerPort']}"] = worker.remote()
    answers: dict[str, Any] = {}
    for name, answer in asked.items():
        try:
            answers[name] = ray.get(answer, timeout=NODE_ANSWER_S)
        except ray.exceptions.RayError as error:
            answers[name] = " ".join(str(error).split())[-200:]
    return answers


def survey(slots: Slots, cluster: Cluster, tell: Callable[[str], None] = lambda _: None) -> DeviceFacts:
    """Return what the device of a trial offers: asked in a Ray worker with a trial's resources, unless that is here.

    Args:
        slots: how trials are laid on the cluster.
        cluster: its nodes.
        tell: shown that this waits, where there is no node for a trial yet.

    Raises:
        ResourceError: the worker finds no such device.
    """
    if not slots.gpus and not cluster.joined:
        return device_facts(slots.device)
    if not fitting(cluster, slots.cpus, slots.gpus):
        tell(
            f"Waiting for the cluster to get a node with {slots.cpus} CPU and {slots.gpus:g} GPU for a trial."
        )
    # One call: a worker that has asked holds a CUDA context, half a GB that nobody counts, and would live on with it.
    worker = ray.remote(max_calls=1, num_cpus=slots.cpus, num_gpus=slots.gpus)(device_facts)
    try:
        facts: DeviceFacts = ray.get(worker.remote(slots.device))
    except ray.exceptions.RayTaskError as error:
        why = " ".join(str(error.cause).split())
        remedy = (
            "; a PyTorch built for CUDA is needed there, or --gpus-per-trial 0 to train on CPUs"
            if slots.gpus
            else ""
        )
        raise ResourceError(f"a worker cannot use its device: {why}{remedy}") from None
    return facts


def lend(split: Split, cluster: Cluster) -> Any:
    """Put the data set into Ray's object store, once, and return its reference.

    Raises:
        ResourceError: it does not fit.
    """
    require_store(dataset_bytes(split), cluster)
    return ray.put(shared_arrays(split))
