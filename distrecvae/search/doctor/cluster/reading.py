"""How a cluster's file is read: small, YAML or JSON, nothing in it run; and what it is a file of."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from distrecvae.errors import ConfigError
from distrecvae.regular import read_regular
from distrecvae.typed import MisfitError, yaml_value
from distrecvae.words import first_line

LARGEST_BYTES = 1 << 20
"""Cluster files have a few kilobytes: what is larger is something else."""


class Kind(StrEnum):
    """What a file is of."""

    LAUNCHER = "Ray's cluster launcher"
    KUBERAY = "KubeRay"
    POLICY = "an IAM policy"


class ClusterFile(NamedTuple):
    """A cluster's file.

    Attributes:
        path: where it lies.
        written: its text, comments included.
        content: what it holds.
        kind: what it is of.
    """

    path: Path
    written: str
    content: dict[str, Any]
    kind: Kind


def read_cluster_file(path: Path) -> ClusterFile:
    """Return what a file holds; of several documents in it, the one that makes a cluster.

    Raises:
        ConfigError: it cannot be read, is too large, not YAML, or no cluster's file.
    """
    written = _text_of(path)
    try:
        documents = _documents(written)
    except (yaml.YAMLError, MisfitError) as error:
        raise ConfigError(f"{path}: is not YAML ({first_line(error)}); mend what stands there") from error
    for content in documents:
        if isinstance(content, dict):
            kind = _kind_of(content)
            if kind is not None:
                return ClusterFile(path, written, content, kind)
    raise ConfigError(
        f"{path}: makes no cluster; give a file of `ray up` (cluster_name, provider), of KubeRay (kind: RayJob or"
        " RayCluster), or an IAM policy (Statement)"
    )


def _documents(written: str) -> list[Any]:
    parts: list[list[str]] = [[]]
    for line in written.splitlines():
        if line.rstrip() == "---":
            parts.append([])
        else:
            parts[-1].append(line)
    return [yaml_value("\n".join(lines)) for lines in parts]


def _text_of(path: Path) -> str:
    try:
        return read_regular(path, LARGEST_BYTES).decode("utf-8")
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror or error}); give a cluster's file"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is no text in UTF-8; give a cluster's file") from error


def _kind_of(content: dict[Any, Any]) -> Kind | None:
    if content.get("kind") in ("RayJob", "RayCluster", "RayService"):
        return Kind.KUBERAY
    if "Statement" in content:
        return Kind.POLICY
    if "provider" in content or "cluster_name" in content or "available_node_types" in content:
        return Kind.LAUNCHER
    return None
