"""How long a search will take: by an earlier search's times, by some batches; and what an hour costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from distrecvae.data.synthetic import synthetic_split
from distrecvae.errors import DistrecvaeError, DivergedError, ResourceError, ResultsError
from distrecvae.search import estimate
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.estimate import priced, timed_here, timing_like
from distrecvae.search.planning.plan import Plan, make_plan
from distrecvae.search.planning.resources import Cluster, Slots
from distrecvae.search.space.space import SearchSpace
from distrecvae.training.device import DeviceFacts
from tests.search.reported import make_search

SPLIT = synthetic_split(n_users=100, n_items=60, seed=1)
HERE = Cluster(((2.0, 0.0),), 1 << 30, 8 << 30)


def config_of(**settings: Any) -> SearchConfig:
    return SearchConfig(**{"data": "data", "trials": 4, "max_passes": 12, "min_passes": 4, **settings})


def plan() -> Plan:
    facts = DeviceFacts("the CPU", "float32", 0)
    return make_plan(config_of(), SearchSpace.load("recvae-demo"), SPLIT, Slots(2, 1, 0.0), facts)


def test_some_batches_say_what_a_pass_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "time_a_pass", lambda *_: 0.5)
    timing = timed_here(plan(), SPLIT, HERE)
    assert timing == plan().expected(0.5, "some batches of the first trial, timed alone")
    monkeypatch.setattr(estimate, "time_a_pass", lambda *_: None)
    assert timed_here(plan(), SPLIT, HERE) is None


def test_a_search_of_another_model_says_nothing_of_this_ones_times(tmp_path: Path) -> None:
    make_search(tmp_path / "earlier", space=SearchSpace.load("recvae"), trials=2, max_passes=12, min_passes=4)
    with pytest.raises(ResultsError, match="a search of recvae, this one is of multvae"):
        timing_like(tmp_path / "earlier", "multvae")
    with pytest.raises(ResultsError, match="give --like-search"):
        timing_like(tmp_path / "nothing", "recvae")


def test_a_search_whose_trials_have_not_ended_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_search(tmp_path / "earlier", space=SearchSpace.load("recvae"), trials=2, max_passes=12, min_passes=4)
    monkeypatch.setattr(estimate, "read_records", lambda *_: {})
    with pytest.raises(ResultsError, match=r"no trial of .*earlier has ended"):
        timing_like(tmp_path / "earlier", "recvae")


def test_the_price_is_the_clusters_where_one_is_joined_and_none_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(estimate, "price_on_head", lambda: 0.5)
    assert priced(config_of(address="auto")).price_per_hour == 0.5
    assert priced(config_of(address="auto", price_per_hour=0.7)).price_per_hour == 0.7
    assert priced(config_of()).price_per_hour is None, "Ray is started here"


@pytest.mark.parametrize("error", [ResourceError, DivergedError])
def test_a_plan_that_cannot_be_timed_is_a_plan(
    error: type[DistrecvaeError], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> float:
        raise error("it does not fit")

    monkeypatch.setattr(estimate, "time_a_pass", refuse)
    assert timed_here(plan(), SPLIT, HERE) is None
