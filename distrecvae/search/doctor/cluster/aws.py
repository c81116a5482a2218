"""Finds what is wrong with a launcher's file for AWS: zones, images, machines, spot, roles, ports."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from distrecvae.search.doctor.cluster.aws_access import of_access, of_spot
from distrecvae.search.doctor.cluster.commands import commands_of
from distrecvae.search.doctor.cluster.nodes import NodeKind
from distrecvae.search.doctor.cluster.tree import (
    dig,
    lacking,
    listed,
    mapping,
    number,
    text,
    unknown_keys,
    wrong,
)
from distrecvae.search.doctor.finding import Finding

DISK_GB = 100
"""The image with NVIDIA's driver and the package with PyTorch's CUDA libraries take two thirds of it."""
PROVIDER_KEYS = frozenset(
    {
        "type", "region", "availability_zone", "cache_stopped_nodes", "key_pair", "use_internal_ips", "security_group",
        "aws_credentials", "cloudwatch", "disable_node_updaters", "max_workers",
    }
)  # fmt: skip
NODE_KEYS = frozenset(
    {
        "BlockDeviceMappings", "CapacityReservationSpecification", "CpuOptions", "CreditSpecification",
        "DisableApiTermination", "EbsOptimized", "EnclaveOptions", "HibernationOptions", "IamInstanceProfile",
        "ImageId", "InstanceInitiatedShutdownBehavior", "InstanceMarketOptions", "InstanceType", "KernelId", "KeyName",
        "LaunchTemplate", "LicenseSpecifications", "MaintenanceOptions", "MetadataOptions", "Monitoring",
        "NetworkInterfaces", "Placement", "PrivateDnsNameOptions", "RamdiskId", "SecurityGroupIds", "SecurityGroups",
        "SubnetId", "SubnetIds", "TagSpecifications", "UserData",
    }
)  # fmt: skip
_GPU_FAMILY = re.compile(r"^(?:p|g)\d")
_ARM = re.compile(r"^[a-z]+\d+g[a-z]*\.")
_GPUS = {"12xlarge": 4, "24xlarge": 4, "48xlarge": 8}
_IMAGE = re.compile(r"^ami-(?:[0-9a-f]{8}|[0-9a-f]{17}|CHANGE)$")


def aws_kinds(content: dict[str, Any]) -> list[NodeKind]:
    """Return the kinds of nodes of an AWS file."""
    kinds = []
    for name, node in mapping(content, "available_node_types").items():
        machine = text(node, "node_config", "InstanceType")
        spot = text(node, "node_config", "InstanceMarketOptions", "MarketType") == "spot"
        kinds.append(NodeKind(name, mapping(node), machine, bool(_GPU_FAMILY.match(machine)), spot))
    return kinds


def of_aws(content: dict[str, Any], kinds: list[NodeKind], written: str) -> Iterator[Finding]:
    """Yield what is wrong with an AWS file; `written` is its text, comments included."""
    yield from unknown_keys(
        "schema", "provider", mapping(content, "provider"), PROVIDER_KEYS, "Ray's AWS provider"
    )
    for kind in kinds:
        config = mapping(kind.node, "node_config")
        yield from unknown_keys("schema", f"{kind.where}.node_config", config, NODE_KEYS, "RunInstances")
        yield from _of_machine(kind, config)
    yield from _of_zones(content)
    yield from _of_images(content, kinds)
    yield from of_spot(kinds, written)
    yield from of_access(content, kinds)
    if dig(content, "provider", "cache_stopped_nodes") is not False:
        yield wrong(
            "costs",
            "provider.cache_stopped_nodes",
            dig(content, "provider", "cache_stopped_nodes"),
            "Ray then stops nodes instead of ending them, and their disks cost without end",
            "write cache_stopped_nodes: false",
        )
    commands = " ".join(command for _, command in commands_of(content))
    if "head_setup_commands" in content and not re.search(r"boto3|\[[\w,]*\baws\b[\w,]*\]", commands):
        yield lacking(
            "nodes",
            "head_setup_commands",
            "the part aws",
            "the head asks AWS for workers through boto3, and nothing installs it",
            "install the package with its part aws: distrecvae[cluster,aws]",
        )


def _of_zones(content: dict[str, Any]) -> Iterator[Finding]:
    region, given = text(content, "provider", "region"), dig(content, "provider", "availability_zone")
    if not re.fullmatch(r"[a-z]{2}(?:-[a-z]+)+-\d", region):
        yield wrong(
            "zones",
            "provider.region",
            region or None,
            "a region is written as us-west-2",
            "write the one that your image is of",
        )
        return
    zones = [zone.strip() for zone in given.split(",")] if isinstance(given, str) else []
    for zone in zones:
        if not zone.startswith(region):
            yield wrong(
                "zones",
                "provider.availability_zone",
                zone,
                f"it is not in {region}",
                f"write {region}a,{region}b,{region}c",
            )
    if given is not None and len(set(zones)) < 2:
        yield wrong(
            "zones",
            "provider.availability_zone",
            given,
            "with one zone a search waits while that one has no capacity",
            f"name several: {region}a,{region}b,{region}c",
        )


def _of_images(content: dict[str, Any], kinds: list[NodeKind]) -> Iterator[Finding]:
    region, of = text(content, "provider", "region"), text(content, "metadata", "image_region")
    if of and region and of != region:
        yield wrong(
            "images",
            "metadata.image_region",
            of,
            f"the nodes are in {region}, and an image is of one region",
            f"look the image up in {region} (docs/cluster.md), and write both",
        )
    images: dict[str, list[NodeKind]] = {}
    for kind in kinds:
        image = dig(kind.node, "node_config", "ImageId")
        where = f"{kind.where}.node_config.ImageId"
        if image is None:
            yield wrong(
                "images",
                where,
                None,
                "Ray would take an Ubuntu 18.04 with CUDA 11",
                "write the image of the others; docs/cluster.md finds it",
            )
        elif not isinstance(image, str) or not _IMAGE.match(image):
            yield wrong(
                "images",
                where,
                image,
                "an image is written as ami- and 17 hexadecimal digits",
                "docs/cluster.md has the command that finds it",
            )
        else:
            images.setdefault(image, []).append(kind)
    for same in images.values():
        arm = sorted(kind.name for kind in same if _ARM.match(kind.machine))
        if arm and len(arm) < len(same):
            yield wrong(
                "images",
                f"available_node_types.{arm[0]}.node_config.InstanceType",
                next(k.machine for k in same if k.name == arm[0]),
                "it has ARM cores, and its image is of x86 machines, too",
                "take a type without the g after its number (g5, not g5g)",
            )
    if len(images) > 1:
        yield wrong(
            "images",
            "available_node_types",
            ", ".join(images),
            "head and workers from different images have different drivers and libraries",
            "name one image for all (&image, *image)",
        )


def _of_machine(kind: NodeKind, config: dict[str, Any]) -> Iterator[Finding]:
    if not re.fullmatch(r"[a-z][\w-]*\.[\w-]+", kind.machine):
        yield wrong(
            "nodes",
            f"{kind.where}.node_config.InstanceType",
            config.get("InstanceType"),
            "a type is written as g5.xlarge",
            "write one",
        )
    asked, has = number(kind.node, "resources", "GPU"), _GPUS.get(kind.machine.partition(".")[2], 1)
    if asked is not None and asked > (has if kind.has_gpu else 0):
        yield wrong(
            "nodes",
            f"{kind.where}.resources.GPU",
            asked,
            f"a {kind.machine} has {has if kind.has_gpu else 0}: trials would wait for GPUs that never come",
            "write resources: {}: Ray asks AWS",
        )
    sizes = [number(disk, "Ebs", "VolumeSize") for disk in listed(config, "BlockDeviceMappings")]
    known = [size for size in sizes if size is not None]
    if not known or max(known) < DISK_GB:
        yield wrong(
            "nodes",
            f"{kind.where}.node_config.BlockDeviceMappings",
            max(known, default=None),
            f"the image and PyTorch need a disk of {DISK_GB} GB",
            "write VolumeSize: 200, VolumeType: gp3",
        )
