"""`distrecvae.train` is the command, called; what comes of it is scored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import distrecvae
from distrecvae.api import training
from distrecvae.api.results import TrainResult
from distrecvae.api.train.folder import Trained
from distrecvae.cli import main
from distrecvae.data.prepared import prepare_data
from distrecvae.errors import ConfigError, ResultsError
from distrecvae.saved.tensors import load_state

DATA = prepare_data(None, users=200, items=80)
SMALL = {"hidden_dim": 16, "latent_dim": 4, "batch_size": 100}


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_call_trains_the_model_that_the_command_trains() -> None:
    DATA.save("data")
    words = [part for name, value in SMALL.items() for part in ("--set", f"{name}={value}")]
    with pytest.raises(SystemExit):
        main(["train", "--data", "data", "--out", "typed", "--max-passes", "12", "--threads", "1", *words])
    called = distrecvae.train(DATA, set=SMALL, max_passes=12, threads=1)
    assert called.complete
    assert called.folder == Path("runs/train-recvae")
    (one, _), (other, _) = (
        load_state(folder / "best" / "model.safetensors") for folder in (Path("typed"), called.folder)
    )
    assert all((one[name] == other[name]).all() for name in one)
    typed = json.loads(Path("typed/best/metrics.json").read_text(encoding="utf-8"))
    assert called.scores == {group: typed[group]["mean"] for group in ("valid", "test")}
    assert len(called.history) == 3

    for model in (called, called.folder, str(called.folder), distrecvae.load(called.folder), called.model):
        assert distrecvae.evaluate(model, DATA).means() == called.scores["test"]
    assert distrecvae.evaluate(called, "data", group="valid").means() == called.scores["valid"]


def test_the_configuration_of_a_result_is_taken_with_its_model() -> None:
    first = distrecvae.train(DATA, model="ease", set={"regularization": 7.0}, threads=1)
    second = distrecvae.train(DATA, config=first, threads=1)
    assert second.folder == Path("runs/train-ease-2")
    assert (second.model.model, second.model.config.regularization) == ("ease", 7.0)
    refit = distrecvae.train(DATA, config=first, refit=True, threads=1)
    assert list(refit.scores) == ["test"]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({"model": "ease", "config": {"regularization": 7}}, ("ease", 7.0)),
        ({"config": {"model": "ease", "config": {"regularization": 7}}}, ("ease", 7.0)),
        ({"model": "ease", "config": {"regularization": 7}, "set": {"regularization": 9.0}}, ("ease", 9.0)),
        ({"model": "ease", "set": {"regularization": 9.0}}, ("ease", 9.0)),
    ],
)
def test_a_configuration_may_be_a_dict(arguments: dict[str, Any], found: tuple[str, float]) -> None:
    loaded = distrecvae.train(DATA, threads=1, **arguments).model
    assert (loaded.model, loaded.config.regularization) == found


def test_what_is_wrong_is_said_in_the_words_of_python() -> None:
    with pytest.raises(ConfigError, match="model is ease"):
        distrecvae.train(DATA, model="ease", config={"model": "recvae", "config": {}})
    with pytest.raises(ConfigError, match="data is missing"):
        distrecvae.train(model="ease")
    with pytest.raises(ConfigError, match="patience"):
        distrecvae.train(DATA, model="ease", patience=-1)
    with pytest.raises(ResultsError, match="no runs/train-ease to resume; leave out resume=True"):
        distrecvae.train(model="ease", resume=True)
    with pytest.raises(ConfigError, match=r"refit=True needs config FOLDER/config\.json"):
        distrecvae.train(DATA, refit=True)
    assert not Path("runs").exists()


def test_an_interrupted_run_says_a_call_that_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, Any] = {}

    def stopped(out: Path, order: Any, *, goes_on: str, data: Any) -> Trained:
        told["goes_on"] = goes_on
        return Trained(False, order, ended=f"stopped; {goes_on}")

    DATA.save("data")
    with monkeypatch.context() as patch:
        patch.setattr(training, "train_in", stopped)
        result = distrecvae.train("data", model="ease", out="runs/mine")
    assert not result.complete
    assert "not over" in repr(result)
    assert str(result) in result._repr_html_().replace("&#x27;", "'")
    with pytest.raises(ResultsError, match="resume=True"):
        _ = result.scores
    distrecvae.train("data", model="ease", out="runs/mine", threads=1)
    namespace: dict[str, Any] = {}
    exec(told["goes_on"].replace("; ", "; result = ", 1), namespace)  # noqa: S102
    assert isinstance(namespace["result"], TrainResult)
    assert namespace["result"].complete


def test_weights_of_a_result_are_begun_with() -> None:
    first = distrecvae.train(DATA, model="multdae", set=SMALL, max_passes=3, threads=1)
    for earlier in (first, first.folder):
        second = distrecvae.train(DATA, warm_weights=earlier, max_passes=2, threads=1)
        assert second.model.config == first.model.config
        assert second.model.metrics["begun_from"]["shared"] == DATA.split.n_items
    with pytest.raises(ConfigError, match="leave warm_weights out"):
        distrecvae.train(DATA, model="ease", config={"regularization": 5}, warm_weights=first)
