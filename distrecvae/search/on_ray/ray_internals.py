"""Touches what is private to Ray, and nothing else does: each touch has a test that fails when Ray changes.

Seen in Ray 2.60. A touch that is not needed any more is deleted here, with its test.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import psutil
import ray
from ray._private import services
from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import OutOfMemoryError, RayActorError, RayError, RayTaskError
from ray.tune import PlacementGroupFactory
from ray.tune.experiment import Trial


class WorkerLostError(RayActorError):  # type: ignore[misc]
    """A worker's death that Ray tells by an error of another kind, which Tune takes for a bug of its own.

    Attributes:
        for_memory: Ray's memory monitor stopped it. Tune does not count such a death.
    """

    def __init__(self, text: str, for_memory: bool = False) -> None:
        super().__init__(error_msg=text, preempted=for_memory)
        self.for_memory = for_memory

    def __reduce__(self) -> tuple[Any, ...]:
        return WorkerLostError, (str(self), self.for_memory)


@contextmanager
def every_loss_is_told() -> Iterator[None]:
    """Let Tune run a trial again whatever its worker died of.

    Ray's memory monitor tells by an `OutOfMemoryError` that it stopped a worker, a lost node or owner by others. Tune
    knows the death of an actor and the failure of a task, and ends the whole search on anything else.
    """
    failed, not_started = RayActorManager._actor_task_failed, RayActorManager._actor_start_failed

    def on_task(self: Any, tracked_actor_task: Any, exception: Exception) -> None:
        failed(self, tracked_actor_task, _told(exception))

    def on_start(self: Any, tracked_actor: Any, exception: Exception) -> None:
        not_started(self, tracked_actor, _told(exception))

    RayActorManager._actor_task_failed, RayActorManager._actor_start_failed = on_task, on_start
    try:
        yield
    finally:
        RayActorManager._actor_task_failed, RayActorManager._actor_start_failed = failed, not_started


def _told(error: Exception) -> Exception:
    if not isinstance(error, RayError) or isinstance(error, RayActorError | RayTaskError):
        return error
    return WorkerLostError(str(error), isinstance(error, OutOfMemoryError))


def died_for_memory(trial: Trial) -> bool:
    """Tell whether Ray's memory monitor stopped the trial's last worker; ask before the trial is run again."""
    path = trial.pickled_error_file
    if path is None:
        return False
    with Path(path).open("rb") as file:
        error = ray.cloudpickle.load(file)
    return isinstance(error, WorkerLostError) and error.for_memory


def worker_to_be(controller: Any, trial: Trial) -> Any:
    """Return the worker that is being made, or made ready, for a trial; None while it waits for a node, or runs.

    Args:
        controller: what Tune hands to its scheduler.
        trial: the trial.
    """
    if trial.status != Trial.PENDING:
        return None
    loop = controller._tune_controller
    live = loop._actor_manager._live_actors_to_ray_actors_resources.get(loop._trial_to_actor.get(trial))
    return None if live is None else live[0]


def stop_worker(trial: Trial, to_be: Any = None) -> None:
    """Kill the worker that a trial runs on, or the one that is made for it: Tune sees it as any other death."""
    worker = trial.temporary_state.ray_actor or to_be
    if worker is not None:
        ray.kill(worker)


def end(controller: Any, trial: Trial) -> None:
    """End a trial in Tune, wherever it is; that its worker was still to come is forgotten.

    Tune forgets that only when the worker is there. Until then the trial counts as one that is about to run.

    Args:
        controller: what Tune hands to its scheduler.
        trial: one that waits or runs.
    """
    controller.stop_trial(trial)
    loop = controller._tune_controller
    if trial in loop._staged_trials:
        loop._unstage_trial_with_resources(trial)


def let_run(controller: Any, at_once: int) -> bool:
    """Let Tune's loop run so many trials at once, fewer than it started with; return whether another one may start.

    Where none may, it makes no worker, asks for no trial, and reuses no worker that is free: that one is let go.

    Args:
        controller: what Tune hands to its scheduler.
        at_once: trials that may have a worker.
    """
    loop = controller._tune_controller
    another = len(loop._running_trials) + len(loop._staged_trials) < at_once
    loop._max_pending_trials = 1 if another else -1
    if not another:
        loop._cleanup_cached_actors(force_all=True)
    return another


def let_all_run(controller: Any) -> None:
    """Let Tune's loop run as many trials at once as it started with."""
    controller._tune_controller.update_max_pending_trials()


@contextmanager
def process_groups_of_their_own() -> Iterator[None]:
    """Keep signals to the driver's process group (`timeout`, batch systems) from Ray's processes.

    They would die while the driver still ends the search, and take it along. They end with the driver all the same.
    """
    original = services.ConsolePopen
    services.ConsolePopen = partial(original, process_group=0)
    try:
        yield
    finally:
        services.ConsolePopen = original


REAP_S = 10.0
"""How long a process that Ray killed may take to be gone: it gives its memory back first, and may wait for a disk."""


@contextmanager
def none_left_behind() -> Iterator[None]:
    """Wait, after `ray.shutdown()` in the block, for the processes of this process's own Ray: none stays as a zombie.

    Ray kills what does not end by itself, waits for a second, and forgets it: on a busy machine it is still there.
    """
    started = ray._private.worker._global_node.all_processes.values() if started_here() else ()
    processes = [info.process for infos in started for info in infos]
    yield
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(REAP_S)


def own_node_is_draining() -> bool:
    """Tell whether the node that this process is on is about to be taken away: a spot node that got its warning.

    Ray marks it so: for a preemption that a cloud announced, or where someone drains it.
    """
    if not ray.is_initialized():
        return False
    draining = ray._private.state.state.get_draining_nodes()
    return ray.get_runtime_context().get_node_id() in draining


def started_here() -> bool:
    """Tell whether the Ray that this process is connected to is one that it started itself."""
    node = ray._private.worker._global_node
    return node is not None and bool(node.head)


def own_session_folder() -> Path | None:
    """Return where the Ray that this process started keeps its sockets and logs; None where it started none."""
    return Path(ray._private.worker._global_node.get_session_dir_path()) if started_here() else None


def kill_own_ray() -> None:
    """Kill all processes of the Ray that this process started, if it did: stopped ones would outlive their driver."""
    if started_here():
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                process.kill()


def forgive(trial: Trial) -> None:
    """Let the next death of a trial's process count as its first one."""
    trial.run_metadata.num_failures = 0


def forget(trial: Trial) -> None:
    """Drop what Tune would keep of an ended trial until the search ends: nothing reads it, and the ledger has it all.

    That is statistics of every metric (60 kB), its task in four copies, its last result, an answer of its worker that
    was never fetched. Its resources are the same for all trials. The object itself stays in Tune's lists, with its
    number.
    """
    trial.run_metadata.metric_analysis.clear()
    trial.run_metadata.metric_n_steps.clear()
    trial.run_metadata.last_result = {}
    trial.evaluated_params = {}
    trial.config = trial._Trial__unresolved_config = {"task": {"number": trial.config["task"]["number"]}}
    trial._default_result_or_future = None
    trial.placement_group_factory = _one_for_all(trial.placement_group_factory)
    trial._default_placement_group_factory = trial.placement_group_factory


@lru_cache(maxsize=1)
def _one_for_all(resources: PlacementGroupFactory) -> PlacementGroupFactory:
    """Return the first of equal ones."""
    return resources
