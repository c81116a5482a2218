"""AWS's kinds of nodes as a file has them; what is wrong is planted in copies of our file (planted.yaml)."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from distrecvae.search.doctor.cluster.aws import NODE_KEYS, aws_kinds, of_aws
from tests import ROOT


def ours() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "cluster/cluster.yaml").read_text(encoding="utf-8")))


def test_kinds_are_read_from_our_file() -> None:
    assert [(kind.name, kind.machine, kind.has_gpu, kind.is_spot) for kind in aws_kinds(ours())] == [
        ("head", "m5.xlarge", False, False),
        ("gpu-1-g6-spot", "g6.xlarge", True, True),
        ("gpu-2-g5-spot", "g5.xlarge", True, True),
        ("gpu-3-g6-on-demand", "g6.xlarge", True, False),
        ("gpu-4-g5-on-demand", "g5.xlarge", True, False),
    ]


@pytest.mark.parametrize(
    ("machine", "has_gpu"),
    [("p5.48xlarge", True), ("g4dn.xlarge", True), ("m7g.large", False), ("t3.large", False)],
)
def test_what_has_a_gpu(machine: str, has_gpu: bool) -> None:
    (kind,) = aws_kinds({"available_node_types": {"a": {"node_config": {"InstanceType": machine}}}})
    assert kind.has_gpu is has_gpu


def test_a_region_without_zones_has_all_of_them() -> None:
    content = ours()
    del content["provider"]["availability_zone"]
    assert list(of_aws(content, aws_kinds(content), "AWSServiceRoleForEC2Spot")) == []


def test_the_keys_of_a_node_are_those_of_rays_call() -> None:
    model = pytest.importorskip("botocore.session", reason="needs boto3 (pip install '.[aws]')")
    asked = model.get_session().get_service_model("ec2").operation_model("RunInstances").input_shape.members
    # SubnetIds is Ray's own; the counts and the network's parts are what it fills in.
    ours_alone = {"MinCount", "MaxCount", "ClientToken", "DryRun", "AdditionalInfo", "PrivateIpAddress"}
    assert NODE_KEYS - {"SubnetIds"} <= set(asked)
    missing = {key for key in set(asked) - NODE_KEYS - ours_alone if not key.startswith(("Ipv6", "Elastic"))}
    assert len(missing) <= 6, missing
