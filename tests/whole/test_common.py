"""What a model's trials have in common is computed once, lent to them, and changes no result."""

from __future__ import annotations

import time
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import ray
import torch
from rich.console import Console

from distrecvae.data.dataset import Split
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.data.io import load_dataset
from distrecvae.data.shared import SharedData, dataset_bytes, from_shared
from distrecvae.data.synthetic import synthetic_split
from distrecvae.evaluation import evaluate
from distrecvae.kernels import item_weights
from distrecvae.kernels.item_weights import lent_gram
from distrecvae.layout import LEDGER_FILE
from distrecvae.metrics import METRICS
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.rules import Never
from distrecvae.search.folder.search_json import read_description
from distrecvae.search.launch import load_space, plan_search, search
from distrecvae.search.on_ray.callbacks import ConductorScheduler
from distrecvae.search.on_ray.session import Session
from distrecvae.search.on_ray.trainable import SHARE
from distrecvae.search.on_ray.workers import Workers
from distrecvae.search.planning.plan import Plan
from distrecvae.search.planning.resources import Cluster
from distrecvae.search.watchers.outlook import Outlook
from distrecvae.search.watchers.progress import PLAIN_EVERY_S, Progress
from distrecvae.training import registry
from distrecvae.training.entry import CommonArrays
from tests.search.simulated import METRIC, open_conductor, toy_search_config
from tests.sites import Site
from tests.whole.test_sharing import memory

SPLIT = synthetic_split(n_users=300, n_items=100, seed=1)
WITH_COMMON = [model for model in registry.models() if registry.common_of(model) is not None]


def session(object_store_bytes: int) -> Session:
    cluster = Cluster(nodes=((2.0, 0.0),), object_store_bytes=object_store_bytes, memory_bytes=8 << 30)
    return Session(cluster, SPLIT)


class Counted:
    """Computes twice the Gram matrix and counts how often: results tell whose matrix they come from."""

    def __init__(self) -> None:
        self.calls = 0
        self.original = item_weights.gram_matrix

    def __call__(self, train: InteractionMatrix, *arguments: Any) -> Any:
        self.calls += 1
        return 2 * self.original(train, *arguments)


def scores(split: Split, model: str, config: dict[str, Any], common: CommonArrays | None) -> dict[str, float]:
    """Return the validation scores of a model that is solved here."""
    typed = registry.config_from_dict(model, config)
    trainer = registry.make_trainer(model, typed, split.train, seed=0, common=common)
    trainer.step()
    return evaluate(trainer.model, split.valid).means()


@pytest.mark.ray
def test_searches_of_two_models_compute_it_once_and_their_trials_use_it(
    monkeypatch: pytest.MonkeyPatch, site: Site, cluster: Cluster, tmp_path: Path
) -> None:
    # Workers have the true function: were the matrix theirs, their scores would not be those of the doubled one.
    data = site.folder / "data"
    counted = Counted()
    shared = Session(cluster, load_dataset(data))
    monkeypatch.setattr(item_weights, "gram_matrix", counted)
    for model in ("ease", "slim"):
        config = SearchConfig(
            data=str(data), model=model, trials=3, concurrent=1, cpus_per_trial=1, gpus_per_trial=0
        )
        outcome = search(
            config,
            tmp_path / model,
            resume=False,
            console=Console(quiet=True),
            verbose=False,
            command="a test",
            session=shared,
        )
        assert outcome.complete
    assert shared.common("ease") == shared.common("slim")
    assert shared.common("recvae") is None
    assert counted.calls == 1
    monkeypatch.undo()
    doubled = {"gram": 2 * item_weights.gram_arrays(shared.split.train)["gram"]}
    for model in ("ease", "slim"):
        plan = read_description(tmp_path / model).plan
        assert (plan.common_lent, plan.common_bytes) == (True, doubled["gram"].nbytes)
        records = Ledger(tmp_path / model, "valid/ndcg_100").records.values()
        assert len(records) == 3
        differs = []
        for record in records:
            found = {name: record.reports[-1][f"valid/{name}"] for name in METRICS}
            assert found == scores(shared.split, model, record.config, doubled)
            differs.append(found != scores(shared.split, model, record.config, None))
        assert any(differs), "where much is added to it, the matrix itself may not show in the ranks"


class Borrower:
    """A worker that reads every byte of what it is lent."""

    def read(self, common: CommonArrays, data: SharedData) -> tuple[int, bool]:
        train, _ = from_shared(data)
        gram = common["gram"]
        before, _ = memory()
        view = lent_gram(train, common)
        assert float(view.sum()) > 0
        in_place = view.data_ptr() == gram.ctypes.data and not gram.flags.writeable
        return memory()[0] - before, in_place


@pytest.mark.ray
def test_workers_read_it_where_it_lies(cluster: Cluster) -> None:
    large = synthetic_split(n_users=300, n_items=5000, seed=1)
    shared = Session(cluster, large)
    borrowers = [ray.remote(num_cpus=0.1)(Borrower).remote() for _ in range(2)]
    found = ray.get([b.read.remote(shared.common("ease"), shared.data) for b in borrowers])
    size = item_weights.gram_arrays_bytes(large.train)
    assert size == 4 * large.n_items**2
    for grown, in_place in found:
        assert in_place
        assert grown < 0.05 * size, "a worker has a copy of its own"


@pytest.mark.parametrize("model", WITH_COMMON)
def test_what_is_lent_is_not_changed_and_gives_the_same_model(model: str) -> None:
    common = registry.common_of(model)
    assert common is not None
    arrays = common.compute(SPLIT.train)
    assert sum(array.nbytes for array in arrays.values()) == common.size(SPLIT.train)
    before = {name: array.copy() for name, array in arrays.items()}
    for array in arrays.values():
        array.flags.writeable = False
    states = []
    for lent in (arrays, None):
        trainer = registry.make_trainer(
            model, registry.config_from_dict(model, {}), SPLIT.train, seed=0, common=lent
        )
        trainer.step()
        states.append(trainer.model_state())
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("model", WITH_COMMON)
def test_memory_counts_it_once_a_node_and_not_in_a_trial(model: str) -> None:
    config = registry.config_from_dict(model, {})
    own, disk = registry.memory_bytes(model, config, SPLIT.train)
    lent, lent_disk = registry.memory_bytes(model, config, SPLIT.train, lent=True)
    assert lent <= own
    assert disk == lent_disk
    on_gpu = [
        registry.memory_bytes(model, config, SPLIT.train, device="cuda", lent=lent) for lent in (True, False)
    ]
    assert on_gpu[0] == on_gpu[1], "a GPU has its own copy, lent or not"


def test_a_lent_gram_matrix_is_not_part_of_what_slim_takes() -> None:
    config = registry.config_from_dict("slim", {})
    own, lent = (registry.memory_bytes("slim", config, SPLIT.train, lent=lent)[0] for lent in (False, True))
    assert own - lent == 4 * SPLIT.n_items**2


def test_the_share_of_a_long_step_is_shown_and_not_written_down(tmp_path: Path) -> None:
    config = toy_search_config()
    conductor = open_conductor(tmp_path, config)
    task = conductor.next_task()
    assert task is not None
    written = (tmp_path / LEDGER_FILE).read_bytes()
    scheduler = ConductorScheduler(conductor, Workers(conductor, print))
    trial = SimpleNamespace(config={"task": task.to_dict()}, run_metadata=SimpleNamespace())
    assert scheduler.on_trial_result(None, trial, {SHARE: 0.42, "time_total_s": 1.0}) == "CONTINUE"
    assert (tmp_path / LEDGER_FILE).read_bytes() == written
    shown = StringIO()
    outlook = Outlook(conductor.ledger, config, Never(), trial_passes=8, at_once=1)
    progress = Progress(Console(file=shown), conductor.ledger, config, outlook=outlook)
    monotonic = time.monotonic() + 2 * PLAIN_EVERY_S
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: monotonic)
        progress.refresh()
    assert "running: 42% solved" in shown.getvalue()
    report = {"passes": 4, "cycle": 1, METRIC: 0.3, "train_s": 1.0}
    scheduler.on_trial_result(None, trial, report)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: monotonic + 2 * PLAIN_EVERY_S)
        progress.refresh()
    assert shown.getvalue().count("solved") == 1


def plan_text(session: Session, model: str) -> tuple[Plan, str]:
    config = SearchConfig(data="data", model=model, gpus_per_trial=0)
    plan = plan_search(config, load_space(config), session)
    return plan, plan.text()


def test_the_plan_counts_it_where_it_is_lent_and_says_where_it_does_not_fit() -> None:
    data, gram = dataset_bytes(SPLIT), 4 * SPLIT.n_items**2
    fitting, text = plan_text(session(data + gram), "ease")
    assert (fitting.shared_bytes, fitting.lent) == (data + gram, True)
    assert "of it computed once for all trials" in text
    short = session(data + gram - 1)
    left_out, text = plan_text(short, "ease")
    assert (left_out.shared_bytes, left_out.lent, left_out.common_bytes) == (data, False, gram)
    assert "do not fit Ray's object store, so that each computes its own" in text
    assert short.common("ease") is None
    without, text = plan_text(session(data + gram), "recvae")
    assert (without.shared_bytes, without.lent, without.common_bytes) == (data, False, 0)
    assert "common" not in text
    assert "computed once" not in text
