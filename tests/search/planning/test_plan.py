"""The plan: which precision a search has, and what is refused because it cannot fit."""

from __future__ import annotations

from typing import Any

import pytest

from distrecvae.data.synthetic import synthetic_split
from distrecvae.errors import ResourceError
from distrecvae.precisions import Precision
from distrecvae.search import launch
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.launch import load_space, plan_search
from distrecvae.search.on_ray.session import Session
from distrecvae.search.planning.plan import Plan, check_memory, make_plan
from distrecvae.search.planning.resources import Cluster, Slots
from distrecvae.training.device import DeviceFacts

SPLIT = synthetic_split(n_users=300, n_items=100, seed=1)
CLUSTER = Cluster(nodes=((8.0, 1.0),), object_store_bytes=10**9, memory_bytes=32 << 30)


def plan(facts: DeviceFacts, gpus: float, **settings: Any) -> Plan:
    config = SearchConfig(data="data", **settings)
    return make_plan(config, load_space(config), SPLIT, Slots(4, 1, gpus), facts)


@pytest.mark.parametrize(
    ("asked", "offered", "expected"),
    [
        ("auto", "bfloat16", "bfloat16"),
        ("auto", "float32", "float32"),
        ("float32", "bfloat16", "float32"),
        ("bfloat16", "float32", "bfloat16"),
    ],
)
def test_precision_is_what_was_asked_for_or_what_the_device_offers(
    asked: str, offered: Precision, expected: str
) -> None:
    made = plan(DeviceFacts("a CPU", offered, 0), 0, precision=asked)
    assert made.precision == expected
    assert f"precision   {expected}" in made.text()


def test_a_trial_that_its_share_of_a_gpu_cannot_hold_is_refused_before_it_starts() -> None:
    small = DeviceFacts("a small GPU", "bfloat16", 2 << 30)
    check_memory(plan(small, 1), CLUSTER)
    with pytest.raises(ResourceError, match=r"its share of a small GPU \(0.25\) has 512 MiB; raise"):
        check_memory(plan(small, 0.25), CLUSTER)


def test_trials_that_together_exceed_the_memory_are_refused() -> None:
    little = Cluster(nodes=((8.0, 0.0),), object_store_bytes=10**9, memory_bytes=50 << 20)
    with pytest.raises(ResourceError, match="lower --concurrent"):
        check_memory(plan(DeviceFacts("a CPU", "float32", 0), 0), little)


def test_a_search_goes_on_in_the_precision_that_it_was_begun_in(monkeypatch: pytest.MonkeyPatch) -> None:
    # Resumed on another kind of machine, its trials must stay comparable.
    config = SearchConfig(data="data", gpus_per_trial=0)
    offers = DeviceFacts("a CPU", "bfloat16", 0)
    monkeypatch.setattr(launch, "survey", lambda *_: offers)
    assert plan_search(config, load_space(config), Session(CLUSTER, SPLIT)).precision == "bfloat16"
    assert plan_search(config, load_space(config), Session(CLUSTER, SPLIT), "float32").precision == "float32"


def test_a_model_that_one_pass_solves_has_no_rungs() -> None:
    facts = DeviceFacts("a CPU", "float32", 0)
    solved, iterated = plan(facts, 0, model="ease", trials=5), plan(facts, 0, model="wmf", trials=5)
    assert solved.rule.rungs(0) == ()
    assert iterated.rule.rungs(0) == (40, 120)
    assert "scheduler   none" in solved.text()
    assert "at most 5 passes" in solved.text()
    assert "5 trials of at most 1 pass," in solved.headline()


def test_pre_training_that_leaves_nothing_of_the_budget_is_said() -> None:
    # In a comparison of 120 passes RaCT's published 100 + 50 had never come to its joint training, silently.
    facts = DeviceFacts("a CPU", "float32", 0)
    short = plan(facts, 0, model="ract", max_passes=150)
    assert "pre-training takes 150 passes and a trial gets 150" in short.remark()
    assert short.remark() in short.text()
    for enough in (plan(facts, 0, model="ract", max_passes=151), plan(facts, 0, model="multvae")):
        assert enough.remark() == ""
        assert "note" not in enough.text()
