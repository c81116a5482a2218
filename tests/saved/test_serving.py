"""A file of recommendations is what the model recommends, whole or not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from distrecvae.data.histories import as_table
from distrecvae.errors import ConfigError
from distrecvae.saved.model import LoadedModel, histories_for, load_model
from distrecvae.saved.serving import write_recommendations
from tests.whole.test_recommending import save

HISTORIES = {"ann": [10], "bob": [20, 30], "eve": [40, 10, 20]}


@pytest.fixture
def model(tmp_path: Path) -> LoadedModel:
    return load_model(save(tmp_path / "model"))


@pytest.mark.parametrize("include_seen", [False, True])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_file_has_what_recommend_returns(
    model: LoadedModel, tmp_path: Path, suffix: str, include_seen: bool
) -> None:
    path, done = tmp_path / f"out.{suffix}", list[int]()
    found = histories_for(model, as_table(HISTORIES), None)
    n_rows = write_recommendations(model, found, path, top=2, include_seen=include_seen, progress=done.append)
    table = pd.read_csv(path) if suffix == "csv" else pd.read_parquet(path)
    expected = model.recommend(HISTORIES, top=2, include_seen=include_seen)
    pd.testing.assert_frame_equal(table, expected, check_dtype=False)
    assert n_rows == len(expected)
    assert done[-1] == len(HISTORIES)


def test_nothing_cannot_be_asked_for_and_leaves_no_file(model: LoadedModel, tmp_path: Path) -> None:
    found = histories_for(model, as_table(HISTORIES), None)
    with pytest.raises(ConfigError, match="top is 0; it must be a whole number of at least 1"):
        write_recommendations(model, found, tmp_path / "out.csv", top=0, include_seen=False)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_writer_that_fails_leaves_the_older_file(
    model: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.csv"
    path.write_text("older", encoding="utf-8")

    def broken(*_: object, **__: object) -> object:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("distrecvae.saved.serving.lists", broken)
    found = histories_for(model, as_table(HISTORIES), None)
    with pytest.raises(OSError, match="No space left"):
        write_recommendations(model, found, path, top=2, include_seen=False)
    assert path.read_text(encoding="utf-8") == "older"
    assert np.array_equal(sorted(p.name for p in tmp_path.iterdir()), ["model", "out.csv"])
