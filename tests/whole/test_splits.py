"""Every split through the whole program: prepared, searched or trained, evaluated, compared with Python's; and made
like another the day after."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import distrecvae as dr
from distrecvae.cli import main
from distrecvae.data.dataset import n_leaks
from distrecvae.data.prepared import read_data
from distrecvae.errors import ConfigError
from distrecvae.runs.refit import with_validation_users
from tests.data.splitting.ratings import ratings
from tests.data.splitting.test_brought import recbole

SPLITS: dict[str, dict[str, Any]] = {
    "latest": {"held_out_by": "time"},
    "moments": {"split": "global-time", "valid_from": "2016-01-01", "test_from": "2016-06-01"},
    "shares": {"split": "global-time"},
    "last": {"split": "leave-last", "leave": 2},
}


def status(*words: object) -> int:
    """Return the exit status of a command."""
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return int(ended.value.code or 0)


def options(split: dict[str, Any]) -> list[str]:
    return [word for name, value in split.items() for word in (f"--{name.replace('_', '-')}", str(value))]


@pytest.mark.parametrize("name", SPLITS)
def test_a_split_goes_the_whole_way_typed_and_called(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, split = ratings(), SPLITS[name]
    rows.to_csv(tmp_path / "ratings.csv", index=False)
    data, run = tmp_path / "data", tmp_path / "run"
    assert status("prepare", tmp_path / "ratings.csv", "--out", data, "--min-rating", 3, *options(split)) == 0
    called = dr.prepare(rows, min_rating=3, **split)
    typed = read_data(data)
    assert called.fingerprint == typed.fingerprint
    assert typed.split.overlapping == (name != "latest")
    assert n_leaks(typed.split) == 0

    small = ["--set", "hidden_dim=8", "--set", "latent_dim=4", "--set", "batch_size=40", "--max-passes", "8"]
    assert status("train", "--data", data, "--out", run, "--threads", 1, *small) == 0
    assert (
        status("train", "--data", data, "--out", tmp_path / "pop", "--model", "popularity", "--threads", 1)
        == 0
    )
    capsys.readouterr()
    assert status("evaluate", "--model", run, "--data", data, "--against", tmp_path / "pop") == 0
    assert "paired over" in capsys.readouterr().out
    scores = json.loads((run / "best" / "metrics.json").read_text())
    assert dr.evaluate(run, called).means() == scores["test"]["mean"]
    card = (run / "best" / "README.md").read_text()
    assert ("What was to be found was not trained on" in card) == typed.split.overlapping

    chosen = ["--config", run / "best" / "config.json", "--max-passes", 4, "--threads", 1]
    assert status("train", "--data", data, "--out", tmp_path / "ship", "--refit", *chosen) == 0
    refit = json.loads((tmp_path / "ship" / "best" / "metrics.json").read_text())
    both = with_validation_users(typed.split)
    own = typed.split.train.n_users + (typed.split.valid.n_users if name == "latest" else 0)
    assert refit["train_users"] == both.n_users == own
    assert (
        status(
            "recommend", "--model", run, "--histories", tmp_path / "ratings.csv", "--out", tmp_path / "r.csv"
        )
        == 0
    )

    # The day after: the same split of more rows, and another refused.
    more = pd.concat([rows, rows.assign(userId=rows["userId"] + 500)])
    today = dr.prepare(more, like=str(data))
    assert today.protocol["options"] == typed.protocol["options"]
    assert dr.evaluate(run, today).n_evaluated
    other = "leave-last" if split.get("split") != "leave-last" else "users"
    with pytest.raises(ConfigError, match="would test by what its models were trained on"):
        dr.prepare(more, like=str(data), split=other)


def test_a_refit_trains_on_what_a_user_did_once_in_one_row() -> None:
    split = dr.prepare(ratings(), split="leave-last").split
    both = with_validation_users(split)
    assert both.shape == split.train.shape
    expected = split.test.fold_in.to_scipy().toarray()
    assert np.array_equal(both.to_scipy().toarray(), expected)  # all but what the test asks for


def test_moments_never_go_back_the_day_after(tmp_path: Path) -> None:
    """Yesterday's model would be tested by what it was trained on."""
    rows = ratings()
    yesterday = dr.prepare(rows, out=tmp_path / "data", **SPLITS["moments"])
    later = dr.prepare(rows, like=yesterday, valid_from="2016-03-01")
    assert later.protocol["moments"]["valid_from_written"].startswith("2016-03-01")
    with pytest.raises(ConfigError, match=r"is earlier: its models know what would be predicted"):
        dr.prepare(rows, like=yesterday, valid_from="2015-10-01")


@pytest.mark.ray
def test_searches_compare_and_blend_on_splits_of_time(tmp_path: Path) -> None:
    rows = ratings()
    data = dr.prepare(rows, split="leave-last", leave=2, out=tmp_path / "data")
    compared = dr.compare(data, models=["ease", "popularity"], trials=2, out=tmp_path / "both", blend=False)
    assert list(compared.table["name"]) == ["ease", "popularity"]
    moments = dr.prepare(rows, split="global-time")
    found = dr.search(moments, model="ease", trials=2, out=tmp_path / "found")
    assert found.complete
    assert (tmp_path / "found" / "data" / "dataset.json").exists()
    blended = dr.blend(compared, data, out=tmp_path / "blend")
    assert dr.evaluate(blended, data).n_evaluated == data.split.test.n_scored


def test_a_split_that_is_brought_goes_the_whole_way(tmp_path: Path) -> None:
    recbole(tmp_path / "ml")
    assert status("prepare", tmp_path / "ml", "--out", tmp_path / "data") == 0
    assert (
        status(
            "train", "--data", tmp_path / "data", "--model", "ease", "--out", tmp_path / "run", "--threads", 1
        )
        == 0
    )
    called = dr.prepare(tmp_path / "ml")
    assert dr.evaluate(tmp_path / "run", called).n_evaluated == called.split.test.n_scored
    assert "Split elsewhere" in (tmp_path / "run" / "best" / "README.md").read_text()
    assert status("prepare", tmp_path / "data", "--export-pro-sg", tmp_path / "export") == 2


@pytest.mark.parametrize("name", SPLITS)
def test_synthetic_data_can_be_split_so(name: str) -> None:
    split = {key: value for key, value in SPLITS[name].items() if not key.endswith("_from")}
    made = dr.prepare(synthetic=True, users=300, items=80, **split)
    assert n_leaks(made.split) == 0
    assert made.split.valid.n_scored > 10
    assert made.split.test.n_scored > 10
    assert dr.prepare(synthetic=True, users=300, items=80, **split).fingerprint == made.fingerprint
