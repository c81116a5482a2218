"""Pods that ask for what they get; mistakes are in planted.yaml."""

from __future__ import annotations

from typing import Any

import pytest

from distrecvae.search.doctor.cluster.group import Group
from distrecvae.search.doctor.cluster.pods import of_pods

RESOURCES = {"cpu": "3", "memory": "10Gi"}
POD: dict[str, Any] = {
    "restartPolicy": "Never",
    "containers": [
        {
            "image": "a:1",
            "resources": {"requests": RESOURCES, "limits": RESOURCES},
            "volumeMounts": [{"name": "shm", "mountPath": "/dev/shm/"}],  # noqa: S108  (a pod's)
        }
    ],
    "volumes": [{"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "4Gi"}}],
}
STAYS = {"annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}}


def said(pod: dict[str, Any], **more: Any) -> list[str]:
    spec = {
        "minReplicas": 0,
        "replicas": 0,
        "maxReplicas": 1,
        "template": {"metadata": STAYS, "spec": pod},
        **more,
    }
    return [finding.text for finding in of_pods(Group("g", spec, is_head=False))]


def test_a_pod_that_is_right() -> None:
    assert said(POD) == []


def test_the_same_amount_may_be_written_in_two_ways() -> None:
    container = {
        **POD["containers"][0],
        "resources": {"requests": {"cpu": "3000m", "memory": "10Gi"}, "limits": RESOURCES},
    }
    assert said({**POD, "containers": [container]}) == []


def test_a_group_without_a_pod_is_one_mistake() -> None:
    assert len(said({})) == 1


@pytest.mark.parametrize(
    "toleration", [{"operator": "Exists"}, {"key": "nvidia.com/gpu", "operator": "Exists"}]
)
def test_tolerations_that_reach_a_gpus_node(toleration: dict[str, str]) -> None:
    with_gpu = {**RESOURCES, "nvidia.com/gpu": "1"}
    container = {**POD["containers"][0], "resources": {"requests": with_gpu, "limits": with_gpu}}
    assert len(said({**POD, "containers": [container]})) == 1
    assert said({**POD, "containers": [container], "tolerations": [toleration]}) == []
