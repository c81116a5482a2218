"""A group of pods as a file has it: its container, its GPUs, the machines that it may run on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from distrecvae.search.doctor.cluster.tree import dig, listed, mapping, text

GPU = "nvidia.com/gpu"
_SPOT = re.compile(r"spot|preemptible", re.IGNORECASE)
_UNITS = {
    "": 1,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
}


@dataclass(frozen=True)
class Group:
    """The head, or a group of workers.

    Attributes:
        where: its place in the file.
        spec: its settings.
        is_head: whether it is the head.
    """

    where: str
    spec: dict[str, Any]
    is_head: bool

    @property
    def pod(self) -> dict[str, Any]:
        """The pod's settings."""
        return mapping(self.spec, "template", "spec")

    @property
    def container(self) -> dict[str, Any]:
        """Ray's container: the first one."""
        containers = listed(self.pod, "containers")
        return mapping(containers[0]) if containers else {}

    @property
    def images(self) -> list[str]:
        """The images of Ray's container: one, or none where none is named."""
        image = text(self.container, "image")
        return [image] if image else []

    @property
    def gpus(self) -> float:
        """GPUs a pod."""
        return amount(dig(self.container, "resources", "limits", GPU)) or 0.0

    @property
    def selector(self) -> dict[str, Any]:
        """Labels of the nodes that a pod may run on."""
        return mapping(self.pod, "nodeSelector")

    @property
    def is_spot(self) -> bool:
        """Whether its pods are on nodes that the cloud may take away."""
        return any(
            _SPOT.search(f"{key}={held}") and str(held).lower() != "false"
            for key, held in self.selector.items()
        )

    @property
    def accelerator(self) -> str:
        """What tells its GPU from another group's: the node selector, without what says spot."""
        return ", ".join(
            f"{key}={held}"
            for key, held in sorted(self.selector.items())
            if not _SPOT.search(f"{key}={held}")
        )


def amount(value: Any) -> float | None:
    """Return a quantity as Kubernetes reads it; None where it is none."""
    found = (
        re.fullmatch(r"(\d+(?:\.\d+)?)(m|[KMGT]i|[kMGT]|)", str(value))
        if isinstance(value, str | int | float)
        else None
    )
    if found is None:
        return None
    return float(found[1]) * (1e-3 if found[2] == "m" else _UNITS[found[2]])
