"""Owns the question whether the cluster's other nodes share the results folder, asked of the nodes themselves."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from distrecvae.errors import ResourceError

SEEN_WITHIN_S = 10.0
"""How long a network file system may take to show on one node what another one wrote."""


def require_shared(folder: Path) -> None:
    """Refuse a results folder that some living node does not share: what its trials write would be lost.

    The driver writes a marker beside the folder; each other node must read it and write an answer that the driver
    reads. Nothing is left behind. Where there is one node nothing is asked.

    Args:
        folder: the results folder; it need not exist yet.

    Raises:
        ResourceError: a node does not share it, or cannot run this package.
    """
    own = ray.get_runtime_context().get_node_id()
    others = {n["NodeID"]: n["NodeManagerAddress"] for n in ray.nodes() if n["Alive"] and n["NodeID"] != own}
    if not others:
        return
    place = next(parent for parent in folder.absolute().parents if parent.is_dir())
    marker = place / f".distrecvae-{uuid.uuid4().hex}"
    answers = {node: marker.with_name(f"{marker.name}-{number}") for number, node in enumerate(others)}
    task = ray.remote(num_cpus=0, max_retries=0)(answer)
    try:
        marker.write_text(marker.name, encoding="utf-8")
        asked = {
            node: task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(
                str(marker), str(path)
            )
            for node, path in answers.items()
        }
        for node, reference in asked.items():
            try:
                shared = ray.get(reference) and holds(answers[node], marker.name)
            except ray.exceptions.RayTaskError as error:
                raise ResourceError(
                    f"node {others[node]} cannot run distrecvae ({' '.join(str(error.cause).split())[:200]});"
                    " install this version of it there"
                ) from error
            except ray.exceptions.RayError:
                continue  # the node is gone: nothing will run there
            if not shared:
                raise ResourceError(not_shared(folder, others[node]))
    finally:
        for path in (marker, *answers.values()):
            path.unlink(missing_ok=True)


def answer(marker: str, path: str) -> bool:
    """Write the marker's content to `path`, on another node; return whether the marker was seen."""
    name = Path(marker).name
    if not holds(Path(marker), name):
        return False
    Path(path).write_text(name, encoding="utf-8")
    return True


def holds(path: Path, text: str) -> bool:
    """Tell whether a file with that text is there, or comes within `SEEN_WITHIN_S`."""
    deadline = time.monotonic() + SEEN_WITHIN_S
    while True:
        try:
            if path.read_text(encoding="utf-8") == text:
                return True
        except OSError:
            pass
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)


def not_shared(folder: Path, node: str) -> str:
    """Return what is wrong and what to do about it, in a line."""
    return (
        f"{folder} is not shared with node {node}: what its trials write would be lost;"
        " give --out a folder on storage that all nodes mount (NFS, EFS, Filestore)"
    )
