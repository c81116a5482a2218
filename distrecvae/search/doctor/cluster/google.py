"""Finds what is wrong with a launcher's file for Google Cloud, or for machines of one's own."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from distrecvae.search.doctor.cluster.commands import commands_of
from distrecvae.search.doctor.cluster.nodes import OLDER, NodeKind
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

EXTERNAL = "type: external, module: distrecvae.search.on_ray.google_cloud.GoogleCloud"
DISK_GB = 100
NEEDED = (
    "cluster_synced_files",
    "file_mounts_sync_continuously",
    "rsync_filter",
    "rsync_exclude",
    "initialization_commands",
)
"""What Ray has no defaults of for a provider that is not its own, and reads."""
PROVIDER_KEYS = frozenset(
    {
        "type", "module", "project_id", "region", "availability_zone", "cache_stopped_nodes", "gcp_credentials",
        "use_internal_ips", "disable_node_updaters", "max_workers",
    }
)  # fmt: skip
NODE_KEYS = frozenset(
    {
        "advancedMachineFeatures", "canIpForward", "confidentialInstanceConfig", "deletionProtection", "description",
        "disks", "guestAccelerators", "hostname", "labels", "machineType", "metadata", "minCpuPlatform",
        "networkInterfaces", "networkPerformanceConfig", "params", "privateIpv6GoogleAccess", "reservationAffinity",
        "resourcePolicies", "scheduling", "serviceAccounts", "shieldedInstanceConfig", "sourceInstanceTemplate", "tags",
    }
)  # fmt: skip
_GPU_FAMILY = re.compile(r"^(?:a2|a3|a4|g2|g4)-")


def google_kinds(content: dict[str, Any]) -> list[NodeKind]:
    """Return the kinds of nodes of a Google Cloud file."""
    kinds = []
    for name, node in mapping(content, "available_node_types").items():
        config = mapping(node, "node_config")
        accelerators = [text(a, "acceleratorType") for a in listed(config, "guestAccelerators")]
        machine = " ".join([text(config, "machineType"), *accelerators])
        scheduling = mapping(config, "scheduling")
        spot = scheduling.get("provisioningModel") == "SPOT" or scheduling.get("preemptible") is True
        kinds.append(
            NodeKind(name, mapping(node), machine, bool(accelerators or _GPU_FAMILY.match(machine)), spot)
        )
    return kinds


def of_google(content: dict[str, Any], kinds: list[NodeKind]) -> Iterator[Finding]:
    """Yield what is wrong with a Google Cloud file."""
    provider = mapping(content, "provider")
    yield from unknown_keys("schema", "provider", provider, PROVIDER_KEYS, "Ray's Google provider")
    if provider.get("type") == "gcp":
        yield wrong(
            "capacity",
            "provider.type",
            "gcp",
            "Ray's provider does not tell its autoscaler that a zone has none left, which then keeps asking",
            f"write {EXTERNAL}",
        )
    for key in NEEDED if provider.get("type") == "external" else ():
        if key not in content:
            yield wrong(
                "schema",
                key,
                None,
                "Ray has no default of it for an external provider, and stops",
                "write it, empty, as cluster/gcp.yaml has it",
            )
    if not text(provider, "project_id"):
        yield wrong(
            "zones",
            "provider.project_id",
            provider.get("project_id"),
            "machines belong to a project",
            "write yours: gcloud config get project",
        )
    yield from _of_zone(provider)
    if not re.fullmatch(r"[a-z](?:[-a-z0-9]{0,40}[a-z0-9])?", text(content, "cluster_name")):
        yield wrong(
            "schema",
            "cluster_name",
            content.get("cluster_name"),
            "Google takes small letters, digits and dashes, and it begins with a letter",
            "write such a name",
        )
    if dig(provider, "cache_stopped_nodes"):
        yield wrong(
            "costs",
            "provider.cache_stopped_nodes",
            True,
            "Ray then stops nodes instead of deleting them, and their disks cost without end",
            "write cache_stopped_nodes: false",
        )
    for kind in kinds:
        config = mapping(kind.node, "node_config")
        yield from unknown_keys("schema", f"{kind.where}.node_config", config, NODE_KEYS, "Compute Engine")
        yield from _of_machine(kind, config)
    commands = " ".join(command for _, command in commands_of(content))
    if not re.search(r"google-api-python-client|\[[\w,]*\bgcp\b[\w,]*\]", commands):
        yield lacking(
            "nodes",
            "setup_commands",
            "the part gcp",
            "the head asks Google for workers through its client, and nothing installs it",
            "install the package with its part gcp: distrecvae[cluster,gcp]",
        )


def _of_zone(provider: dict[str, Any]) -> Iterator[Finding]:
    region, zone = text(provider, "region"), text(provider, "availability_zone")
    if not re.fullmatch(r"[a-z]+-[a-z]+\d", region):
        yield wrong(
            "zones", "provider.region", region or None, "a region is written as us-central1", "write one"
        )
    elif "," in zone:
        yield wrong(
            "zones",
            "provider.availability_zone",
            zone,
            "Ray takes one zone of Google Cloud, and no list",
            f"write {region}-a, or another that has the GPUs",
        )
    elif not re.fullmatch(rf"{re.escape(region)}-[a-z]", zone):
        yield wrong(
            "zones",
            "provider.availability_zone",
            zone or None,
            f"it is not in {region}",
            f"write {region}-a, or another that has the GPUs",
        )


def _of_machine(kind: NodeKind, config: dict[str, Any]) -> Iterator[Finding]:
    where = f"{kind.where}.node_config"
    if not kind.machine.strip():
        yield wrong(
            "nodes",
            f"{where}.machineType",
            config.get("machineType"),
            "it says what machine it is",
            "write g2-standard-4 for one L4",
        )
    if kind.has_gpu and not number(kind.node, "resources", "GPU"):
        yield wrong(
            "nodes",
            f"{kind.where}.resources",
            kind.node.get("resources"),
            "Ray does not ask Google what a machine has: it would never be asked for",
            "write resources: {CPU: 4, GPU: 1}",
        )
    if not kind.has_gpu and number(kind.node, "resources", "GPU"):
        yield wrong(
            "nodes",
            f"{kind.where}.resources",
            kind.node.get("resources"),
            f"a {kind.machine} has no GPU",
            "write guestAccelerators, or take a g2 machine",
        )
    scheduling = mapping(config, "scheduling")
    if kind.has_gpu and scheduling.get("onHostMaintenance") != "TERMINATE":
        yield wrong(
            "nodes",
            f"{where}.scheduling.onHostMaintenance",
            scheduling.get("onHostMaintenance"),
            "a machine with a GPU cannot be moved, and Google refuses to make it",
            "write onHostMaintenance: TERMINATE",
        )
    if kind.is_spot and scheduling.get("automaticRestart") is not False:
        yield wrong(
            "spot",
            f"{where}.scheduling.automaticRestart",
            scheduling.get("automaticRestart"),
            "Google refuses it for a spot machine",
            "write automaticRestart: false",
        )
    disks = [mapping(disk, "initializeParams") for disk in listed(config, "disks")]
    sizes = [size for disk in disks if (size := number(disk, "diskSizeGb")) is not None]
    if not sizes or max(sizes) < DISK_GB:
        yield wrong(
            "nodes",
            f"{where}.disks",
            max(sizes, default=None),
            f"the image and PyTorch need a disk of {DISK_GB} GB",
            "write diskSizeGb: 200",
        )
    for disk in disks:
        image = text(disk, "sourceImage")
        if not image or (kind.has_gpu and not re.search(r"nvidia|cu\d|deeplearning", image)):
            yield wrong(
                "images",
                f"{where}.disks.initializeParams.sourceImage",
                image or None,
                "a node with a GPU needs NVIDIA's driver in its image",
                "take a family ubuntu-accelerator-...-with-nvidia-...",
            )


def of_local(content: dict[str, Any]) -> Iterator[Finding]:
    """Yield what is wrong with a file for machines of one's own."""
    provider = mapping(content, "provider")
    head, workers = text(provider, "head_ip"), listed(provider, "worker_ips")
    if not head:
        yield wrong(
            "nodes",
            "provider.head_ip",
            provider.get("head_ip"),
            "the head is one of your machines",
            "write its address, as the workers see it",
        )
    if not workers:
        yield wrong(
            "nodes",
            "provider.worker_ips",
            provider.get("worker_ips"),
            "no worker is listed, and none is started",
            "write the workers' addresses",
        )
    for address, times in Counter(str(a) for a in [head, *workers] if a).items():
        if times > 1:
            yield wrong(
                "nodes",
                "provider.worker_ips",
                address,
                "it is listed twice: one Ray a machine",
                "take one of them out",
            )
        if address.startswith("127.") or address == "localhost":
            yield wrong(
                "nodes",
                "provider.head_ip",
                address,
                "the other machines find themselves there",
                "write the address in your network",
            )
    if "available_node_types" in content:
        yield wrong(
            "nodes",
            "available_node_types",
            list(mapping(content, "available_node_types")),
            "machines of your own are of one kind, and Ray refuses the file",
            "take it out",
        )
    start = " ".join(c for c in listed(content, "head_start_ray_commands") if isinstance(c, str))
    if OLDER not in start:
        yield lacking(
            "nodes",
            "head_start_ray_commands",
            OLDER,
            "Ray 2.60's newer autoscaler starts one of the listed workers only",
            f"add {OLDER} before `ray start`",
        )
    if not text(content, "auth", "ssh_user"):
        yield wrong(
            "access",
            "auth.ssh_user",
            dig(content, "auth", "ssh_user"),
            "`ray up` reaches the machines by ssh",
            "write the user's name",
        )
