"""Kinds of nodes: the head, counts, and ways to a GPU, whatever cloud they are of."""

from __future__ import annotations

from typing import Any

from distrecvae.search.doctor.cluster.nodes import OLDER, SCORER, NodeKind, of_nodes

HEAD = NodeKind("head", {"resources": {"CPU": 0}}, "m", has_gpu=False, is_spot=False)
SPOT = NodeKind("gpu-1", {"max_workers": 8}, "a", has_gpu=True, is_spot=True)
ON_DEMAND = NodeKind("gpu-2", {"max_workers": 8}, "b", has_gpu=True, is_spot=False)
CPU = NodeKind("cpu", {"max_workers": 8}, "c", has_gpu=False, is_spot=False)
FILE: dict[str, Any] = {
    "head_node_type": "head",
    "max_workers": 8,
    "idle_timeout_minutes": 5,
    "head_start_ray_commands": [f"export {OLDER} {SCORER}; ray start --head"],
}


def said(content: dict[str, Any], *kinds: NodeKind) -> list[str]:
    return [finding.text for finding in of_nodes(content, list(kinds))]


def test_two_types_and_a_way_on_demand_are_enough() -> None:
    assert said(FILE, HEAD, SPOT, ON_DEMAND) == []
    assert (
        said(FILE, HEAD, SPOT, SPOT._replace(name="gpu-2", machine="b"), ON_DEMAND._replace(name="gpu-3"))
        == []
    )


def test_a_cluster_of_cpus_needs_no_ways() -> None:
    assert said({**FILE, "head_start_ray_commands": []}, HEAD, CPU) == []


def test_of_one_kind_the_autoscaler_has_no_choice() -> None:
    (text,) = said({**FILE, "head_start_ray_commands": []}, HEAD, ON_DEMAND)
    assert "one type of GPU" in text


def test_a_kind_says_where_it_stands() -> None:
    assert SPOT.where == "available_node_types.gpu-1"


def test_fewer_than_none_is_no_number_of_nodes() -> None:
    assert any(
        "fewer than none" in text
        for text in said(FILE, HEAD, SPOT._replace(node={"max_workers": -1}), ON_DEMAND)
    )


def test_all_kinds_together_may_not_exceed_the_cluster() -> None:
    busy = {"min_workers": 5, "max_workers": 8}
    (text,) = said(FILE, HEAD, SPOT._replace(node=busy), ON_DEMAND._replace(node=busy))
    assert text == "max_workers is 8: the kinds' min_workers are 10 together"
