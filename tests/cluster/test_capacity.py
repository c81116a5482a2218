"""A kind of node that the cloud has none of does not hold a search: Ray's own autoscalers, and a cloud that refuses.

Nothing here starts Ray: its autoscaler is a loop over what it is told of the cluster, and that is what these tests say.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ray.autoscaler._private import node_launcher
from ray.autoscaler._private.autoscaler import StandardAutoscaler
from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr
from ray.autoscaler._private.load_metrics import LoadMetrics
from ray.autoscaler._private.providers import _clear_provider_cache
from ray.autoscaler._private.util import prepare_config
from ray.autoscaler.v2.instance_manager import common, reconciler
from ray.autoscaler.v2.instance_manager.cloud_providers.kuberay.cloud_provider import KubeRayProvider
from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig, InstanceReconcileConfig
from ray.autoscaler.v2.instance_manager.instance_manager import InstanceManager
from ray.autoscaler.v2.instance_manager.instance_storage import InstanceStorage
from ray.autoscaler.v2.instance_manager.node_provider import NodeProviderAdapter
from ray.autoscaler.v2.instance_manager.reconciler import Reconciler
from ray.autoscaler.v2.instance_manager.storage import InMemoryStorage
from ray.autoscaler.v2.instance_manager.subscribers import cloud_resource_monitor
from ray.autoscaler.v2.instance_manager.subscribers.cloud_instance_updater import CloudInstanceUpdater
from ray.autoscaler.v2.instance_manager.subscribers.cloud_resource_monitor import CloudResourceMonitor
from ray.autoscaler.v2.scheduler import ResourceDemandScheduler
from ray.core.generated import autoscaler_pb2, gcs_pb2

from tests import ROOT
from tests.cluster.no_capacity import HEAD, NoCapacity, NoMachines

CLOUDS = ("cluster.yaml", "gcp.yaml")
TRIAL = {"CPU": 1.0, "GPU": 1.0}
AT_ONCE = 3
ROUNDS = 12
"""More than there are kinds: a loop that asks them in turn has come round, twice."""


@pytest.fixture(autouse=True)
def no_provider_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_AUTOSCALER_UTILIZATION_SCORER", raising=False)
    _clear_provider_cache()


def config_of(name: str, without: set[str]) -> dict[str, Any]:
    """Return a cloud file as the autoscaler on the head has it, with a cloud that has none of some kinds."""
    config: dict[str, Any] = prepare_config(
        yaml.safe_load((ROOT / "cluster" / name).read_text(encoding="utf-8"))
    )
    config["provider"] = {
        "type": "external",
        "module": "tests.cluster.no_capacity.NoCapacity",
        "without": sorted(without),
        "disable_node_updaters": True,
        "foreground_node_launch": True,
    }
    config["file_mounts"] = {}
    for kind in workers_of(config):
        kept = config["available_node_types"][kind]
        kept["resources"] = kept["resources"] or {"CPU": 4, "GPU": 1}  # what AWS says of these instance types
    return config


def workers_of(config: dict[str, Any]) -> list[str]:
    return [kind for kind in config["available_node_types"] if kind != config["head_node_type"]]


def environment_of(name: str) -> dict[str, str]:
    """Return what a cloud file's `ray start` on the head has in its environment, for the autoscaler."""
    config = yaml.safe_load((ROOT / "cluster" / name).read_text(encoding="utf-8"))
    (start,) = (c for c in config["head_start_ray_commands"] if "ray start" in c)
    return dict(re.findall(r"\b(RAY_(?:AUTOSCALER|enable)\w+)=(\S+?)[;\s]", start))


def asked_by_the_older(config: dict[str, Any]) -> NoCapacity:
    """Let Ray's older autoscaler run for some rounds while trials wait for a node, and return the cloud."""
    load = LoadMetrics()
    autoscaler = StandardAutoscaler(
        lambda: config, load, SimpleNamespace(drain_nodes=lambda nodes: nodes), update_interval_s=0
    )
    cloud = autoscaler.provider
    assert isinstance(cloud, NoCapacity)
    for _ in range(ROUNDS):
        waiting = AT_ONCE - (len(cloud.nodes) - 1)
        group = gcs_pb2.PlacementGroupTableData(
            bundles=[{"unit_resources": TRIAL}],
            state=gcs_pb2.PlacementGroupTableData.PENDING,
        )
        for name in cloud.nodes:
            has = {} if name == HEAD else {"CPU": 4.0, "GPU": 1.0}
            ip = cloud.internal_ip(name)
            load.update(ip, name.encode(), has, {}, 0.0, pending_placement_groups=[group] * waiting)
        autoscaler.update()
    return cloud


def node(name: str, kind: str) -> Any:
    """Return a node as Ray knows it."""
    return autoscaler_pb2.NodeState(
        node_id=name.encode(),
        instance_id=name,
        ray_node_type_name=kind,
        total_resources={"node:__internal_head__": 1.0} if name == HEAD else {"CPU": 4.0, "GPU": 1.0},
        status=autoscaler_pb2.NodeStatus.RUNNING,
    )


class Newer:
    """Ray's newer autoscaler, with a cloud of our own.

    Attributes:
        cloud: what it asks for nodes.
    """

    def __init__(self, config: Callable[[], dict[str, Any]], cloud: Any) -> None:
        self.config, self.cloud = config, cloud
        self.monitor = CloudResourceMonitor()
        subscribers = [CloudInstanceUpdater(cloud), self.monitor]
        self.manager = InstanceManager(InstanceStorage("c", InMemoryStorage()), subscribers)
        self.scheduler = ResourceDemandScheduler()
        self.version = 0

    def update(self, nodes: list[Any], waiting: int) -> None:
        """Let it look once at a cluster of these nodes, where so many trials wait for one."""
        self.version += 1
        asked = autoscaler_pb2.ResourceRequest(resources_bundle=TRIAL)
        state = autoscaler_pb2.ClusterResourceState(
            cluster_resource_state_version=self.version,
            node_states=nodes,
            pending_gang_resource_requests=[autoscaler_pb2.GangResourceRequest(requests=[asked])] * waiting,
        )
        config = AutoscalingConfig(self.config())
        Reconciler.reconcile(
            self.manager,
            self.scheduler,
            self.cloud,
            self.monitor,
            state,
            self.cloud.get_non_terminated(),
            config,
            cloud_provider_errors=self.cloud.poll_errors(),
        )


def asked_by_the_newer(config: dict[str, Any]) -> NoCapacity:
    """Let Ray's newer autoscaler run for some rounds while trials wait for a node, and return the cloud."""
    cloud = NoCapacity(config["provider"], "c")
    reader = SimpleNamespace(get_cached_autoscaling_config=lambda: AutoscalingConfig(config))
    adapter = NodeProviderAdapter(cloud, reader)
    newer = Newer(lambda: config, adapter)
    for _ in range(ROUNDS):
        newer.update([node(HEAD, "head")], waiting=AT_ONCE - (len(cloud.nodes) - 1))
        # Its requests are made by threads of its own: let them come to an end, as the five seconds of a round do.
        adapter._main_executor.submit(lambda: None).result()
        for _ in range(adapter._node_launcher_executors._max_workers):
            adapter._node_launcher_executors.submit(lambda: None).result()
    return cloud


@pytest.mark.parametrize("name", CLOUDS)
def test_there_are_two_gpus_each_as_spot_and_on_demand_and_spot_is_asked_first(name: str) -> None:
    config = config_of(name, set())
    kinds = workers_of(config)
    spot = [kind for kind in kinds if kind.endswith("-spot")]
    on_demand = [kind for kind in kinds if kind.endswith("-on-demand")]
    assert sorted(kinds) == kinds == [*spot, *on_demand]
    for ways in (spot, on_demand):
        asked = [config["available_node_types"][kind]["node_config"] for kind in ways]
        assert len({one.get("InstanceType") or one["machineType"] for one in asked}) >= 2


@pytest.mark.parametrize("name", CLOUDS)
@pytest.mark.parametrize("left", [0, 1, 2, 3])
def test_a_search_gets_its_nodes_from_whatever_kind_is_left(
    name: str, left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in environment_of(name).items():
        monkeypatch.setenv(variable, value)
    kinds = workers_of(config_of(name, set()))
    cloud = asked_by_the_older(config_of(name, {*kinds} - {kinds[left]}))
    assert [name.rsplit("-", 1)[0] for name in cloud.nodes if name != HEAD] == [kinds[left]] * AT_ONCE
    # Each refusal costs one round: the kinds before it are asked once each, those after it never.
    assert cloud.asked == dict.fromkeys(kinds[: left + 1], 1)


@pytest.mark.parametrize("name", CLOUDS)
def test_where_nothing_is_left_all_kinds_are_asked_in_turn(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in environment_of(name).items():
        monkeypatch.setenv(variable, value)
    clock = count(time.time(), 5)  # Ray counts refusals in whole seconds, and a round takes it five
    monkeypatch.setattr(node_launcher, "time", SimpleNamespace(time=lambda: next(clock)))
    kinds = workers_of(config_of(name, set()))
    cloud = asked_by_the_older(config_of(name, {*kinds}))
    assert set(cloud.asked) == {*kinds}
    assert max(cloud.asked.values()) - min(cloud.asked.values()) <= 1


@pytest.mark.parametrize("autoscaler", [asked_by_the_older, asked_by_the_newer])
def test_without_our_rule_ray_asks_for_the_kind_that_is_gone_for_ever(
    autoscaler: Callable[[dict[str, Any]], NoCapacity],
) -> None:
    """Why the cloud files set two variables. Where this fails, Ray has learned it: take them out, and the rule."""
    kinds = workers_of(config_of("cluster.yaml", set()))
    favourite = max(autoscaler(config_of("cluster.yaml", set())).asked)
    cloud = autoscaler(config_of("cluster.yaml", {favourite}))
    assert set(cloud.asked) == {favourite}, f"of {kinds}"
    assert list(cloud.nodes) == [HEAD]


# --- Kubernetes: nobody refuses a pod, it waits for a machine; Ray's newer autoscaler takes it back in the end

SPAN_S = 3 * 3600
"""Four groups, a quarter of an hour each, twice round and more."""
LOOK_S = 120


def rayjob() -> dict[str, Any]:
    text = (ROOT / "cluster/kuberay-rayjob.yaml").read_text(encoding="utf-8")
    spec: dict[str, Any] = yaml.safe_load(text)["spec"]["rayClusterSpec"]
    return spec


def groups_of(spec: dict[str, Any]) -> list[str]:
    return [group["groupName"] for group in spec["workerGroupSpecs"]]


def asked_in_kubernetes(
    spec: dict[str, Any], without: set[str], monkeypatch: pytest.MonkeyPatch
) -> tuple[NoMachines, float]:
    """Let KubeRay's autoscaler run for hours of a clock of ours; return Kubernetes, and when all trials had a node."""
    given = {entry["name"]: int(entry["value"]) for entry in spec["autoscalerOptions"].get("env", [])}
    waits = InstanceReconcileConfig(
        allocate_status_timeout_s=given.get("RAY_AUTOSCALER_RECONCILE_ALLOCATE_STATUS_TIMEOUT_S", 3600)
    )
    monkeypatch.setattr(AutoscalingConfig, "get_instance_reconcile_config", lambda _: waits)
    began = now = time.time()
    clock = SimpleNamespace(time=lambda: now, time_ns=lambda: int(now * 1e9))
    for module in (common, reconciler, cloud_resource_monitor):
        monkeypatch.setattr(module, "time", clock)

    cluster = {"metadata": {"name": "c", "namespace": "n"}, "spec": spec}
    kubernetes = NoMachines(cluster, without)
    cloud = KubeRayProvider("c", {"namespace": "n"}, None, k8s_api_client=kubernetes)
    newer = Newer(lambda: dict(_derive_autoscaling_config_from_ray_cr(cluster)), cloud)
    while now - began < SPAN_S and len(kubernetes.running) < AT_ONCE:
        nodes = [node(HEAD, "headgroup"), *(node(pod, kubernetes.pods[pod]) for pod in kubernetes.running)]
        newer.update(nodes, waiting=AT_ONCE - len(kubernetes.running))
        now += LOOK_S
    return kubernetes, now - began


@pytest.mark.parametrize("left", [0, 1, 2, 3])
def test_in_kubernetes_a_group_without_machines_is_left_for_the_next(
    left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = groups_of(rayjob())
    kubernetes, after_s = asked_in_kubernetes(rayjob(), {*groups} - {groups[left]}, monkeypatch)
    assert {kubernetes.pods[pod] for pod in kubernetes.running} == {groups[left]}
    assert kubernetes.asked == groups[: left + 1], "in the order of the file, each once"
    assert after_s < (left + 1) * 1200, "a quarter of an hour a group, and some looks"


def test_in_kubernetes_all_groups_are_asked_in_turn_where_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    groups = groups_of(rayjob())
    kubernetes, _ = asked_in_kubernetes(rayjob(), {*groups}, monkeypatch)
    assert kubernetes.asked[:8] == groups * 2


def test_by_itself_ray_would_wait_an_hour_for_each_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """Why the file says how long."""
    spec = rayjob()
    del spec["autoscalerOptions"]["env"]
    _, after_s = asked_in_kubernetes(spec, {groups_of(spec)[0]}, monkeypatch)
    assert after_s > 3600
