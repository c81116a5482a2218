"""The kinds of nodes of a launcher's file: how many, which are asked for, and when they go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from distrecvae.search.doctor.cluster.tree import lacking, listed, number, text, wrong
from distrecvae.search.doctor.finding import Finding

IDLE_MINUTES = 60
"""An idle GPU costs as much as one that works: keeping it longer is hardly meant."""
SCORER = "RAY_AUTOSCALER_UTILIZATION_SCORER=distrecvae.search.on_ray.capacity.score"
OLDER = "RAY_enable_autoscaler_v2=0"


class NodeKind(NamedTuple):
    """A kind of node.

    Attributes:
        name: under `available_node_types`.
        node: all of it.
        machine: the cloud's type of machine, accelerators included.
        has_gpu: whether it has a GPU.
        is_spot: whether the cloud may take it away.
    """

    name: str
    node: dict[str, Any]
    machine: str
    has_gpu: bool
    is_spot: bool

    @property
    def where(self) -> str:
        """Its place in the file."""
        return f"available_node_types.{self.name}"


def of_nodes(content: dict[str, Any], kinds: list[NodeKind]) -> Iterator[Finding]:
    """Yield what is wrong with the kinds of nodes of any cloud; `kinds` are all, as that cloud describes them."""
    head_name = text(content, "head_node_type")
    heads = [kind for kind in kinds if kind.name == head_name]
    workers = [kind for kind in kinds if kind.name != head_name]
    if not heads:
        yield wrong(
            "nodes",
            "head_node_type",
            head_name or None,
            f"it is one of {', '.join(k.name for k in kinds)}",
            "name the head's kind",
        )
    for head in heads:
        yield from _of_head(head)
    yield from _of_counts(content, workers)
    yield from _of_ways(content, workers)


def _of_head(head: NodeKind) -> Iterator[Finding]:
    if head.is_spot:
        yield wrong(
            "nodes",
            f"{head.where}.node_config",
            head.machine,
            "a head on spot is taken away with the driver and the object store",
            "take it on demand: it costs a fifth of a worker",
        )
    if number(head.node, "resources", "CPU") != 0:
        yield wrong(
            "nodes",
            f"{head.where}.resources",
            head.node.get("resources"),
            "trials on the head slow the search down that runs there",
            "write resources: {CPU: 0}",
        )
    if head.has_gpu:
        yield wrong(
            "nodes",
            f"{head.where}.node_config",
            head.machine,
            "no trial runs on the head: its GPU would cost and do nothing",
            "take a machine of four cores without a GPU",
        )
    if number(head.node, "max_workers"):
        yield wrong(
            "nodes",
            f"{head.where}.max_workers",
            head.node["max_workers"],
            "workers of the head's kind have no GPU and count against all",
            "take it out",
        )


def _of_counts(content: dict[str, Any], workers: list[NodeKind]) -> Iterator[Finding]:
    most = number(content, "max_workers")
    if not most:
        yield wrong(
            "nodes",
            "max_workers",
            content.get("max_workers"),
            "so many workers there are at most, and none is too few",
            "write how many GPUs you want at most",
        )
    least = 0.0
    for kind in workers:
        low, high = number(kind.node, "min_workers") or 0.0, number(kind.node, "max_workers")
        least += low
        if high == 0:
            yield wrong(
                "nodes",
                f"{kind.where}.max_workers",
                0,
                "it is never asked for",
                "write max_workers as above, or remove the kind",
            )
        elif high is not None and low > high:
            yield wrong(
                "nodes",
                f"{kind.where}.min_workers",
                kind.node.get("min_workers"),
                f"max_workers is {high:g}, and Ray refuses such a file",
                "write min_workers: 0",
            )
        if low < 0 or (high is not None and high < 0):
            yield wrong(
                "nodes",
                f"{kind.where}.max_workers",
                kind.node.get("max_workers"),
                "there cannot be fewer than none",
                "write how many there are at most",
            )
    if most and least > most:
        yield wrong(
            "nodes",
            "max_workers",
            content["max_workers"],
            f"the kinds' min_workers are {least:g} together",
            "raise it, or lower min_workers",
        )
    idle = number(content, "idle_timeout_minutes")
    if not idle:
        yield wrong(
            "nodes",
            "idle_timeout_minutes",
            content.get("idle_timeout_minutes"),
            "it says when a node that no trial uses is given back",
            "write idle_timeout_minutes: 5",
        )
    elif idle > IDLE_MINUTES:
        yield wrong(
            "nodes",
            "idle_timeout_minutes",
            content["idle_timeout_minutes"],
            f"a GPU that does nothing for over {IDLE_MINUTES} minutes costs as one that works",
            "write 5",
        )
    if (speed := number(content, "upscaling_speed")) is not None and speed < 1:
        yield wrong(
            "nodes",
            "upscaling_speed",
            content["upscaling_speed"],
            "below 1 nodes come one after the other",
            "write 1 or more, such as 8",
        )


def _of_ways(content: dict[str, Any], workers: list[NodeKind]) -> Iterator[Finding]:
    gpus = [kind for kind in workers if kind.has_gpu]
    if not gpus:
        return
    machines = sorted({kind.machine for kind in gpus})
    if len(machines) == 1:
        yield wrong(
            "capacity",
            "available_node_types",
            machines[0],
            "with one type of GPU a search waits while the cloud has none of it",
            "add a kind with another type, as cluster/cluster.yaml has it",
        )
    if all(kind.is_spot for kind in gpus):
        yield wrong(
            "capacity",
            "available_node_types",
            ", ".join(kind.name for kind in gpus),
            "all are spot: while there is no spot capacity, a search waits",
            "add the same types on demand",
        )
    dear, cheap = (sorted(kind.name for kind in gpus if kind.is_spot is spot) for spot in (False, True))
    if dear and cheap and dear[0] < cheap[-1]:
        yield wrong(
            "capacity",
            f"available_node_types.{dear[0]}",
            "on demand",
            f"kinds are asked in the order of their names, and it comes before the spot kind {cheap[-1]}",
            "number the names: gpu-1-..., spot first",
        )
    start = " ".join(c for c in listed(content, "head_start_ray_commands") if isinstance(c, str))
    for setting in (OLDER, SCORER) if len(gpus) > 1 else ():
        if setting not in start:
            yield lacking(
                "capacity",
                "head_start_ray_commands",
                setting,
                "Ray's autoscalers ask for a kind that is gone again and again, and for no other",
                f"add {setting} before `ray start`",
            )
