"""The model that a training keeps, read from its state file alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from distrecvae.errors import CheckpointError
from distrecvae.evaluation import evaluate
from distrecvae.layout import STATE_FILE
from distrecvae.runs.kept import kept_model
from distrecvae.runs.trial import TrialTask, run_trial
from distrecvae.saved.places import StateFile
from distrecvae.saved.tensors import save_state
from distrecvae.training.registry import config_from_dict, load_recommender
from tests.training.checkerboard import checkerboard

METRIC = "valid/ndcg_100"


def trial(folder: Path) -> tuple[TrialTask, list[dict[str, float]]]:
    """Return a trial that ran, with its reports."""
    task = TrialTask(
        number=0, model="recvae", config={"hidden_dim": 8, "latent_dim": 3, "learning_rate": 0.02}, seed=3,
        max_passes=24, metric=METRIC,
    )  # fmt: skip
    train, valid = checkerboard()
    return task, [*run_trial(task, StateFile(folder / STATE_FILE), train, valid)]


def test_the_best_model_comes_back_with_what_it_is(tmp_path: Path) -> None:
    task, reports = trial(tmp_path)
    kept = kept_model(tmp_path / STATE_FILE, METRIC)
    best = max(reports, key=lambda report: report[METRIC])
    assert (kept.model, kept.config, kept.cycle) == ("recvae", task.config, best["cycle"])
    _, valid = checkerboard()
    model = load_recommender(kept.model, config_from_dict(kept.model, kept.config), valid.n_items, kept.state)
    assert evaluate(model, valid).mean("ndcg_100") == best[METRIC]


def test_a_file_that_is_not_there_or_no_trials_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        kept_model(tmp_path / "state.safetensors", METRIC)
    save_state(tmp_path / "a", {"x": torch.ones(1)}, {"model": "ease"})
    with pytest.raises(CheckpointError, match="is not a trial's state"):
        kept_model(tmp_path / "a", METRIC)
    identity = {"model": "ease", "config": {}}
    save_state(tmp_path / "b", {"x": torch.ones(1)}, {"identity": identity, "history": []})
    with pytest.raises(CheckpointError, match="holds no model yet"):
        kept_model(tmp_path / "b", METRIC)
    report = {"cycle": 1, METRIC: 0.5}
    save_state(tmp_path / "c", {"trainer/x": torch.ones(1)}, {"identity": identity, "history": [report]})
    with pytest.raises(CheckpointError, match="holds no model beside its training"):
        kept_model(tmp_path / "c", METRIC)
