"""A refit trains on exactly the training and validation users, resumes, and looks at test users only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from distrecvae.data.synthetic import synthetic_split
from distrecvae.errors import CheckpointError, ConfigError
from distrecvae.runs.refit import RefitRun, chosen_passes, with_validation_users
from distrecvae.runs.training_run import RunSettings
from distrecvae.saved.model import load_model
from distrecvae.training import registry

SPLIT = synthetic_split(n_users=300, n_items=60, seed=4)
SMALL: dict[str, Any] = {"hidden_dim": 12, "latent_dim": 4, "batch_size": 60}


def settings(model: str = "recvae", max_passes: int = 10, **config: Any) -> RunSettings:
    whole = registry.config_to_dict(registry.config_from_dict(model, config))
    return RunSettings(
        model=model,
        config=whole,
        data="data",
        fingerprint=SPLIT.fingerprint,
        max_passes=max_passes,
        refit=True,
    )


def test_the_rows_are_those_of_training_users_then_validation_users_whole() -> None:
    both = with_validation_users(SPLIT)
    valid = SPLIT.valid.fold_in.to_scipy() + SPLIT.valid.held_out.to_scipy()
    expected = sp.vstack([SPLIT.train.to_scipy(), valid])
    assert both.shape == expected.shape
    np.testing.assert_array_equal(both.to_scipy().toarray(), expected.toarray())


def test_it_trains_for_the_passes_given_and_looks_at_test_users_once(tmp_path: Path) -> None:
    run = RefitRun(tmp_path, settings(**SMALL), SPLIT)
    reports = list(run.cycles())
    assert [report["passes"] for report in reports] == [4, 8]  # a third cycle of 4 does not fit in 10
    assert not any(name.startswith(("valid", "test")) for report in reports for name in report)
    scores = run.finish()
    metrics = json.loads((tmp_path / "best" / "metrics.json").read_text())
    assert set(scores) == {"test"}
    assert metrics["test"] == scores["test"].summary()
    assert metrics["train_users"] == SPLIT.train.n_users + SPLIT.valid.n_users
    assert load_model(tmp_path / "best").config.latent_dim == 4


def test_ease_is_solved_on_both_groups(tmp_path: Path) -> None:
    run = RefitRun(tmp_path, settings("ease", max_passes=1, regularization=50.0), SPLIT)
    list(run.cycles())
    run.finish()
    # The textbook: B = I - P diag(1 / diag P), P = (X'X + l2 I)^-1, in float64.
    X = with_validation_users(SPLIT).to_scipy().toarray().astype(np.float64)
    P = np.linalg.inv(X.T @ X + 50.0 * np.eye(X.shape[1]))
    B = np.eye(X.shape[1]) - P / np.diag(P)
    scores = load_model(tmp_path / "best").recommender.score(SPLIT.test.fold_in)
    expected = SPLIT.test.fold_in.to_scipy().toarray() @ B
    np.testing.assert_allclose(scores.numpy(), expected, atol=1e-4)


def test_interrupted_it_goes_on_to_the_same_model(tmp_path: Path) -> None:
    whole = RefitRun(tmp_path / "whole", settings(**SMALL), SPLIT)
    list(whole.cycles())
    whole.finish()
    parts = RefitRun(tmp_path / "parts", settings(**SMALL), SPLIT)
    next(parts.cycles())
    parts.save()
    again = RefitRun(tmp_path / "parts", settings(**SMALL), SPLIT)
    assert again.passes == 4
    list(again.cycles())
    again.finish()
    first, second = (
        load_model(tmp_path / name / "best").recommender.score(SPLIT.test.fold_in)
        for name in ("whole", "parts")
    )
    assert torch.equal(first, second)
    with pytest.raises(CheckpointError, match="is of another run"):
        RefitRun(tmp_path / "parts", settings(**{**SMALL, "latent_dim": 5}), SPLIT)


def test_the_passes_are_read_from_where_the_configuration_was_chosen(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text('{"passes": 84}', encoding="utf-8")
    assert chosen_passes(tmp_path) == 84
    (tmp_path / "metrics.json").write_text('{"trial": 3}', encoding="utf-8")
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(
            ConfigError, match=r"does not say after how many passes .* give them with --max-passes"
        ):
            chosen_passes(folder)
