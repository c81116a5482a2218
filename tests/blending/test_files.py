"""A blend's folder: a model that loads, tables that agree, and nothing overwritten that is not a blend."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from distrecvae.blending.facts import read_facts
from distrecvae.blending.files import require_free, write_blend
from distrecvae.data.summary import facts
from distrecvae.errors import ResultsError
from distrecvae.evaluation import evaluate
from distrecvae.saved.model import load_model
from tests.blending.models import split
from tests.blending.test_outcome import METRIC, scored


def written(folder: Path, *, replace: bool = False) -> Path:
    data = facts(split(), {})
    write_blend(
        folder, scored("ease", "recvae", "popularity"), item_ids=split().item_ids,
        item_counts=split().train.item_counts(), data=data, replace=replace,
    )  # fmt: skip
    return folder


def test_a_blend_knows_what_to_fall_back_on(tmp_path: Path) -> None:
    # Blends were written without counts of items, so `recommend --fallback popularity` refused each of them.
    loaded = load_model(written(tmp_path / "blend"))
    counts = split().train.item_counts()
    with pytest.warns(UserWarning, match="1 user given popularity"):
        frame = loaded.recommend({"ann": []}, top=3, fallback="popularity")
    assert set(frame["source"]) == {"popularity"}
    most = np.argsort(-counts, kind="stable")[:3]
    assert [str(item) for item in frame["item_id"]] == [str(item) for item in split().item_ids[most]]


def test_the_folder_has_it_all(tmp_path: Path) -> None:
    folder, outcome = written(tmp_path / "blend"), scored("ease", "recvae", "popularity")
    assert {path.name for path in folder.iterdir()} == {
        "best", "blend.json", "candidates.csv", "summary.txt", "test_per_user.parquet"
    }  # fmt: skip
    loaded = load_model(folder)
    assert loaded.data["fingerprint"] == split().fingerprint
    assert evaluate(loaded.recommender, split().test).mean(METRIC) == outcome.test.mean(METRIC)
    assert read_facts(folder).test == outcome.test.mean(METRIC)
    assert list(pd.read_csv(folder / "candidates.csv")["name"]) == ["ease", "recvae", "popularity"]
    users = pd.read_parquet(folder / "test_per_user.parquet")
    mine = users[users["model"] == "blend"]
    np.testing.assert_array_equal(mine[METRIC], outcome.test.per_user[METRIC])
    assert set(users["model"]) == {
        "blend",
        outcome.choice.single.name,
        *(each.name for each in outcome.choice.members),
    }


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    folder = written(tmp_path / "blend")
    with pytest.raises(ResultsError, match="is not empty; an existing folder is never overwritten"):
        written(folder)
    written(folder, replace=True)
    assert [path.name for path in tmp_path.iterdir()] == ["blend"]
    other = tmp_path / "notes"
    other.mkdir()
    (other / "mine.txt").write_text("x")
    with pytest.raises(ResultsError, match="is not empty"):
        require_free(other, replace=True)
    with pytest.raises(ResultsError, match="is a file"):
        require_free(other / "mine.txt", replace=True)
