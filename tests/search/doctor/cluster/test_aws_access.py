"""What AWS lets nodes do, and who reaches them: profiles that are right say nothing; the rest is in planted.yaml."""

from __future__ import annotations

from typing import Any

import pytest

from distrecvae.search.doctor.cluster.aws import aws_kinds
from distrecvae.search.doctor.cluster.aws_access import SPOT_ROLE, of_access, of_spot

PROFILE = {"IamInstanceProfile": {"Name": "head"}}


def content(head: dict[str, Any], worker: dict[str, Any], **more: Any) -> dict[str, Any]:
    kinds = {"head": {"node_config": head}, "gpu": {"node_config": worker}}
    return {"head_node_type": "head", "available_node_types": kinds, **more}


def test_profiles_that_are_right() -> None:
    arn = {"IamInstanceProfile": {"Arn": "arn:aws:iam::123456789012:instance-profile/head"}}
    reads = {"setup_commands": ["aws s3 cp s3://a/b /c"]}
    for file in (
        content({}, {}),
        content(PROFILE, {}),
        content(arn, PROFILE),
        content(PROFILE, PROFILE, **reads),
    ):
        assert list(of_access(file, aws_kinds(file))) == []


def test_what_only_the_head_asks_needs_no_profile_of_workers() -> None:
    file = content({}, {}, head_setup_commands=["aws s3 cp s3://a/b /c"])
    assert list(of_access(file, aws_kinds(file))) == []


@pytest.mark.parametrize(
    ("rule", "n_wrong"),
    [
        ({"FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}, 0),
        ({"FromPort": 6379, "ToPort": 6379, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}, 0),
        ({"FromPort": 6379, "ToPort": 6379, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}, 1),
        ({"FromPort": 0, "ToPort": 65535, "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}, 1),
    ],
)
def test_ports_that_the_world_may_reach(rule: dict[str, Any], n_wrong: int) -> None:
    file = content({}, {}, provider={"security_group": {"IpPermissions": [rule]}})
    assert len(list(of_access(file, aws_kinds(file)))) == n_wrong


def test_without_spot_its_role_is_not_needed() -> None:
    spot = {"InstanceMarketOptions": {"MarketType": "spot", "SpotOptions": {"SpotInstanceType": "one-time"}}}
    assert list(of_spot(aws_kinds(content({}, {})), "")) == []
    assert list(of_spot(aws_kinds(content({}, spot)), f"# {SPOT_ROLE}")) == []
    assert len(list(of_spot(aws_kinds(content({}, spot)), ""))) == 1
