"""What a search says that it will take of the disk, against what it takes at its worst moment."""

from __future__ import annotations

from pathlib import Path

import pytest

from distrecvae.data.synthetic import synthetic_split
from distrecvae.runs.trial import TrialTask, run_trial
from distrecvae.saved.places import StateFile
from distrecvae.search.core.conductor import Conductor
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.records import KEPT_TRIALS, Status, by_score
from distrecvae.search.core.states import TrialStates
from distrecvae.search.folder.keeper import Keeper
from distrecvae.search.folder.tables import Tables
from distrecvae.search.planning.plan import make_plan
from distrecvae.search.planning.resources import Slots
from distrecvae.search.space.space import SearchSpace
from distrecvae.search.watchers.tensorboard import EventFiles
from distrecvae.training import registry
from distrecvae.training.device import DeviceFacts

SPLIT = synthetic_split(n_users=300, n_items=200, seed=1)
METRIC = "valid/ndcg_100"
SPACE = {
    "model": "recvae",
    "parameters": {
        "latent_dim": {"type": "int", "low": 8, "high": 64, "step": 8},
        "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-2, "log": True},
    },
    "fixed": {"hidden_dim": 64},
    "default": {"latent_dim": 8},
}


def taken(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_a_search_takes_no_more_room_than_it_said_and_not_much_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = SearchConfig(data="data", trials=8, max_passes=16, min_passes=4, checkpoint_every_s=1e-9)
    space = SearchSpace.from_mapping(SPACE, model="recvae", config_class=registry.config_class("recvae"))
    plan = make_plan(config, space, SPLIT, Slots(1, 1, 0), DeviceFacts("a CPU", "float32", 0))
    ledger = Ledger(tmp_path, METRIC)
    states = TrialStates(tmp_path)
    tables = Tables(tmp_path, ledger, space, METRIC)
    watchers = (EventFiles(tmp_path, space, "ndcg_100"), tables, Keeper(states, ledger, n_best=KEPT_TRIALS))
    conductor = Conductor(
        ledger=ledger, space=space, config=config, rule=plan.rule, folder=tmp_path, watchers=watchers
    )
    most, replace = 0, Path.replace

    def watched(path: Path, target: Path) -> Path:
        nonlocal most
        most = max(most, taken(tmp_path))  # the old file and the new one are both there
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", watched)
    while (task := conductor.next_task()) is not None:
        for report in run_trial(task, StateFile(states.path(task.number)), SPLIT.train, SPLIT.valid):
            if conductor.heard(task.number, report):
                break
        else:
            conductor.finished(task.number)
    tables.write()
    assert 0.4 * plan.storage_bytes <= most <= plan.storage_bytes

    best = ledger.best()
    assert best is not None
    kept = {int(path.parent.name) for path in tmp_path.glob("trials/*/state.safetensors")}
    ahead = {record.number for record in by_score(ledger.records.values())[:KEPT_TRIALS]}
    assert best.number in ahead
    assert kept - {0} <= ahead, "a trial that is not among the best keeps its reports only"
    assert {0, best.number} <= kept
    assert {r.status for r in ledger.records.values()} == {Status.FINISHED, Status.STOPPED}


# Only solving tells how many of SLIM's weights are zero; few are, in so few items of which each has many users.
AT_LEAST = {"slim": 0.2}
"""The share of the estimate that a state takes, of models whose size the data decide; of all others 0.95."""


@pytest.mark.parametrize("model", registry.models())
def test_a_state_file_takes_what_was_estimated(model: str, tmp_path: Path) -> None:
    config = registry.config_from_dict(model, {})
    task = TrialTask(
        number=0,
        model=model,
        config=registry.config_to_dict(config),
        seed=0,
        max_passes=4,
        metric=METRIC,
    )
    list(run_trial(task, StateFile(tmp_path / "state"), SPLIT.train, SPLIT.valid))
    header = 8192
    estimate = registry.memory_bytes(model, config, SPLIT.train)[1]
    size = (tmp_path / "state").stat().st_size
    assert size <= 1.05 * estimate + header
    assert size >= AT_LEAST.get(model, 0.95) * estimate
