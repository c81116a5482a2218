"""Seeds side by side on a real Ray: each is the run that it would be alone; tests/cli/test_train.py stops them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distrecvae.data.dataset import Split
from distrecvae.data.io import load_dataset, save_dataset
from distrecvae.data.synthetic import synthetic_split
from distrecvae.errors import DivergedError, ResourceError
from distrecvae.runs.training_run import RunSettings, TrainingRun
from distrecvae.search.on_ray import side_by_side
from distrecvae.search.on_ray.side_by_side import train_seeds
from distrecvae.search.planning.resources import Slots
from distrecvae.training.registry import config_class, config_to_dict
from tests.sites import ray_folder

pytestmark = pytest.mark.ray


@pytest.fixture(autouse=True)
def short_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(ray_folder()))


@pytest.fixture
def split(tmp_path: Path) -> Split:
    save_dataset(synthetic_split(n_users=100, n_items=60, seed=1), tmp_path / "data", {})
    return load_dataset(tmp_path / "data")


def settings(split: Split, folder: Path, seed: int, **changes: Any) -> RunSettings:
    sizes = {"latent_dim": 4, "hidden_dim": 8, "batch_size": 20, **changes.pop("config", {})}
    config = config_to_dict(config_class("recvae")(**sizes))
    about = {"model": "recvae", "config": config, "data": str(folder / "data"), "patience": None}
    return RunSettings(
        **{**about, "fingerprint": split.fingerprint, "seed": seed, "max_passes": 8, **changes}
    )


def train(runs: dict[Path, RunSettings], folder: Path, split: Split, **named: Any) -> bool:
    told: list[Slots] = []
    given = {"device": "cpu", "threads": 1, "checkpoint_every_s": 0.0, "address": None, "look": lambda: False}
    stopped = train_seeds(runs, folder, split, tell=told.append, **{**given, **named})
    assert len(told) == 1
    assert told[0].gpus == 0
    assert told[0].cpus == 1
    assert 1 <= told[0].concurrent <= len(runs)
    return stopped


def test_each_seed_is_the_run_that_it_would_be_alone_and_one_that_diverges_is_named(
    split: Split, tmp_path: Path
) -> None:
    good, bad = settings(split, tmp_path, 1), settings(split, tmp_path, 2, config={"learning_rate": 1e30})
    place, alone, elsewhere = (tmp_path / name for name in ("seed-1", "alone", "seed-2"))
    for folder in (place, alone, elsewhere):
        folder.mkdir()
    with pytest.raises(DivergedError, match=r"^seed 2: the loss is "):
        train({place: good, elsewhere: bad}, tmp_path, split)
    whole = TrainingRun(alone, good, split)
    expected = [report["valid/ndcg_100"] for report in whole.cycles()]
    found = TrainingRun(place, good, split)
    assert found.ended is not None, "the others run to their end"
    assert [report["valid/ndcg_100"] for report in found._training.history] == expected
    for name, value in whole._training.best_state.items():
        np.testing.assert_array_equal(found._training.best_state[name].numpy(), value.numpy())


def test_what_fits_nowhere_is_refused(split: Split, tmp_path: Path) -> None:
    place = tmp_path / "seed-0"
    place.mkdir()
    with pytest.raises(ResourceError, match="a trial asks for 4096 CPU"):
        train({place: settings(split, tmp_path, 0)}, tmp_path, split, threads=4096)
    assert list(place.iterdir()) == []


@pytest.mark.parametrize(("gpus", "calls"), [(0.0, 0), (1.0, 1)])
def test_a_worker_with_a_gpu_takes_one_run(gpus: float, calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # Asked for by `options`, Ray kept it, with its CUDA context, for whatever came next.
    asked: list[dict[str, Any]] = []

    def remote(**given: Any) -> Any:
        asked.append(given)
        return lambda function: function

    monkeypatch.setattr("ray.remote", remote)
    side_by_side._on_worker(2, gpus)
    assert [(each["num_gpus"], each["max_calls"]) for each in asked] == [(gpus, calls)]
