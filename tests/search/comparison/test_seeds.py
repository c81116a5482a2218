"""Seeds of a chosen configuration: each a training of its own, averaged user by user; what is solved is solved once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from distrecvae.data.dataset import Split
from distrecvae.data.synthetic import synthetic_split
from distrecvae.errors import ConfigError
from distrecvae.evaluation import evaluate
from distrecvae.layout import BEST_FOLDER
from distrecvae.runs.seeds import read_seeds, seed_folder
from distrecvae.runs.training_run import RunSettings, TrainingRun
from distrecvae.saved.model import load_model
from distrecvae.search.comparison import seeds
from distrecvae.search.comparison.row import Row
from distrecvae.search.comparison.seeds import (
    SEEDS_FOLDER,
    Repeats,
    require_growing,
    seed_numbers,
    with_seeds,
)
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.on_ray.session import Session
from distrecvae.search.planning.plan import Plan
from distrecvae.search.planning.resources import Cluster
from distrecvae.training.registry import config_to_dict
from tests.search.comparison.rows import row

MULTVAE = {"hidden_dim": 8, "latent_dim": 4, "batch_size": 50}


def test_seeds_begin_with_the_comparisons_own_and_one_tells_nothing() -> None:
    config = SearchConfig(data="data", seed=5)
    assert seed_numbers(config, 3) == (5, 6, 7)
    assert seed_numbers(config, None) == ()
    with pytest.raises(ConfigError, match="--seeds 1: one seed tells nothing of others; give 2 or more"):
        seed_numbers(config, 1)


def test_seeds_of_a_comparison_may_only_grow() -> None:
    assert require_growing(None, None, Path("a")) is None
    assert require_growing(3, None, Path("a")) == 3
    assert require_growing(3, 5, Path("a")) == 5
    assert require_growing(None, 2, Path("a")) == 2
    with pytest.raises(ConfigError, match="a was started with 3 seeds, --seeds is 2; they may only grow"):
        require_growing(3, 2, Path("a"))


@pytest.fixture(scope="module")
def split() -> Split:
    return synthetic_split(n_users=150, n_items=60, seed=3)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Train in this process, where Ray's workers would; return which trainings were asked for."""
    asked: list[Path] = []

    def train(missing: Mapping[Path, RunSettings], _folder: Path, split: Split, **_more: Any) -> bool:
        for place, settings in missing.items():
            asked.append(place)
            run = TrainingRun(place, settings, split)
            list(run.cycles())
            run.save()
        return False

    monkeypatch.setattr(seeds, "train_seeds", train)
    return asked


def repeated(found: Row, place: Path, split: Split, count: int, said: list[str] | None = None) -> Row | None:
    config = SearchConfig(data="data", model=found.model, seed=5)
    slots = SimpleNamespace(gpus=0, cpus=1)
    plan = cast(Plan, SimpleNamespace(config=config, trial_passes=2, precision="float32", slots=slots))
    session = Session(Cluster(((1.0, 0.0),), 10**9, 10**9, False), split)
    repeats = Repeats(seed_numbers(config, count), "data")
    return with_seeds(found, place, plan, session, repeats, ([] if said is None else said).append)


def test_each_seed_is_a_training_of_its_own_and_a_users_value_their_mean(
    tmp_path: Path, split: Split, trained: list[Path]
) -> None:
    from distrecvae.training import registry

    whole = config_to_dict(registry.config_from_dict("multvae", MULTVAE))
    own = row("mine", 0.4, np.zeros(3), model="multvae", config=whole)
    found = repeated(own, tmp_path, split, 2)
    assert found is not None
    assert found.seeds is not None
    assert found.seeds.numbers == (5, 6)
    folder = tmp_path / SEEDS_FOLDER
    assert read_seeds(folder) == (5, 6)
    singles = [
        evaluate(load_model(seed_folder(folder, number) / BEST_FOLDER).recommender, split.test)
        for number in (5, 6)
    ]
    mean = np.mean([each.per_user["ndcg_100"] for each in singles], axis=0)
    np.testing.assert_allclose(found.test.per_user["ndcg_100"], mean)
    assert found.seeds.test["ndcg_100"] == pytest.approx([each.mean("ndcg_100") for each in singles])
    assert singles[0].mean("ndcg_100") != singles[1].mean("ndcg_100"), "another seed is another model"
    assert (found.trials, found.search_s) == (own.trials, own.search_s)
    assert len(trained) == 2

    # Continuing trains what is missing and nothing else.
    said: list[str] = []
    more = repeated(own, tmp_path, split, 3, said)
    assert said == ["training the chosen configuration again, with 1 seed: at most 2 passes"]
    assert more is not None
    assert more.seeds is not None
    assert more.seeds.test["ndcg_100"][:2] == found.seeds.test["ndcg_100"]
    assert [place.name for place in trained] == ["seed-5", "seed-6", "seed-7"]


def test_what_is_solved_at_once_is_trained_once_and_has_no_error_over_seeds(
    tmp_path: Path, trained: list[Path]
) -> None:
    split = synthetic_split(n_users=150, n_items=60, seed=3)
    found = repeated(row("pop", 0.4, np.zeros(3), model="popularity", config={}), tmp_path, split, 4)
    assert found is not None
    assert found.seeds is not None
    assert found.seeds.count == 4
    assert found.seeds.standard_error("ndcg_100") == 0.0
    assert len(trained) == 1


def test_a_training_that_is_stopped_gives_no_row(
    tmp_path: Path, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seeds, "train_seeds", lambda *_, **__: True)
    assert repeated(row("pop", 0.4, np.zeros(3), model="popularity", config={}), tmp_path, split, 2) is None
