"""Which kind of node a cluster asks its cloud for: one that has just refused does not hold a search.

Ray's autoscalers ask for the same kind again and again where a cloud has none left (ray-project/ray issue 53636; seen
in Ray 2.60: the newer one counts only nodes that never start, the older one knows of refusals and does not look at
them). The older one lets its judgement be replaced: the cloud files in `cluster/` name `score` in the environment of
`ray start`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Score = tuple[bool, float, float, tuple[int, ...]]


def score(
    node_resources: Mapping[str, float],
    resources: Sequence[Mapping[str, float]],
    node_type: str,
    *,
    node_availability_summary: Any,
) -> Score | None:
    """Return how good it is to ask for one more node of a kind; the largest is asked for. None where nothing fits.

    Nodes with a GPU are kept for those who ask for one. Then a kind that was not refused comes before one that was, and
    of those the one that was refused longest ago: all are asked in turn until one has room. Ray forgets a refusal after
    half an hour. Then the kind that is filled better; then the one whose name comes first in the alphabet.

    Args:
        node_resources: what a node of this kind has.
        resources: what is asked for, each on one node.
        node_type: the kind's name.
        node_availability_summary: what Ray knows of its last requests, by kind.
    """
    free = dict(node_resources)
    for asked in resources:
        if all(free.get(name, 0.0) >= amount for name, amount in asked.items()):
            for name, amount in asked.items():
                free[name] = free.get(name, 0.0) - amount
    if free == dict(node_resources):
        return None
    gpu_is_asked_for = any(asked.get("GPU", 0) > 0 for asked in resources)
    filled = [
        1 - free[name] / has for name, has in node_resources.items() if name in ("CPU", "GPU") and has > 0
    ]
    refused = node_availability_summary.node_availabilities.get(node_type)
    refused_at = 0.0 if refused is None or refused.is_available else float(refused.last_checked_timestamp)
    return (
        gpu_is_asked_for or not node_resources.get("GPU"),
        -refused_at,
        sum(filled) / len(filled) if filled else 0.0,
        tuple(-ord(letter) for letter in node_type),
    )
