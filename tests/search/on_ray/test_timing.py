"""The time of a pass: measured on some users and scaled to all, here or in a worker with a trial's resources."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from distrecvae.data.synthetic import synthetic_split
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.on_ray import timing
from distrecvae.search.on_ray.timing import time_a_pass
from distrecvae.search.planning.plan import Plan, make_plan
from distrecvae.search.planning.resources import Cluster, Slots
from distrecvae.search.space.space import SearchSpace
from distrecvae.training.device import DeviceFacts
from tests.whole.test_bad_input import GIB, RATE

SPLIT = synthetic_split(n_users=900, n_items=60, seed=1)
HERE = Cluster(((2.0, 0.0),), GIB, 8 * GIB)


def plan(model: str = "recvae") -> Plan:
    config = SearchConfig(data="data", model=model)
    space = SearchSpace.from_mapping(yaml.safe_load(RATE)) if model == "recvae" else SearchSpace.load(model)
    return make_plan(config, space, SPLIT, Slots(2, 1, 0.0), DeviceFacts("the CPU", "float32", 0))


def test_what_some_users_took_is_scaled_to_all(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def measured(*arguments: Any, **how: Any) -> tuple[float, float]:
        seen.extend((*arguments, how))
        return 0.5, 0.25

    monkeypatch.setattr(timing, "seconds_of_passes", measured)
    assert plan().space.default_config().keys() >= {"batch_size"}
    taken = time_a_pass(plan(), SPLIT, HERE)
    model, _, train, valid, _, how = seen
    assert (model, how) == ("recvae", {"device": "cpu", "precision": "float32", "threads": 1})
    by_users = 0.5 * SPLIT.train.n_users / train.n_users + 0.25 * SPLIT.valid.n_scored / valid.n_users
    assert taken == pytest.approx(by_users)


def test_a_model_without_batches_is_not_timed() -> None:
    assert time_a_pass(plan("ease"), SPLIT, HERE) is None


def test_a_pass_takes_some_time() -> None:
    taken = time_a_pass(plan(), SPLIT, HERE)
    assert taken is not None
    assert taken > 0


@pytest.mark.ray
def test_on_a_cluster_a_worker_is_asked(cluster: Cluster) -> None:
    joined = Cluster(cluster.nodes, cluster.object_store_bytes, cluster.memory_bytes, joined=True)
    taken = time_a_pass(plan(), SPLIT, joined)
    assert taken is not None
    assert taken > 0
