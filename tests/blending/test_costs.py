"""Costs: what is measured, and limits that hold."""

from __future__ import annotations

import time

import pytest
import torch

from distrecvae.blending.costs import Cost, Limits, measured
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import ConfigError
from tests.blending.models import split, trained


class Slow:
    """Takes a known time a request, whoever is asked for."""

    n_items = 120

    def __init__(self, seconds: float) -> None:
        self.seconds, self.sizes = seconds, list[int]()

    def score(self, fold_in: InteractionMatrix) -> torch.Tensor:
        self.sizes.append(fold_in.n_users)
        time.sleep(self.seconds)
        return torch.zeros(fold_in.shape)


def test_a_request_is_timed_alone_and_a_batch_a_user() -> None:
    slow = Slow(0.004)
    cost = measured(slow, 10, split().valid)
    assert cost.size_bytes == 10
    assert cost.single_ms >= 4  # a sleep is never shorter than asked for
    assert cost.batch_ms * 200 >= 4
    assert cost.batch_ms < cost.single_ms
    assert slow.sizes == [200, 200, *[1] * 30]


def test_a_slower_model_costs_more() -> None:
    assert (
        measured(Slow(0.02), 1, split().valid).single_ms > measured(Slow(0.001), 1, split().valid).single_ms
    )


def test_a_real_model_is_measured() -> None:
    cost = measured(trained("ease").recommender, trained("ease").size_bytes, split().valid)
    assert cost.batch_ms > 0
    assert cost.single_ms > 0


@pytest.mark.parametrize(
    ("limits", "costs", "allowed"),
    [
        (Limits(), [Cost(10**12, 1e6, 1)], True),
        (Limits(max_bytes=100), [Cost(60, 1, 1), Cost(40, 1, 1)], True),
        (Limits(max_bytes=99), [Cost(60, 1, 1), Cost(40, 1, 1)], False),
        (Limits(max_latency_ms=2.0), [Cost(1, 1, 1), Cost(1, 1, 1)], True),
        (Limits(max_latency_ms=1.9), [Cost(1, 1, 1), Cost(1, 1, 1)], False),
        (Limits(max_bytes=100, max_latency_ms=1.0), [Cost(10, 3, 0.1)], False),
        (Limits(max_bytes=5, max_latency_ms=5.0), [Cost(10, 3, 0.1)], False),
    ],
)
def test_limits_are_for_all_members_together(limits: Limits, costs: list[Cost], allowed: bool) -> None:
    assert limits.allow(costs) is allowed


def test_limits_are_tightened_by_as_much_as_they_were_missed() -> None:
    assert Limits(7, 2.0).tightened(4.0) == Limits(7, 1.0)
    assert Limits(7, 2.0).tightened(1.0) == Limits(7, 2.0)
    assert Limits(7).tightened(4.0) == Limits(7)


@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_a_limit_that_allows_nothing_is_refused(value: float) -> None:
    with pytest.raises(ConfigError, match=r"--max-latency .* must be above 0"):
        Limits(max_latency_ms=value)
    with pytest.raises(ConfigError, match=r"--max-bytes .* must be above 0"):
        Limits(max_bytes=int(value) if value == value else value)  # type: ignore[arg-type]
