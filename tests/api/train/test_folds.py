"""Training on each fold: as it is called and as it is typed, to the same numbers; interrupted, resumed, refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import distrecvae
from distrecvae.api.train import folds as train_folds
from distrecvae.api.train.folder import Order, Trained, train_in
from distrecvae.api.train.folds import train_folds_in
from distrecvae.cli import main
from distrecvae.data.prepared import prepare_data
from distrecvae.errors import ConfigError, ResultsError

DATA = prepare_data(None, users=200, items=80, folds=3)


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def status(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return int(ended.value.code or 0)


def test_a_call_and_the_command_give_the_same_means(capsys: pytest.CaptureFixture[str]) -> None:
    called = distrecvae.train(DATA, model="ease", folds=True, threads=1)
    assert called.complete
    assert called.folds == 3
    summary = json.loads((called.folder / "metrics.json").read_text())
    assert called.scores == {group: summary[group]["mean"] for group in ("valid", "test")}
    for number, fold in enumerate(DATA.folds, 1):
        place = called.folder / f"fold-{number}"
        scored = distrecvae.evaluate(place, fold)
        assert scored.mean("ndcg_100") == summary["test"]["per_fold"]["ndcg_100"][number - 1]
    assert summary["test"]["over_users"]["n_evaluated"] == 180
    assert distrecvae.evaluate(called, DATA).means()["ndcg_100"] == summary["test"]["per_fold"]["ndcg_100"][0]

    DATA.save("folds")
    capsys.readouterr()
    assert (
        status("train", "--data", "folds", "--folds", "--model", "ease", "--out", "typed", "--threads", "1")
        == 0
    )
    out = capsys.readouterr().out
    assert json.loads(Path("typed/metrics.json").read_text()) == summary
    assert "over all 180 test users, each in one fold" in out
    assert "  fold 3" in out


def test_one_that_is_interrupted_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = distrecvae.train(DATA, model="ease", folds=True, out="whole", threads=1)

    def interrupted(place: Path, order: Order, **told: object) -> Trained:
        done = train_in(place, order, **told)  # type: ignore[arg-type]
        return Trained(False, done.settings, ended="stopped") if place.name == "fold-2" else done

    monkeypatch.setattr(train_folds, "train_in", interrupted)
    stopped = distrecvae.train(DATA, model="ease", folds=True, out="cut", threads=1)
    assert not stopped.complete
    with pytest.raises(ResultsError, match="no scores yet"):
        _ = stopped.scores
    monkeypatch.setattr(train_folds, "train_in", train_in)
    again = distrecvae.train(out="cut", folds=True, resume=True, threads=1)
    assert again.complete
    assert again.scores == whole.scores


def test_what_cannot_be_is_refused() -> None:
    one = prepare_data(None, users=200, items=80)
    for arguments, error, message in (
        ({"data": one}, ConfigError, "has no folds; make some with"),
        ({}, ConfigError, "data is missing; give a folder of folds"),
        ({"data": DATA, "seeds": 3}, ConfigError, "folds with seeds: each fold is trained on once"),
        ({"data": DATA, "refit": True, "max_passes": 3}, ConfigError, "folds with refit=True"),
    ):
        with pytest.raises(error, match=message):
            distrecvae.train(model="ease", folds=True, out="no", **arguments)
    distrecvae.train(one, model="ease", out="plain", threads=1)
    with pytest.raises(ResultsError, match="holds no runs on folds"):
        train_folds_in(Path("plain"), Order(given={}, resume=True), goes_on="")
    with pytest.raises(ResultsError, match="is not empty"):
        distrecvae.train(DATA, model="ease", folds=True, out="plain")
