"""The files in cluster/: what Ray's own checks accept, and what those let through."""

from __future__ import annotations

import json
import re
import tomllib
from importlib.metadata import distribution
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from ray.autoscaler._private.util import prepare_config, validate_config

from distrecvae.cli import search
from distrecvae.search.doctor.cluster.commands import PARTS
from distrecvae.search.doctor.cluster.examination import examine_file
from distrecvae.search.on_ray.capacity import score
from tests import ROOT

CLUSTER = ROOT / "cluster"
LAUNCHER = ("cluster.yaml", "gcp.yaml", "on-prem.yaml")
# Keys of a node's configuration that these files use, as the clouds' API references spell them: Ray passes any key on.
NODE_KEYS = {
    "aws": {"InstanceType", "ImageId", "BlockDeviceMappings", "InstanceMarketOptions"},
    "external": {"machineType", "disks", "guestAccelerators", "scheduling"},
}
PROVIDER_KEYS = {
    "aws": {"type", "region", "availability_zone", "cache_stopped_nodes"},
    "external": {"type", "module", "project_id", "region", "availability_zone", "cache_stopped_nodes"},
    "local": {"type", "head_ip", "worker_ips"},
}


def text(name: str) -> str:
    return (CLUSTER / name).read_text(encoding="utf-8")


def load(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load(text(name)))


def project() -> dict[str, Any]:
    return dict(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"])


def pinned(package: str) -> str:
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    found = re.search(rf"^{package}==(.+)$", constraints, re.MULTILINE)
    assert found, f"{package} is not in constraints.txt"
    return found[1]


@pytest.mark.parametrize("name", LAUNCHER)
def test_ray_accepts_the_file(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    validate_config(prepare_config(load(name)))


@pytest.mark.parametrize("name", LAUNCHER)
def test_what_ray_accepts_silently_is_right(name: str) -> None:
    config = load(name)
    kind = config["provider"]["type"]
    assert set(config["provider"]) == PROVIDER_KEYS[kind]
    for node in config.get("available_node_types", {}).values():
        assert set(node["node_config"]) <= NODE_KEYS[kind]
    for remote, local in config["file_mounts"].items():
        assert remote.startswith("~/")
        assert local.startswith("~") or (ROOT / local).exists(), f"{local} is not in the repository"
    mounted = set(config["file_mounts"].values())
    # Building the package needs all of these; the whole folder would take .git, data and environments along.
    # Two folders were forgotten here once, and no node could have installed the package: what is needed is what the
    # wheel's own table of pyproject.toml names.
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"][
        "targets"
    ]["wheel"]
    needed = {*wheel["packages"], *wheel["force-include"]}
    assert needed <= mounted
    assert needed == set(PARTS)


def test_the_image_has_all_that_the_package_is_built_from() -> None:
    copied = {
        word
        for line in re.findall(r"^COPY (.*) \S+$", text("Dockerfile"), re.MULTILINE)
        for word in line.split()
    }
    assert copied == set(PARTS)


@pytest.mark.parametrize("name", LAUNCHER)
def test_nothing_but_ssh_is_reachable_and_every_process_has_the_token(name: str) -> None:
    config = load(name)
    place = "~/.ray/auth_token"
    assert config["file_mounts"][place] == place
    starts = [*config["head_start_ray_commands"], *config["worker_start_ray_commands"]]
    assert len([c for c in starts if "ray start" in c]) == 2
    for command in starts:
        assert "RAY_AUTH_MODE=token" in command
    (head,) = (c for c in config["head_start_ray_commands"] if "ray start" in c)
    assert "--dashboard-host=127.0.0.1" in head
    assert "--head" in head
    assert "--autoscaling-config=~/ray_bootstrap_config.yaml" in head
    assert "host=0.0.0.0" not in text(name)
    # What `ray exec` and jobs run sees the token mode, too.
    assert any("RAY_AUTH_MODE=token" in c and ".bashrc" in c for c in config["setup_commands"])


@pytest.mark.parametrize("name", ["cluster.yaml", "gcp.yaml"])
def test_a_cloud_cluster_is_a_cpu_head_and_workers_that_go_when_idle(name: str) -> None:
    config = load(name)
    head, workers = kinds_of(config)
    assert config["head_node_type"] == "head"
    assert head["resources"] == {"CPU": 0}, "a trial on the head would slow the search down"
    assert len(workers) == 4
    assert 0 < config["idle_timeout_minutes"] <= 15
    assert config["provider"]["cache_stopped_nodes"] is False
    (start,) = (c for c in config["head_start_ray_commands"] if "ray start" in c)
    # What keeps a kind of node that is gone from holding a search: tests/cluster/test_capacity.py.
    assert "RAY_enable_autoscaler_v2=0" in start
    assert f"RAY_AUTOSCALER_UTILIZATION_SCORER={score.__module__}.{score.__name__};" in start
    for kind, worker in workers.items():
        assert worker["min_workers"] == 0
        assert worker["max_workers"] == config["max_workers"], "any kind alone is enough"
        assert is_spot(worker["node_config"]) == kind.endswith("-spot")
    assert not is_spot(head["node_config"])


def kinds_of(config: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the head's kind of node, and the workers' by their names."""
    kinds = dict(config["available_node_types"])
    return kinds.pop("head"), kinds


def is_spot(node: dict[str, Any]) -> bool:
    market, scheduling = node.get("InstanceMarketOptions"), node.get("scheduling", {})
    return market == {"MarketType": "spot"} or scheduling.get("provisioningModel") == "SPOT"


def test_all_of_awss_nodes_have_one_image() -> None:
    assert (
        len(
            {kind["node_config"]["ImageId"] for kind in load("cluster.yaml")["available_node_types"].values()}
        )
        == 1
    )


def test_no_machine_with_a_gpu_is_to_be_moved() -> None:
    head, workers = kinds_of(load("gcp.yaml"))
    assert all(w["node_config"]["scheduling"]["onHostMaintenance"] == "TERMINATE" for w in workers.values())
    assert "scheduling" not in head["node_config"]


@pytest.mark.parametrize("name", [*LAUNCHER, "kuberay-rayjob.yaml"])
def test_nodes_share_nothing_but_ray(name: str) -> None:
    # Each worker mounted a folder of the head's, and a search refused a node that did not see it.
    for word in ("nfs", "efs", "mount -t", "readwritemany", "/shared"):
        assert word not in text(name).lower(), word


def test_the_local_provider_gets_the_autoscaler_that_starts_all_workers() -> None:
    (head,) = (c for c in load("on-prem.yaml")["head_start_ray_commands"] if "ray start" in c)
    assert "RAY_enable_autoscaler_v2=0" in head
    assert "available_node_types" not in load("on-prem.yaml")


@pytest.mark.parametrize("name", [*LAUNCHER, "kuberay-rayjob.yaml"])
def test_each_file_says_what_to_change_what_it_costs_and_where_results_go(name: str) -> None:
    comments = "\n".join(line for line in text(name).splitlines() if line.startswith("#"))
    for words in ("To change", "CHANGE", "costs", "results go", "docs/cluster.md"):
        assert words in comments
    if name != "on-prem.yaml":
        assert "approximate" in comments
        assert "2025" in comments
    changes = [line for line in text(name).splitlines() if "# CHANGE" in line and not line.startswith("#")]
    assert changes, "what is to be changed is marked where it stands"


def test_the_rayjob_has_the_parts_that_kuberay_reads() -> None:
    job = load("kuberay-rayjob.yaml")
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    spec = job["spec"]
    known = {
        "entrypoint",
        "submissionMode",
        "backoffLimit",
        "shutdownAfterJobFinishes",
        "ttlSecondsAfterFinished",
        "activeDeadlineSeconds",
    }
    assert set(spec) == known | {"rayClusterSpec"}
    # KubeRay's own rules (validation.go): a DNS label of at most 47 characters; time to live only after a shutdown.
    assert re.fullmatch(r"[a-z]([-a-z0-9]{0,45}[a-z0-9])?", job["metadata"]["name"])
    assert isinstance(spec["ttlSecondsAfterFinished"], int)
    assert spec["ttlSecondsAfterFinished"] >= 0
    assert spec["shutdownAfterJobFinishes"] is True, (
        "a new try would begin beside the cluster of the one before"
    )
    cluster = spec["rayClusterSpec"]
    assert cluster["rayVersion"] == pinned("ray")
    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["enableInTreeAutoscaling"] is True
    head, workers = cluster["headGroupSpec"], cluster["workerGroupSpecs"]
    assert head["serviceType"] == "ClusterIP"
    assert head["rayStartParams"]["num-cpus"] == "0"
    gpus = [group["template"]["spec"]["nodeSelector"] for group in workers]
    assert len(gpus) == len({tuple(selector.items()) for selector in gpus}) == 4
    for group in workers:
        assert (group["minReplicas"], group["replicas"]) == (0, 0)
        assert f"--concurrent {group['maxReplicas']}" in spec["entrypoint"]
    for group in (head, *workers):
        evicted = group["template"]["metadata"]["annotations"][
            "cluster-autoscaler.kubernetes.io/safe-to-evict"
        ]
        assert evicted == "false"
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        volumes = {volume["name"] for volume in pod["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes
        assert volumes == ({"results", "shm"} if group is head else {"shm"}), "the head alone has the results"
        assert container["image"] == "REGISTRY/distrecvae:0.2"
        assert container["resources"]["requests"] == container["resources"]["limits"]
    for option in re.findall(r"(?:--data|--out) (\S+)", spec["entrypoint"]):
        assert option.startswith("/results/")


def test_a_job_goes_on_by_itself_wherever_it_is_submitted() -> None:
    """Its entry point begins again what died; KubeRay begins a job again whose cluster died."""
    spec = load("kuberay-rayjob.yaml")["spec"]
    page = (ROOT / "docs/cluster.md").read_text(encoding="utf-8")
    (submitted,) = re.findall(r"ray job submit .*? -- \\\n((?:.*\\\n)*.*\n)", page)
    for entrypoint in (spec["entrypoint"], submitted.replace("\\\n", " ")):
        assert entrypoint.split()[:3] == ["python", "-m", "distrecvae.job"]
        assert re.search(r"--out /(results|home/ubuntu)/runs/", entrypoint), (
            "restarted, it must find its folder"
        )
        # Fails on what a search does not know.
        options = search.command.make_context("job", entrypoint.split()[3:]).params
        assert options["elastic"], "nodes that come and go"
    # Retries of the whole job, each with a new cluster. In InteractiveMode KubeRay refuses them; in K8sJobMode the end
    # of the pod that submits would cost one, too. `submitterConfig.backoffLimit` is another thing: of that pod alone.
    assert spec["submissionMode"] == "HTTPMode"
    assert isinstance(spec["backoffLimit"], int)
    assert spec["backoffLimit"] > 0
    assert "submitterConfig" not in spec
    assert spec["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["restartPolicy"] == "Never"


def test_python_ray_and_torch_are_the_packages_own_wherever_they_are_named() -> None:
    """A driver and workers of different versions do not understand each other."""
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    found = re.search(r"Python (3\.\d+)", constraints)
    assert found
    python = found[1]
    assert f"{python}.0" in SpecifierSet(project()["requires-python"])
    extras = project()["optional-dependencies"]
    for requirement in map(Requirement, [*project()["dependencies"], *extras["cluster"]]):
        if requirement.name in ("ray", "torch"):
            assert requirement.specifier.contains(pinned(requirement.name)), requirement
    (base,) = re.findall(r"^FROM python:(\d+\.\d+)-", text("Dockerfile"), re.MULTILINE)
    assert base == python
    assert "-c constraints.txt '.[cluster]'" in text("Dockerfile")
    named = "".join(text(name) for name in ("Dockerfile", *LAUNCHER, "kuberay-rayjob.yaml"))
    assert not re.search(r"\b(ray|torch)\s*[=<>~]=", named), "versions come from constraints.txt alone"
    for name in LAUNCHER:
        (version,) = re.findall(r"--python (3\.\d+)", text(name))
        assert version == python
        (install,) = (c for c in load(name)["setup_commands"] if "pip install" in c)
        assert "-c ~/distrecvae/constraints.txt" in install
        (asked,) = re.findall(r"distrecvae\[([a-z,]+)\]", install)
        assert set(asked.split(",")) <= set(extras)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (stated,) = re.findall(r"its PyTorch is (\d\S+\d)\.", readme)
    assert stated == pinned("torch")
    image = (ROOT / "distrecvae/__init__.py").read_text(encoding="utf-8")
    (release,) = re.findall(r'__version__ = "(\d+\.\d+)', image)
    for name in ("Dockerfile", "kuberay-rayjob.yaml"):
        assert set(re.findall(r"REGISTRY/distrecvae:(\S+)", text(name))) == {release}


def test_all_that_the_cluster_parts_bring_has_its_version() -> None:
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    versions = {canonicalize_name(line.split("==")[0]) for line in constraints.splitlines() if "==" in line}
    for requirement in map(Requirement, distribution("ray").requires or []):
        if requirement.marker is None or requirement.marker.evaluate({"extra": "default"}):
            assert canonicalize_name(requirement.name) in versions, requirement


def test_the_versions_that_are_installed_everywhere_allow_the_clouds_clients() -> None:
    # botocore, which `ray up` talks to AWS by, refuses dateutil 3: pinned beyond it, a head node cannot be set up.
    for package in ("boto3", "aiohttp", "opencensus"):
        pinned(package)
    assert int(pinned("python-dateutil").split(".")[0]) < 3


@pytest.mark.parametrize("name", ["iam-launcher.json", "iam-head.json"])
def test_the_doctor_has_nothing_to_say_of_them_and_the_docs_have_them(name: str) -> None:
    assert [finding for finding in examine_file(ROOT / "cluster" / name) if finding.remedy is not None] == []
    blocks = re.findall(
        r"```json\n(.*?)```", (ROOT / "docs/cluster.md").read_text(encoding="utf-8"), re.DOTALL
    )
    assert json.loads(text(name)) in map(json.loads, blocks)


def test_the_files_profile_is_the_policys_role() -> None:
    (line,) = re.findall(r"# (IamInstanceProfile: .*?)(?:  +#.*)?$", text("cluster.yaml"), re.MULTILINE)
    assert yaml.safe_load(line) == {"IamInstanceProfile": {"Name": "distrecvae-head"}}
    assert ":role/distrecvae-head" in text("iam-launcher.json")
