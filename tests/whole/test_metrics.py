"""Other metrics than the published ones, from the command line to the tables: what chooses, is written, is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import distrecvae as dr
from distrecvae.cli import main
from distrecvae.data.io import save_dataset
from distrecvae.data.synthetic import synthetic_split
from distrecvae.errors import ConfigError

MINE = "tests.metrics.mine:half@4"
NAMES = ["mrr_5", "ndcg_10", "tests.metrics.mine:half_4", "coverage_20"]


def status(*words: str) -> int:
    """Return the exit status of a command."""
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("metrics") / "data"
    save_dataset(synthetic_split(n_users=160, n_items=60, seed=3), folder, {})
    return str(folder)


def test_a_training_is_chosen_by_one_and_tells_the_others(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    settings = ["--set", "hidden_dim=8", "--set", "latent_dim=4", "--max-passes", "12"]
    chosen = ["--metric", "MRR@5", "--metrics", f"ndcg@10,{MINE},coverage@20"]
    assert status("train", "--data", data, "--out", str(out), *settings, *chosen) == 0
    told = json.loads((out / "best" / "metrics.json").read_text())
    assert told["selected_by"] == "valid/mrr_5"
    assert list(told["test"]["mean"]) == NAMES
    assert told["test"]["standard_error"]["coverage_20"] is None
    history = pd.read_csv(out / "history.csv")
    assert history.loc[int(history["valid/mrr_5"].argmax()), "cycle"] == told["cycle"]
    printed = capsys.readouterr().out
    assert "MRR@5" in printed
    assert "coverage@20" in printed
    # Scored again it is by the same metrics, unless others are named; continuing it is by no others.
    assert status("evaluate", "--model", str(out), "--data", data) == 0
    assert all(title in capsys.readouterr().out for title in ("NDCG@10 ",))
    found = dr.evaluate(out, data, metrics="recall@20,hit@1")
    assert found.names == ("recall_20", "hit_1")
    assert dr.evaluate(out, data).mean("mrr_5") == pytest.approx(told["test"]["mean"]["mrr_5"])
    assert status("train", "--out", str(out), "--resume", "--metric", "ndcg@10") == 2
    assert "was started with another --metric" in capsys.readouterr().err


@pytest.mark.ray
def test_a_search_is_chosen_by_one_and_its_tables_have_the_others(data: str, tmp_path: Path) -> None:
    found = dr.search(
        data,
        model="ease",
        trials=3,
        concurrent=1,
        metric="mrr@5",
        metrics=f"ndcg@10,{MINE},coverage@20",
        out=tmp_path / "out",
    )
    trials = found.trials
    assert [name for name in map(str, trials) if name.startswith("valid/")] == [
        f"valid/{name}" for name in NAMES
    ]
    assert trials["score"].max() == trials["valid/mrr_5"].max()
    assert found.best is not None
    assert list(found.best.scores["test"]) == NAMES
    assert "MRR@5" in found.summary
    assert "coverage@20" in found.summary
    page = found.report().read_text(encoding="utf-8")
    assert "MRR@5" in page
    # A search of before --metrics existed has none in its search.json: it is read as one by the published metrics.
    described = json.loads((found.folder / "search.json").read_text())
    assert described["settings"]["metrics"] == ",".join(NAMES)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--metric", "ndgc@10"], "did you mean 'ndcg'"),
        (["--metric", "gini@10"], "cannot choose"),
        (["--metrics", "ndcg@10,hit@61"], "Hit@61 counts 61 ranks and the data set has 60 items"),
        (["--metrics", "coverage"], "needs a cut-off"),
    ],
)
@pytest.mark.parametrize("command", ["train", "search"])
def test_what_cannot_be_computed_is_refused_before_anything_is_written(
    command: str, words: list[str], said: str, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(command, "--data", data, "--out", str(tmp_path / "out"), *words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_python_refuses_them_too(data: str) -> None:
    with pytest.raises(ConfigError, match="is not one of ndcg"):
        dr.train(data, metric="accuracy@3")
