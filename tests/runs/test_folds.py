"""Trainings on folds: where they lie, and their means over folds and over all users."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from distrecvae.errors import CheckpointError
from distrecvae.evaluation import Evaluation
from distrecvae.runs.folds import FOLDS_FILE, fold_places, read_n_folds, summarize_folds, write_n_folds


def scored(values: list[float], coverage: float) -> Evaluation:
    return Evaluation({"ndcg_100": np.array(values)}, np.arange(len(values)), 1, {"coverage_20": coverage})


def test_the_number_of_folds_is_read_back(tmp_path: Path) -> None:
    assert read_n_folds(tmp_path) is None
    write_n_folds(tmp_path, 5)
    assert read_n_folds(tmp_path) == 5
    assert [place.name for place in fold_places(tmp_path, 2)] == ["fold-1", "fold-2"]
    for damaged in ({"folds": 1}, {"folds": "five"}, {}):
        (tmp_path / FOLDS_FILE).write_text(json.dumps(damaged))
        with pytest.raises(CheckpointError, match="is damaged"):
            read_n_folds(tmp_path)


def test_means_are_over_folds_and_over_users(tmp_path: Path) -> None:
    # Folds of unlike sizes: the mean over users is not the mean over folds.
    test = [scored([0.1, 0.3], 0.5), scored([0.4], 0.7), scored([0.2, 0.6, 0.4], 0.9)]
    valid = [scored([0.5], 0.1), scored([0.7], 0.1), scored([0.6], 0.1)]
    folds = [{"valid": v, "test": t} for v, t in zip(valid, test, strict=True)]
    found = summarize_folds(tmp_path, folds, "valid/ndcg_100")
    assert json.loads((tmp_path / "metrics.json").read_text()) == found
    assert found["folds"] == 3
    assert found["test"]["per_fold"]["ndcg_100"] == pytest.approx([0.2, 0.4, 0.4])
    assert found["test"]["mean"]["ndcg_100"] == pytest.approx(1 / 3)
    # Deviation with n - 1 of 0.2, 0.4, 0.4 is 0.11547; over sqrt(3) that is 1 / 15.
    assert found["test"]["standard_error"]["ndcg_100"] == pytest.approx(1 / 15)
    assert found["valid"]["mean"]["ndcg_100"] == pytest.approx(0.6)
    over = found["test"]["over_users"]
    users = np.array([0.1, 0.3, 0.4, 0.2, 0.6, 0.4])
    assert over["mean"] == pytest.approx({"ndcg_100": users.mean()})
    assert over["standard_error"] == pytest.approx({"ndcg_100": users.std() / math.sqrt(6)})
    assert (over["n_evaluated"], over["n_skipped"]) == (6, 3)
    assert found["test"]["mean"]["coverage_20"] == pytest.approx(0.7)


def test_a_fold_without_users_makes_no_number(tmp_path: Path) -> None:
    folds = [{"valid": scored([0.5], 0.1), "test": scored(values, 0.1)} for values in ([], [0.4])]
    found = summarize_folds(tmp_path, folds, "valid/ndcg_100")["test"]
    assert found["per_fold"]["ndcg_100"] == [None, 0.4]
    assert found["mean"]["ndcg_100"] is None
    assert found["standard_error"]["ndcg_100"] is None
