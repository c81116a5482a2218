"""A model folder in use: `distrecvae.load(...).recommend(...)`."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import distrecvae
from distrecvae.errors import CheckpointError, ConfigError
from distrecvae.models.ease import EASEConfig
from distrecvae.saved.model import save_model

# Item 10 speaks for 20, 20 for 30, 30 for 10; nothing speaks for 40.
WEIGHT = torch.tensor([[0, 3, 1, 0], [0, 0, 3, 0], [3, 0, 0, 0], [0, 0, 0, 0.0]])


def save(folder: Path, **data: Any) -> Path:
    save_model(
        folder,
        model="ease",
        config=EASEConfig(),
        state={"weight": WEIGHT},
        item_ids=np.array([10, 20, 30, 40]),
        metrics={},
        data=data,
    )
    return folder


@pytest.fixture
def results(tmp_path: Path) -> Path:
    save(tmp_path / "runs" / "best")
    return tmp_path / "runs"


def lists(frame: pd.DataFrame) -> dict[Any, list[tuple[int, float]]]:
    found: dict[Any, list[tuple[int, float]]] = {}
    for user, rank, item, score in frame.itertuples(index=False):
        assert rank == len(found.setdefault(user, [])) + 1
        found[user].append((item, score))
    return found


def test_a_results_folder_or_its_best_recommends(results: Path) -> None:
    for folder in (results, results / "best", str(results)):
        frame = distrecvae.load(folder).recommend({"ann": [10], "bob": [20, 30]}, top=2)
        assert lists(frame) == {"ann": [(20, 3), (30, 1)], "bob": [(10, 3), (40, 0)]}


def test_what_a_user_has_is_recommended_where_it_is_asked_for(results: Path) -> None:
    frame = distrecvae.load(results).recommend([[20, 10]], include_seen=True)
    assert lists(frame) == {0: [(30, 4), (20, 3), (10, 0), (40, 0)]}


def test_more_than_there_are_is_all_there_are(results: Path) -> None:
    model = distrecvae.load(results)
    with pytest.warns(UserWarning, match=r"1 user without recommendations: they have every item .* \(0\)"):
        assert len(model.recommend([[10, 20, 30, 40], [10]], top=10**9)) == 3


def test_what_is_left_out_is_warned_of(results: Path) -> None:
    model = distrecvae.load(results)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        frame = model.recommend({"a": [10, 99], "b": [98]}, top=1)
        model.recommend({"a": [10, 97], "c": [96]}, top=1)
    assert lists(frame) == {"a": [(20, 3)]}
    # One warning a process: a service would fill its log with one a request.
    assert [str(warning.message) for warning in caught] == [
        "2 items unknown to the model (such as 98): 2 rows ignored; 1 user left out: no item that the model knows ('b')"
    ]
    assert all(warning.filename == __file__ for warning in caught)


def test_the_threshold_of_the_models_data_holds_for_a_frame_with_ratings(tmp_path: Path) -> None:
    model = distrecvae.load(save(tmp_path / "m", options={"min_rating": 3.5}))
    frame = pd.DataFrame({"user_id": [1, 1], "item_id": [10, 20], "rating": [4, 3]})
    assert lists(model.recommend(frame)) == {1: [(30, 1), (40, 0)]}
    assert lists(model.recommend(frame, min_rating=0)) == {1: [(30, 4), (40, 0)]}
    assert lists(model.recommend(frame.drop(columns="rating"))) == {1: [(30, 4), (40, 0)]}


@pytest.mark.parametrize("top", [0, -1, 2.0, True])
def test_nothing_cannot_be_asked_for(results: Path, top: Any) -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        distrecvae.load(results).recommend([[10]], top=top)


def test_a_folder_without_a_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nowhere does not exist; give a folder that"):
        distrecvae.load(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match=r"holds no model .* nor in best/"):
        distrecvae.load(tmp_path)
    (tmp_path / "search.json").write_text("{}")
    with pytest.raises(
        CheckpointError, match=r"has no model yet, it is not finished; continue it with --resume"
    ):
        distrecvae.load(tmp_path)


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, distrecvae; print(sorted(sys.modules.keys() & {'torch', 'pandas', 'numpy', 'ray', 'pyarrow'}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
