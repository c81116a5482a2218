"""Tune's loop over a conductor: its trials run on a real Ray, errors of ours come out, nothing stays behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import ray

from distrecvae.data.synthetic import synthetic_split
from distrecvae.errors import ResourceError
from distrecvae.search.core.conductor import Conductor
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.records import Status
from distrecvae.search.core.rules import Never
from distrecvae.search.on_ray.interruption import Interruption
from distrecvae.search.on_ray.session import Session
from distrecvae.search.on_ray.tuning import TUNE_FOLDER, clear_away, run_trials
from distrecvae.search.planning.resources import Cluster, Slots
from distrecvae.search.space.space import SearchSpace

SPLIT = synthetic_split(n_users=100, n_items=60, seed=1)
SPACE = SearchSpace.from_mapping(
    {
        "model": "recvae",
        "fixed": {"hidden_dim": 8, "latent_dim": 4, "batch_size": 20},
        "parameters": {"learning_rate": {"type": "float", "low": 1e-4, "high": 1e-2, "log": True}},
    }
)


@pytest.fixture
def conductor(tmp_path: Path) -> Conductor:
    return Conductor(
        ledger=Ledger(tmp_path, "valid/ndcg_100"),
        space=SPACE,
        config=SearchConfig(trials=3, max_passes=8),
        rule=Never(),
        folder=tmp_path,
    )


def run(
    conductor: Conductor, cluster: Cluster, folder: Path, refresh: Callable[[], None] = lambda: None
) -> None:
    stop = Interruption()
    try:
        run_trials(
            conductor,
            Session(cluster, SPLIT).data,
            None,
            Slots(concurrent=1, cpus=1, gpus=0.0),
            folder,
            refresh=refresh,
            tell=pytest.fail,
            stop=stop,
        )
    finally:
        stop.over()


@pytest.mark.ray
def test_every_trial_runs_to_its_end_in_the_order_of_the_conductor(
    conductor: Conductor, cluster: Cluster, tmp_path: Path
) -> None:
    rounds = [0]

    def refresh() -> None:
        rounds[0] += 1

    run(conductor, cluster, tmp_path, refresh)
    records = conductor.ledger.records
    assert [record.status for record in records.values()] == [Status.FINISHED] * 3
    assert [[report["passes"] for report in record.reports] for record in records.values()] == [[4, 8]] * 3
    assert rounds[0] > 0, "the driver is called each time that Tune goes around"
    assert not conductor.has_work
    assert not (tmp_path / TUNE_FOLDER).exists()


@pytest.mark.ray
def test_an_error_of_ours_comes_out_as_it_is(conductor: Conductor, cluster: Cluster, tmp_path: Path) -> None:
    # Tune would make a trial's failure of it, or continue.
    def refresh() -> None:
        if conductor.ledger.records[0].reports:
            raise ResourceError("the cluster has gone; start it again")

    with pytest.raises(ResourceError, match="the cluster has gone"):
        run(conductor, cluster, tmp_path, refresh)
    assert not (tmp_path / TUNE_FOLDER).exists()
    assert ray.is_initialized(), "whoever started Ray ends it"


@pytest.mark.ray
def test_an_interruption_leaves_the_trial_to_be_gone_on_with(
    conductor: Conductor, cluster: Cluster, tmp_path: Path
) -> None:
    stop = Interruption()

    def refresh() -> None:
        if conductor.ledger.records[0].reports:
            stop._ask("interrupted by a test", 3600.0)
        stop.check()

    data: Any = Session(cluster, SPLIT).data
    slots = Slots(concurrent=1, cpus=1, gpus=0.0)
    run_trials(conductor, data, None, slots, tmp_path, refresh=refresh, tell=print, stop=stop)
    stop.over()
    assert conductor.ledger.records[0].reports
    assert [record.number for record in conductor.ledger.unfinished()] == list(
        range(len(conductor.ledger.records))
    )[-1:]


def test_what_a_killed_driver_left_is_cleared_away(tmp_path: Path) -> None:
    left = tmp_path / TUNE_FOLDER / "00003" / "params.json"
    left.parent.mkdir(parents=True)
    left.touch()
    (tmp_path / "trials.csv").touch()
    clear_away(tmp_path)
    clear_away(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["trials.csv"]
