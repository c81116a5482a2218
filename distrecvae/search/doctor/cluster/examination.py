"""The examination of a cluster's file: all that can be seen without an account, a network or a cluster."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distrecvae.search.doctor.cluster.aws import aws_kinds, of_aws
from distrecvae.search.doctor.cluster.commands import of_commands
from distrecvae.search.doctor.cluster.google import google_kinds, of_google, of_local
from distrecvae.search.doctor.cluster.kuberay import of_kuberay
from distrecvae.search.doctor.cluster.nodes import of_nodes
from distrecvae.search.doctor.cluster.policy import of_policy
from distrecvae.search.doctor.cluster.reading import ClusterFile, Kind, read_cluster_file
from distrecvae.search.doctor.cluster.schema import against_the_schema
from distrecvae.search.doctor.cluster.tree import folded, mapping, text, wrong
from distrecvae.search.doctor.finding import Finding

PROVIDERS = ("aws", "gcp", "local", "external")
"""Clouds that this package has files for: of others Ray's schema and what all have in common is looked at."""


def examine_file(path: Path) -> Iterator[Finding]:
    """Yield what is wrong with a cluster's file, and last what it is.

    Raises:
        ConfigError: it cannot be read, or is no cluster's file.
        ResourceError: Ray, whose schema is looked at, is not installed.
    """
    file = read_cluster_file(path)
    match file.kind:
        case Kind.POLICY:
            found = of_policy(file.content)
        case Kind.KUBERAY:
            found = of_kuberay(file.content)
        case Kind.LAUNCHER:
            found = _of_launcher(file)
    yield from folded(found)
    yield Finding("file", f"{path} is of {file.kind}{_to_fill_in(file)}")


def _of_launcher(file: ClusterFile) -> Iterator[Finding]:
    content = file.content
    yield from against_the_schema(content)
    kind = text(content, "provider", "type")
    if kind == "local":
        yield from of_local(content)
    else:
        yield from _of_cloud(content, kind, file.written)
    yield from of_commands(content, file.path.parent)


def _of_cloud(content: dict[str, Any], kind: str, written: str) -> Iterator[Finding]:
    if not mapping(content, "available_node_types"):
        yield wrong(
            "nodes",
            "available_node_types",
            content.get("available_node_types"),
            "Ray would take its own, of one small machine without a GPU",
            "write them, as cluster/cluster.yaml has them",
        )
        return
    if kind == "aws":
        kinds = aws_kinds(content)
        yield from of_aws(content, kinds, written)
    elif kind == "gcp" or "google_cloud" in text(content, "provider", "module"):
        kinds = google_kinds(content)
        yield from of_google(content, kinds)
    else:
        return
    yield from of_nodes(content, kinds)


def _to_fill_in(file: ClusterFile) -> str:
    """Return what still has to be changed in one of this package's files, in words."""
    lines = (line.partition("#") for line in file.written.splitlines())
    left = [
        number
        for number, (value, _, _) in enumerate(lines, 1)
        if re.search(r"\bCHANGE\b|\bREGISTRY/|\b192\.0\.2\.\d", value)
    ]
    return f"; to fill in: line {', '.join(map(str, left))}" if left else ""
