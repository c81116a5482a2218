"""Every touch of what is private to Ray: each test fails where Ray has moved what is touched, or made it needless."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import ray
from ray._private import services
from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import NodeDiedError, OutOfMemoryError, RayActorError
from ray.tune import PlacementGroupFactory
from ray.tune.experiment import Trial

from distrecvae.search.core.conductor import Conductor
from distrecvae.search.on_ray.callbacks import ConductorCallback
from distrecvae.search.on_ray.ray_internals import (
    WorkerLostError,
    died_for_memory,
    every_loss_is_told,
    forget,
    forgive,
    none_left_behind,
    own_node_is_draining,
    process_groups_of_their_own,
    started_here,
    stop_worker,
)
from distrecvae.search.on_ray.workers import Workers, number_of
from distrecvae.search.planning.resources import Cluster
from tests import HANGS_AFTER_S, ROOT
from tests.search.simulated import METRIC, open_conductor, toy_search_config


def parts_of_ray() -> list[psutil.Process]:
    """Return what Ray started here: its head's services and its node manager; workers are the latter's children."""
    found = [p for p in psutil.Process().children() if "ray" in " ".join(p.cmdline())]
    assert any("raylet" in p.name() for p in found), "no node manager among this process's children"
    return found


@pytest.mark.ray
def test_rays_processes_do_not_get_the_signals_of_the_drivers_group(cluster: Cluster) -> None:
    # `timeout` and batch systems send SIGTERM to a whole group. ray_session starts Ray inside of the block.
    assert cluster.cpus > 0
    for part in parts_of_ray():
        assert os.getpgid(part.pid) != os.getpgid(0), part.cmdline()[:3]


def test_what_starts_processes_is_put_back() -> None:
    original = services.ConsolePopen
    with process_groups_of_their_own():
        assert services.ConsolePopen is not original
        assert services.ConsolePopen.func is original
    assert services.ConsolePopen is original


@pytest.mark.ray
def test_rays_processes_are_found_where_they_are_waited_for(cluster: Cluster) -> None:
    assert cluster.cpus > 0
    held = [info.process for each in ray._private.worker._global_node.all_processes.values() for info in each]
    assert {process.pid for process in held} >= {part.pid for part in parts_of_ray()}
    assert all(isinstance(process, subprocess.Popen) for process in held)


def test_what_ray_killed_and_did_not_wait_for_is_no_zombie(monkeypatch: pytest.MonkeyPatch) -> None:
    """CI failed on it once: Ray waits for a second, on a busy machine the process was still there."""
    process = subprocess.Popen(["sleep", "600"])
    node = SimpleNamespace(head=True, all_processes={"raylet": [SimpleNamespace(process=process)]})
    monkeypatch.setattr(ray._private.worker, "_global_node", node)
    with none_left_behind():
        node.all_processes.clear()
        process.kill()
        assert process.returncode is None
    assert process.returncode == -signal.SIGKILL


JOIN = """
import ray, sys
from distrecvae.search.on_ray.ray_internals import started_here
assert not started_here(), "nothing is connected yet"
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
print("started here:", started_here())
"""


@pytest.mark.ray
def test_a_ray_is_known_for_ones_own_or_for_joined(cluster: Cluster) -> None:
    # What dies of one's own Ray stays dead; the head of a cluster that was joined may come back.
    assert not cluster.joined
    assert started_here()
    joined = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", JOIN, ray.get_runtime_context().gcs_address],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=HANGS_AFTER_S,
    )
    assert joined.stdout == "started here: False\n", joined.stderr


def trial_of(config: dict[str, Any]) -> Any:
    resources = PlacementGroupFactory([{"CPU": 1.0}])
    trial = Trial(
        "train", stub=True, config=config, evaluated_params=config, placement_group_factory=resources
    )
    trial.create_placement_group_factory()
    trial.set_status(Trial.RUNNING)
    return trial


def test_deaths_are_counted_where_they_are_forgiven() -> None:
    trial = trial_of({})
    trial.run_metadata.num_failures = 2
    assert trial.num_failures == 2, "Tune reads it there"
    forgive(trial)
    assert trial.num_failures == 0


def told_of(error: Exception) -> list[Exception]:
    """Let Tune's manager of workers hear that a task failed so; return what it tells the loop."""
    heard: list[Exception] = []
    actor = SimpleNamespace(actor_id=1, _on_error=None)
    task = SimpleNamespace(_tracked_actor=actor, _on_error=lambda _, exception: heard.append(exception))
    manager: Any = SimpleNamespace(_failed_actor_ids=set(), _cleanup_actor=lambda **_: None)
    RayActorManager._actor_task_failed(manager, task, error)
    return heard


def test_tune_hears_of_every_loss_of_a_worker() -> None:
    # Ray's memory monitor ended whole searches by this.
    with pytest.raises(RuntimeError, match="Caught unexpected exception"):
        told_of(OutOfMemoryError("the node is low on memory"))
    with every_loss_is_told():
        (memory,), (node,) = told_of(OutOfMemoryError("low")), told_of(NodeDiedError("gone"))
        (death,) = told_of(RayActorError())
    assert isinstance(memory, WorkerLostError)
    assert isinstance(node, WorkerLostError)
    assert (memory.for_memory, node.for_memory) == (True, False)
    assert not isinstance(death, WorkerLostError), "what Tune knows is told as it is"
    with pytest.raises(RuntimeError):
        told_of(OutOfMemoryError("low"))


def test_a_death_for_memory_is_not_counted_and_can_be_told_from_others(tmp_path: Path) -> None:
    trial = trial_of({})
    trial._handle_ray_actor_error(WorkerLostError("gone"))
    assert trial.num_failures == 1
    trial._handle_ray_actor_error(WorkerLostError("low", for_memory=True))
    assert trial.num_failures == 1, "the conductor decides, and Tune runs it again"
    assert isinstance(Trial.pickled_error_file, property), "where Tune keeps a trial's last error"
    without_any: Any = SimpleNamespace(pickled_error_file=None)
    assert not died_for_memory(without_any)
    kept = tmp_path / "error.pkl"
    for error in (WorkerLostError("low", for_memory=True), WorkerLostError("gone"), RayActorError()):
        kept.write_bytes(ray.cloudpickle.dumps(error))
        held: Any = SimpleNamespace(pickled_error_file=str(kept))
        assert died_for_memory(held) == (getattr(error, "for_memory", False))


@pytest.mark.ray
def test_a_worker_is_killed_where_tune_keeps_it(cluster: Cluster) -> None:
    assert cluster.cpus
    trial = trial_of({})
    stop_worker(trial)  # it has none

    class Worker:
        def live(self) -> bool:
            return True

        def get_auto_filled_metrics(self, **_: bool) -> dict[str, str]:
            """Tune asks its workers."""
            return {}

    worker = ray.remote(num_cpus=0)(Worker).remote()
    assert ray.get(worker.live.remote())
    trial.set_ray_actor(worker)
    stop_worker(trial)

    def ask_while_it_lives() -> None:  # Ray kills in its own time
        until = time.monotonic() + HANGS_AFTER_S
        while time.monotonic() < until:
            ray.get(worker.live.remote())

    with pytest.raises(RayActorError):
        ask_while_it_lives()


@pytest.mark.ray
def test_a_node_that_stays_is_not_taken_for_one_that_goes(cluster: Cluster) -> None:
    # tests/whole/test_cluster.py drains one.
    assert cluster.cpus
    assert ray._private.state.state.get_draining_nodes() == {}
    assert not own_node_is_draining()


FORGOTTEN = (
    "config",
    "evaluated_params",
    "placement_group_factory",
    "_Trial__unresolved_config",
    "_default_result_or_future",
    "_default_placement_group_factory",
)


def test_what_is_forgotten_is_what_tune_keeps() -> None:
    # Setting an attribute that Tune has given up would succeed, free nothing, and say nothing.
    trial = trial_of({"task": {"number": 5, "config": {"latent_dim": 8}}})
    trial.update_last_result({"passes": 4, METRIC: 0.1, "training_iteration": 1})
    assert [name for name in FORGOTTEN if name not in vars(trial)] == []
    trial._default_result_or_future = object()  # an answer of its worker that was never fetched
    kept = vars(trial.run_metadata)
    assert kept["metric_analysis"][METRIC]
    assert kept["metric_n_steps"][METRIC]
    assert kept["last_result"][METRIC] == 0.1
    forget(trial)
    assert not kept["metric_analysis"]
    assert not kept["metric_n_steps"]
    assert not kept["last_result"]
    assert trial.config == trial._Trial__unresolved_config == {"task": {"number": 5}}
    assert trial.evaluated_params == {}
    assert trial._default_result_or_future is None


def ended_trial(conductor: Conductor) -> Any:
    """A trial of Tune's own with what it gathers while it runs."""
    task = conductor.next_task()
    assert task is not None
    trial = trial_of({"task": task.to_dict()})
    conductor.heard(task.number, {"passes": 4, "cycle": 1, METRIC: 0.1})
    trial.update_last_result({"passes": 4, METRIC: 0.1, "training_iteration": 1})
    trial.set_status(Trial.TERMINATED)
    return trial


def test_a_long_search_stays_flat(tmp_path: Path) -> None:
    conductor = open_conductor(tmp_path, toy_search_config(scheduler="none"))
    callback = ConductorCallback(conductor, Workers(conductor, print), lambda: None)
    ended = [ended_trial(conductor) for _ in range(2)]
    for trial in ended:
        callback.on_trial_complete(0, ended, trial)
        assert trial.last_result[METRIC] == 0.1, "the rest of Tune still looks at it"
    callback.on_step_end(0, ended)
    for number, trial in enumerate(ended):
        assert number_of(trial) == number
        assert trial.is_finished()
        assert trial.config == {"task": {"number": number}}
    assert ended[0].placement_group_factory is ended[1].placement_group_factory
