"""Asks the cluster's other nodes whether they can run this package."""

from __future__ import annotations

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from distrecvae import __version__
from distrecvae.errors import ResourceError


def require_package() -> None:
    """Refuse a cluster of which some living node cannot run this version of this package: its trials would all fail.

    Where there is one node nothing is asked.

    Raises:
        ResourceError: a node has it not, or another version.
    """
    own = ray.get_runtime_context().get_node_id()
    others = {n["NodeID"]: n["NodeManagerAddress"] for n in ray.nodes() if n["Alive"] and n["NodeID"] != own}
    task = ray.remote(num_cpus=0, max_retries=0)(version)
    asked = {
        node: task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote()
        for node in others
    }
    for node, reference in asked.items():
        try:
            found = ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            raise ResourceError(
                f"node {others[node]} cannot run distrecvae ({' '.join(str(error.cause).split())[:200]});"
                " install this version of it there"
            ) from error
        except ray.exceptions.RayError:
            continue  # the node is gone: nothing will run there
        if found != __version__:
            raise ResourceError(
                f"node {others[node]} has distrecvae {found}, this is {__version__}; install this version of it there"
            )


def version() -> str:
    """Return the version of this package, on another node; it is sent by its name, so it is that node's own."""
    return __version__
