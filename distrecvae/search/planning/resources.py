"""Lays trials out on what a cluster has: how many run at once, and with what. What asks Ray fills in `Cluster`."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import floor

from distrecvae.errors import ResourceError
from distrecvae.search.core.config import SearchConfig
from distrecvae.words import mib

PIECE_BYTES, LEAST_PIECE_BYTES = 64 << 20, 1 << 20
"""How much of a trial's state is on its way through the object store at a time: at most, and where there is no room."""


@dataclass(frozen=True)
class Cluster:
    """What Ray offers: (CPUs, GPUs) by node, and the driver node's object store.

    Attributes:
        nodes: (CPUs, GPUs) of each living node.
        object_store_bytes: size of the smallest node's object store.
        memory_bytes: memory that Ray counts for workers, of all nodes.
        joined: it was there before this search and outlives it; others may add nodes to it.
    """

    nodes: tuple[tuple[float, float], ...]
    object_store_bytes: int
    memory_bytes: int
    joined: bool = False

    @property
    def cpus(self) -> float:
        """CPUs of all nodes."""
        return sum(cpus for cpus, _ in self.nodes)

    @property
    def gpus(self) -> float:
        """GPUs of all nodes."""
        return sum(gpus for _, gpus in self.nodes)


@dataclass(frozen=True)
class Slots:
    """How trials are laid on the cluster.

    Attributes:
        concurrent: trials at once.
        cpus: CPU cores (and training threads) a trial.
        gpus: GPUs a trial, possibly a fraction.
        share: cores that each trial on the CPUs of one machine could have, were none idle; 0 elsewhere.
    """

    concurrent: int
    cpus: int
    gpus: float
    share: int = field(default=0, compare=False)

    @property
    def device(self) -> str:
        """The trials' torch device."""
        return "cuda" if self.gpus else "cpu"


def fitting(cluster: Cluster, cpus: int, gpus: float) -> int:
    """Return how many trials of that size the living nodes have room for."""
    return sum(
        min(floor(node_cpus / cpus), floor(node_gpus / gpus + 1e-9) if gpus else 10**9)
        for node_cpus, node_gpus in cluster.nodes
    )


def slots_for(config: SearchConfig, cluster: Cluster) -> Slots:
    """Return how many trials run at once and with what.

    An elastic search takes `concurrent` as it is: Tune starts trials as room for them comes.

    Raises:
        ResourceError: no node has what a single trial asks for, or an elastic search has no cluster to wait for.
    """
    gpus = config.gpus_per_trial
    if config.elastic and config.concurrent is not None and gpus is not None:
        if not cluster.joined:
            raise ResourceError(
                "--elastic: no nodes can join the Ray that a search starts for itself;"
                " give the cluster's --address, or leave it out"
            )
        return Slots(min(config.concurrent, config.trials), config.cpus_per_trial, gpus)
    if gpus is None:
        gpus = 1.0 if cluster.gpus else 0.0
    fit = fitting(cluster, config.cpus_per_trial, gpus)
    if fit < 1:
        most_cpus = max((cpus for cpus, _ in cluster.nodes), default=0.0)
        most_gpus = max((gpus for _, gpus in cluster.nodes), default=0.0)
        raise ResourceError(
            f"a trial asks for {config.cpus_per_trial} CPU and {gpus:g} GPU, and no node has both"
            f" (at most {most_cpus:g} CPUs, {most_gpus:g} GPUs); lower --cpus-per-trial or --gpus-per-trial"
            f"{', or wait for such a node with --elastic' if cluster.joined else ''}"
        )
    concurrent = min(config.concurrent or fit, fit, config.trials)
    alone = len(cluster.nodes) == 1 and not gpus
    share = floor(cluster.cpus) // concurrent if alone else 0
    return Slots(concurrent, config.cpus_per_trial, gpus, share)


def piece_bytes(cluster: Cluster, shared_bytes: int, concurrent: int) -> int:
    """Return how large the pieces may be in which trials' states travel: all at once take half of what the data leaves.

    Args:
        cluster: its nodes.
        shared_bytes: what the trials share in the object store.
        concurrent: trials at once.
    """
    room = (cluster.object_store_bytes - shared_bytes) // 2
    return max(LEAST_PIECE_BYTES, min(PIECE_BYTES, room // concurrent))


def require_store(needed_bytes: int, cluster: Cluster) -> None:
    """Refuse a data set that does not fit into Ray's object store: Ray would use files on disk, slowly and silently.

    Raises:
        ResourceError: it does not fit.
    """
    if needed_bytes > cluster.object_store_bytes:
        raise ResourceError(
            f"the data set takes {mib(needed_bytes)} and Ray's object store has"
            f" {mib(cluster.object_store_bytes)};"
            " give /dev/shm more room (docker: --shm-size) or start Ray with a larger --object-store-memory"
        )
