"""Which kind of node is asked for: what fits, what was not refused, what is filled best, whose name comes first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from ray.autoscaler._private.constants import AUTOSCALER_UTILIZATION_SCORER_KEY
from ray.autoscaler._private.loader import load_function_or_class
from ray.autoscaler._private.node_provider_availability_tracker import NodeProviderAvailabilityTracker
from ray.autoscaler.node_launch_exception import NodeLaunchException

from distrecvae.search.on_ray.capacity import score

ONE = {"CPU": 4, "GPU": 1}
FOUR = {"CPU": 48, "GPU": 4}
TRIAL = {"CPU": 1, "GPU": 1}


def best(
    asked: Sequence[Mapping[str, float]],
    kinds: Mapping[str, Mapping[str, float]],
    refused: Mapping[str, int | None] | None = None,
) -> str | None:
    """Return the kind that is asked for, by Ray's own record of refusals: when, or None where the request went well."""
    record = NodeProviderAvailabilityTracker(timer=lambda: 0.0)
    for kind, at in (refused or {}).items():
        record.update_node_availability(
            kind, at or 1, NodeLaunchException("none left", "", None) if at else None
        )
    scores = {
        kind: score(has, asked, kind, node_availability_summary=record.summary())
        for kind, has in kinds.items()
    }
    return max((s, kind) for kind, s in scores.items() if s is not None)[1] if any(scores.values()) else None


def test_ray_finds_it_under_the_name_in_the_cluster_files() -> None:
    assert AUTOSCALER_UTILIZATION_SCORER_KEY == "RAY_AUTOSCALER_UTILIZATION_SCORER"
    assert load_function_or_class("distrecvae.search.on_ray.capacity.score") is score


def test_what_does_not_fit_is_not_asked_for() -> None:
    assert best([{"CPU": 5}], {"a": ONE}) is None
    assert best([TRIAL], {"head": {"CPU": 0}}) is None
    assert best([{"CPU": 5}, TRIAL], {"a": ONE}) == "a", "one of the two fits"
    assert best([{"memory": 1.0}], {"a": ONE}) is None


def test_the_first_name_is_asked_for_until_it_is_refused() -> None:
    kinds = {"b": ONE, "a": ONE, "c": ONE}
    assert best([TRIAL], kinds) == "a"
    assert best([TRIAL], kinds, {"a": None}) == "a", "it was there"
    assert best([TRIAL], kinds, {"a": 100}) == "b"
    assert best([TRIAL], kinds, {"a": 100, "b": 105}) == "c"
    assert best([TRIAL], kinds, {"a": 100, "b": 105, "c": 110}) == "a", "longest ago"
    assert best([TRIAL], kinds, {"a": 115, "b": 105, "c": 110}) == "b"


def test_a_kind_that_was_not_refused_comes_before_one_that_would_be_filled_better() -> None:
    assert best([TRIAL], {"four": FOUR, "one": ONE}) == "one"
    assert best([TRIAL] * 4, {"four": FOUR, "one": ONE}, {"one": 100}) == "four"


def test_nodes_with_a_gpu_are_kept_for_those_who_ask_for_one() -> None:
    assert best([{"CPU": 1}], {"a": ONE, "cpu": {"CPU": 64}}) == "cpu"
    assert best([{"CPU": 1}], {"a": ONE}) == "a"


@pytest.mark.parametrize("has", [{}, {"memory": 4}])
def test_a_node_without_cores_is_no_trouble(has: dict[str, Any]) -> None:
    nothing = SimpleNamespace(node_availabilities={})
    assert score(has, [{"memory": 1}], "a", node_availability_summary=nothing) == (
        (True, 0.0, 0.0, (-97,)) if has else None
    )
