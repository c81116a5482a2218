"""RayJobs and RayClusters; mistakes are in planted.yaml."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from distrecvae.search.doctor.cluster.kuberay import of_kuberay
from tests import ROOT


def ours() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "cluster/kuberay-rayjob.yaml").read_text(encoding="utf-8")))


def test_a_cluster_without_a_job_is_looked_at_as_one() -> None:
    job = ours()
    cluster = {**job, "kind": "RayCluster", "spec": job["spec"]["rayClusterSpec"]}
    assert list(of_kuberay(cluster)) == []
    cluster["spec"]["headGroupSpec"]["serviceType"] = "NodePort"
    (finding,) = of_kuberay(cluster)
    assert finding.text.startswith("spec.headGroupSpec.serviceType is 'NodePort'")


def test_what_serves_requests_is_no_job() -> None:
    assert any("RayService" in finding.text for finding in of_kuberay({**ours(), "kind": "RayService"}))


@pytest.mark.parametrize("spec", [None, {}, [], "x"])
def test_a_job_without_a_cluster(spec: Any) -> None:
    job = ours()
    job["spec"]["rayClusterSpec"] = spec
    (finding,) = of_kuberay(job)
    assert "it says what cluster is made" in finding.text


def test_two_groups_of_one_name() -> None:
    job = ours()
    groups = job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    groups[1]["groupName"] = groups[0]["groupName"]
    (finding,) = of_kuberay(job)
    assert "a name of its own" in finding.text


def test_spot_is_asked_first() -> None:
    job = ours()
    job["spec"]["rayClusterSpec"]["workerGroupSpecs"].reverse()
    (finding,) = of_kuberay(job)
    assert "put spot groups first" in str(finding.remedy)
