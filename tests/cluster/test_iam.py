"""The smallest policies: `ray up`, a search, `ray down` on an AWS of this machine, and not one call outside them.

Ray's own code makes the calls. Each is judged before it is sent, by the policy of whoever makes it.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.autoscaler._private import commands
from ray.autoscaler._private.autoscaler import StandardAutoscaler
from ray.autoscaler._private.load_metrics import LoadMetrics
from ray.autoscaler._private.providers import _clear_provider_cache
from ray.core.generated import gcs_pb2

from tests import ROOT
from tests.cluster.policies import REGION, ForbiddenError, Policy, needed_by

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    # Of Ray and moto: files that `ray up` leaves to the collector, older calls of Python.
    pytest.mark.filterwarnings(
        "ignore::DeprecationWarning",
        "ignore::ResourceWarning",
        "ignore::pytest.PytestUnraisableExceptionWarning",
    ),
]
moto = pytest.importorskip("moto", reason="needs moto (pip install '.[cluster-test]')")

PROFILE = "distrecvae-head"
NOT_OF_RAY = {"ssm:GetParameter"}
"""What docs/cluster.md has people type, to find the image."""


class NoUpdater:
    """Ray's way to set a node up by ssh, which asks AWS nothing but the node's tags."""

    exitcode = 0

    def __init__(self, *, node_id: str, provider: Any, **_: Any) -> None:
        self.node_id, self.provider = node_id, provider

    def start(self) -> None:
        self.provider.set_node_tags(self.node_id, {"ray-node-status": "up-to-date"})

    def join(self) -> None:
        pass


class Judge:
    """Whoever calls AWS, and by which policy; None where it is the account's owner."""

    def __init__(self) -> None:
        self.policy: Policy | None = None

    def __call__(self, model: Any, params: dict[str, Any], **_: Any) -> None:
        """Judge a call before it is sent."""
        if (policy := self.policy) is None:
            return
        self.policy = None  # what is looked up for the judgement is nobody's call
        service = model.service_model.service_name
        try:
            if service != "ec2":
                policy.require(f"{service}:{model.name}", "*", {})
                return
            for action, resource, about in needed_by(model.name, self._call(params), tags_of_instances()):
                policy.require(action, resource, about)
        finally:
            self.policy = policy

    @contextmanager
    def judging(self, policy: Policy) -> Iterator[Policy]:
        """Judge by this policy."""
        self.policy = policy
        try:
            yield policy
        finally:
            self.policy = None

    @staticmethod
    def _call(params: dict[str, Any]) -> dict[str, Any]:
        """Return what a call asks for, of the flat form in which EC2 is sent it."""
        body: dict[str, Any] = params["body"]
        call: dict[str, Any] = {}
        for plural, flat in (("InstanceIds", "InstanceId"), ("Resources", "ResourceId")):
            if found := [v for k, v in body.items() if re.fullmatch(rf"{flat}\.\d+", k)]:
                call[plural] = found
        if any(key.startswith("TagSpecification") for key in body):
            call["TagSpecifications"] = True
        profile = {k.rpartition(".")[2]: v for k, v in body.items() if k.startswith("IamInstanceProfile.")}
        return {**call, "IamInstanceProfile": profile} if profile else call


def tags_of_instances() -> dict[str, dict[str, str]]:
    import boto3

    found = boto3.client("ec2", region_name=REGION).describe_instances()["Reservations"]
    return {
        instance["InstanceId"]: {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
        for reservation in found
        for instance in reservation["Instances"]
    }


@pytest.fixture
def judge(aws: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Judge]:
    import boto3
    from ray.autoscaler._private.aws import config as aws_config
    from ray.autoscaler._private.aws import utils

    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: sleep(min(seconds, 0.05)))  # it waits for a real IAM
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))  # Ray keeps what it found out of a file there
    monkeypatch.setattr(commands, "NodeUpdaterThread", NoUpdater)
    monkeypatch.setattr(commands, "exec_cluster", lambda *_, **__: None)  # `ray stop`, by ssh
    for cache in (utils.resource_cache, utils.client_cache, aws_config._get_subnets_or_die):
        cache.cache_clear()
    _clear_provider_cache()
    judging = Judge()
    with moto.mock_aws():
        boto3.setup_default_session()
        boto3.DEFAULT_SESSION.events.register("before-call", judging)
        yield judging
    boto3.DEFAULT_SESSION = None
    for cache in (utils.resource_cache, utils.client_cache, aws_config._get_subnets_or_die):
        cache.cache_clear()
    _clear_provider_cache()


def cluster_file(folder: Path, *, with_profile: bool) -> Path:
    """Write cluster/cluster.yaml with the values that a person would change, and the head's profile."""
    import boto3

    image = boto3.client("ec2", region_name=REGION).describe_images()["Images"][0]["ImageId"]
    text = (ROOT / "cluster/cluster.yaml").read_text(encoding="utf-8").replace("ami-CHANGE", image)
    if with_profile:
        text, times = re.subn(
            r"^      # (IamInstanceProfile: .*?)(?:  +#.*)?$", r"      \1", text, flags=re.MULTILINE
        )
        assert times == 1
        iam = boto3.client("iam", region_name=REGION)
        trust = json.dumps({"Version": "2012-10-17", "Statement": []})
        iam.create_role(RoleName=PROFILE, AssumeRolePolicyDocument=trust)
        iam.create_instance_profile(InstanceProfileName=PROFILE)
        iam.add_role_to_instance_profile(InstanceProfileName=PROFILE, RoleName=PROFILE)
    (folder / ".ray").mkdir()
    (folder / ".ray" / "auth_token").touch()
    (folder / "mine.yaml").write_text(text, encoding="utf-8")
    return folder / "mine.yaml"


def search_on(config: dict[str, Any]) -> None:
    """Let the head's autoscaler bring nodes for a search, and give them back when it is over."""
    config["provider"] |= {"disable_node_updaters": True, "foreground_node_launch": True}
    for kind in config["available_node_types"].values():
        kind["resources"].pop("memory", None)  # what a node has beside is not asked for here
    load = LoadMetrics()
    client = SimpleNamespace(drain_nodes=lambda nodes: nodes)
    autoscaler = StandardAutoscaler(lambda: config, load, client, update_interval_s=0)
    group = gcs_pb2.PlacementGroupTableData(
        bundles=[{"unit_resources": {"CPU": 1.0, "GPU": 1.0}}],
        state=gcs_pb2.PlacementGroupTableData.PENDING,
    )
    provider = autoscaler.provider
    workers: list[str] = []
    # Asked for several nodes moto makes one: one a round. Then all are busy; then the search is over.
    for n_waiting, idle_s, n_workers in ((2, 0.0, 1), (1, 0.0, 2), (0, 0.0, 2), (0, 3600.0, 0)):
        for node in provider.non_terminated_nodes({}):
            has = {"CPU": 4.0, "GPU": 1.0} if node in workers else {}
            ip = provider.internal_ip(node)
            load.update(ip, node.encode(), has, {}, idle_s, pending_placement_groups=[group] * n_waiting)
        autoscaler.update()
        workers = provider.non_terminated_nodes({"ray-node-type": "worker"})
        assert len(workers) == n_workers
        for worker in workers:
            provider.set_node_tags(
                worker, {"ray-node-status": "up-to-date"}
            )  # as Ray does once it has set one up


def test_up_a_search_and_down_need_what_the_policies_allow_and_nothing_less(
    judge: Judge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTOSCALER_UTILIZATION_SCORER", "distrecvae.search.on_ray.capacity.score")
    path = cluster_file(tmp_path, with_profile=True)
    launcher, head = Policy("iam-launcher.json"), Policy("iam-head.json")
    with judge.judging(launcher):
        config = commands.create_or_update_cluster(
            str(path), None, None, False, False, True, no_config_cache=True
        )
    assert [tags["ray-user-node-type"] for tags in tags_of_instances().values()] == ["head"]
    with judge.judging(head):
        search_on(config)
    with judge.judging(launcher):
        commands.create_or_update_cluster(str(path), None, None, False, False, True)
        commands.teardown_cluster(str(path), True, False, None, False)
    assert launcher.used == launcher.actions - NOT_OF_RAY, "the smallest has nothing that is not needed"
    assert head.used == head.actions


def test_without_the_heads_profile_ray_makes_a_role_and_the_policy_does_not_allow_it(
    judge: Judge, tmp_path: Path
) -> None:
    path = cluster_file(tmp_path, with_profile=False)
    with judge.judging(Policy("iam-launcher.json")), pytest.raises(ForbiddenError, match="iam:"):
        commands.create_or_update_cluster(str(path), None, None, False, False, True, no_config_cache=True)


def test_another_clusters_nodes_are_not_ended(judge: Judge, tmp_path: Path) -> None:
    import boto3

    ec2 = boto3.client("ec2", region_name=REGION)
    image = ec2.describe_images()["Images"][0]["ImageId"]
    (other,) = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"]
    for policy in ("iam-launcher.json", "iam-head.json"):
        with judge.judging(Policy(policy)), pytest.raises(ForbiddenError, match="ec2:TerminateInstances"):
            ec2.terminate_instances(InstanceIds=[other["InstanceId"]])
