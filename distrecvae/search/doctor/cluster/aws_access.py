"""What AWS lets nodes do and who reaches them: spot's own role, instance profiles, keys, security groups."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from distrecvae.search.doctor.cluster.commands import commands_of
from distrecvae.search.doctor.cluster.nodes import NodeKind
from distrecvae.search.doctor.cluster.tree import dig, listed, mapping, number, text, wrong
from distrecvae.search.doctor.finding import Finding

SPOT_ROLE = "AWSServiceRoleForEC2Spot"


def of_spot(kinds: list[NodeKind], written: str) -> Iterator[Finding]:
    """Yield what is wrong with spot nodes; `written` is the file's text, comments included."""
    spot = [kind for kind in kinds if kind.is_spot]
    for kind in spot:
        options = mapping(kind.node, "node_config", "InstanceMarketOptions", "SpotOptions")
        for key, rule in (("SpotInstanceType", "one-time"), ("InstanceInterruptionBehavior", "terminate")):
            if options.get(key) not in (None, rule):
                yield wrong(
                    "spot",
                    f"{kind.where}.node_config.InstanceMarketOptions.SpotOptions.{key}",
                    options[key],
                    "AWS would bring the node back by itself, which Ray does not know and nothing ends",
                    f"write {rule}, or take it out",
                )
        if options.get("MaxPrice") is not None:
            yield wrong(
                "spot",
                f"{kind.where}.node_config.InstanceMarketOptions.SpotOptions.MaxPrice",
                options["MaxPrice"],
                "a limit below the day's price gets no nodes, and the price never exceeds that on demand",
                "take it out",
            )
    if spot and SPOT_ROLE not in written:
        yield wrong(
            "spot",
            f"{spot[0].where}.node_config.InstanceMarketOptions",
            "spot",
            f"an account that never had spot nodes lacks the service-linked role {SPOT_ROLE}",
            "make it once (aws iam create-service-linked-role --aws-service-name spot.amazonaws.com), and name it in a"
            " comment of this file",
        )


def of_access(content: dict[str, Any], kinds: list[NodeKind]) -> Iterator[Finding]:
    """Yield what is wrong with the nodes' profiles, keys and security groups."""
    yield from _of_profiles(content, kinds)
    yield from _of_ports(content, kinds)


def _of_profiles(content: dict[str, Any], kinds: list[NodeKind]) -> Iterator[Finding]:
    head = text(content, "head_node_type")
    profiles = {kind.name: dig(kind.node, "node_config", "IamInstanceProfile") for kind in kinds}
    for kind in kinds:
        profile, where = profiles[kind.name], f"{kind.where}.node_config.IamInstanceProfile"
        if profile is None:
            continue
        arn = text(profile, "Arn")
        if ":role/" in arn:
            yield wrong(
                "roles",
                where,
                arn,
                "a node is given an instance profile, not a role (iam:PassRole is on the role)",
                "write Arn: arn:aws:iam::ACCOUNT:instance-profile/NAME, or Name: NAME",
            )
        elif not arn and not text(profile, "Name"):
            yield wrong(
                "roles", where, profile, "it has a Name or an Arn", "write IamInstanceProfile: {Name: NAME}"
            )
        if kind.name != head and profiles.get(head) is None:
            yield wrong(
                "roles",
                where,
                arn or text(profile, "Name"),
                "the head's role, which Ray makes, may not pass it on (iam:PassRole): no worker would start",
                "give the head a profile of its own whose role may; cluster/iam-head.json",
            )
    reads = [
        where
        for where, command in commands_of(content)
        if re.search(r"\baws\s+(?:s3|ecr)\b|s3://", command) and not where.startswith("head_")
    ]
    bare = [kind for kind in kinds if kind.name != head and profiles[kind.name] is None]
    if reads and bare:
        yield wrong(
            "roles",
            f"{bare[0].where}.node_config.IamInstanceProfile",
            None,
            f"{reads[0]} asks AWS, and a worker without an instance profile has no identity there",
            "give the workers one (and the head's role iam:PassRole on its role)",
        )


def _of_ports(content: dict[str, Any], kinds: list[NodeKind]) -> Iterator[Finding]:
    if text(content, "auth", "ssh_private_key"):
        for kind in kinds:
            if "KeyName" not in mapping(kind.node, "node_config") and "UserData" not in mapping(
                kind.node, "node_config"
            ):
                yield wrong(
                    "access",
                    f"{kind.where}.node_config.KeyName",
                    None,
                    "with auth.ssh_private_key Ray asks for the name of its key pair",
                    "write KeyName, or take ssh_private_key out: Ray makes a pair",
                )
                break
    grouped = [kind.name for kind in kinds if "SecurityGroupIds" in mapping(kind.node, "node_config")]
    if grouped and len(grouped) < len(kinds):
        yield wrong(
            "access",
            f"available_node_types.{grouped[0]}.node_config.SecurityGroupIds",
            grouped,
            "the other kinds get a group that Ray makes, and the two cannot reach each other",
            "name it for all kinds, or for none",
        )
    for i, rule in enumerate(listed(content, "provider", "security_group", "IpPermissions")):
        ranges = [
            text(r, key)
            for which, key in (("IpRanges", "CidrIp"), ("Ipv6Ranges", "CidrIpv6"))
            for r in listed(rule, which)
        ]
        if (
            any(r.endswith("/0") for r in ranges)
            and not number(rule, "FromPort") == number(rule, "ToPort") == 22
        ):
            ports = f"{dig(rule, 'FromPort')}-{dig(rule, 'ToPort')}"
            yield wrong(
                "ports",
                f"provider.security_group.IpPermissions[{i}]",
                ports,
                "Ray's ports would be open to the world",
                "take it out: `ray dashboard` and `ray attach` go through ssh",
            )
