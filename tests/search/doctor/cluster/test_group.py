"""A group of pods: GPUs, spot, what tells it from another; quantities as Kubernetes reads them."""

from __future__ import annotations

from typing import Any

import pytest

from distrecvae.search.doctor.cluster.group import Group, amount


def group(pod: dict[str, Any]) -> Group:
    return Group("g", {"template": {"spec": pod}}, is_head=False)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("500m", 0.5),
        ("2", 2.0),
        (3, 3.0),
        ("1.5Gi", 1.5 * 2**30),
        ("4G", 4e9),
        ("x", None),
        (None, None),
        ([1], None),
    ],
)
def test_quantities(written: Any, read: float | None) -> None:
    assert amount(written) == read


def test_what_a_group_has() -> None:
    found = group(
        {"containers": [{"image": "a:1", "resources": {"limits": {"nvidia.com/gpu": "2"}}}, {"image": "b:1"}]}
    )
    assert (found.images, found.gpus) == (["a:1"], 2.0)


def test_a_group_of_nothing() -> None:
    assert (group({}).container, group({}).images, group({}).gpus, group({}).is_spot) == ({}, [], 0.0, False)


@pytest.mark.parametrize(
    ("selector", "is_spot"),
    [
        ({"cloud.google.com/gke-spot": "true"}, True),
        ({"eks.amazonaws.com/capacityType": "SPOT"}, True),
        ({"karpenter.sh/capacity-type": "on-demand"}, False),
        ({"cloud.google.com/gke-spot": "false"}, False),
    ],
)
def test_spot_is_said_in_the_words_of_several_clouds(selector: dict[str, str], is_spot: bool) -> None:
    found = group({"nodeSelector": {"accelerator": "l4", **selector}})
    assert found.is_spot is is_spot
    assert found.accelerator.startswith("accelerator=l4")
