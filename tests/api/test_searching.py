"""`distrecvae.search` is the command, called: same trials, a result to look at, a Ray that stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import ray

import distrecvae
from distrecvae.api.results import SearchResult
from distrecvae.api.searching import search, settings_in
from distrecvae.data.io import load_dataset
from distrecvae.data.prepared import prepare_data
from distrecvae.errors import ConfigError, DataError, ResourceError, ResultsError
from distrecvae.search.space.space import SearchSpace
from tests.results import scores
from tests.sites import SPACE, Site, ray_folder
from tests.whole.test_search import history, trials

DATA = prepare_data(None, users=100, items=60)
TINY: dict[str, Any] = {
    "space": {"parameters": {"regularization": {"type": "float", "low": 1.0, "high": 900.0, "log": True}}}
}


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAY_TMPDIR", str(ray_folder()))


@pytest.mark.ray
def test_a_call_finds_what_the_command_finds(site: Site) -> None:
    # Typed in this process, too: it begins and ends a Ray of its own all the same, and imports nothing again.
    same = ("--trials", "4", "--max-passes", "24", "--min-passes", "4", "--concurrent", "1")
    done = site.search_here(*same, "--out", "typed")
    assert done.returncode == 0, done.stderr
    assert not ray.is_initialized()
    data = distrecvae.Data(load_dataset(site.folder / "data"), {"source": "synthetic"})
    Path("space.yaml").write_text(SPACE, encoding="utf-8")
    arguments: dict[str, Any] = {"max_passes": 24, "min_passes": 4, "concurrent": 1, "seed": 5}
    result = search(data, space="./space.yaml", trials=3, out="called", **arguments)
    assert isinstance(result, SearchResult)
    # In memory, extended, in a second Ray of this process: the same search all the same.
    result = search(extend=result.folder, trials=4)
    typed = site.folder / "typed"
    pd.testing.assert_frame_equal(trials(result.folder), trials(typed))
    pd.testing.assert_frame_equal(history(result.folder), history(typed))
    model = "best/model.safetensors"
    assert (result.folder / model).read_bytes() == (typed / model).read_bytes()
    published = scores(typed)
    assert result.best is not None
    assert result.best.scores == {group: published[group]["mean"] for group in ("valid", "test")}
    assert distrecvae.evaluate(result, data).means() == result.best.scores["test"]
    assert not ray.is_initialized(), "a Ray that was started for a search ends with it"


@pytest.mark.ray
@pytest.mark.usefixtures("cluster")
def test_data_in_memory_lies_in_the_results_and_the_hint_goes_on_with_it() -> None:
    result = distrecvae.search(DATA, model="ease", trials=1, **TINY)
    assert result.folder == Path("runs/ease-synthetic")
    assert load_dataset(result.folder / "data").fingerprint == DATA.fingerprint
    described = json.loads((result.folder / "search.json").read_text(encoding="utf-8"))
    assert described["settings"]["data"] == "runs/ease-synthetic/data"
    assert described["data"] == str(Path("runs/ease-synthetic/data").absolute())
    namespace: dict[str, Any] = {}
    exec(described["command"].replace("; ", "; result = ", 1), namespace)  # noqa: S102
    assert namespace["result"].summary == result.summary

    again = search(DATA, model="ease", trials=2, out=result.folder, resume=True, **TINY)
    assert len(again.trials) == 2
    other = prepare_data(None, users=100, items=60, seed=1)
    with pytest.raises(ResultsError, match="fingerprint"):
        search(other, extend=result.folder, trials=3)
    with pytest.raises(ResultsError, match=r"pass resume=True .* another out"):
        search(DATA, model="ease", out=result.folder, **TINY)


@pytest.mark.ray
@pytest.mark.usefixtures("cluster")
def test_data_in_a_folder_stays_there() -> None:
    saved = DATA.save("data/mine")
    result = search("data/mine", model="popularity")
    assert result.folder == Path("runs/popularity-mine")
    assert not (result.folder / "data").exists()
    result = search(saved, model="popularity", name="other")
    described = json.loads((result.folder / "search.json").read_text(encoding="utf-8"))
    assert described["data"] == str(Path("data/mine").absolute())


@pytest.mark.ray
@pytest.mark.usefixtures("cluster")
def test_a_ray_that_runs_is_used_and_stays() -> None:
    result = search(DATA, model="popularity", address="auto")
    assert result.complete
    assert ray.is_initialized()
    assert ray.get(ray.put(7)) == 7
    with pytest.raises(
        ResourceError, match=r"address 10\.0\.0\.1:6379: this process is connected to the Ray at"
    ):
        search(DATA, model="popularity", address="10.0.0.1:6379", out="elsewhere")
    assert not Path("elsewhere").exists()


def test_arguments_are_settings() -> None:
    given = {"time_budget": 5, "checkpoint_every": 1.5, "trials": 3, "warm_start": Path("runs/a")}
    assert settings_in(given) == {
        "time_budget_s": 5, "checkpoint_every_s": 1.5, "trials": 3, "warm_start": "runs/a"
    }  # fmt: skip


def test_what_is_wrong_is_refused_before_anything_is_written() -> None:
    ease = SearchSpace.from_mapping({"model": "ease", **TINY["space"]})
    with pytest.raises(ConfigError, match="the space is of ease and model is recvae"):
        search(DATA, space=ease)
    with pytest.raises(ConfigError, match="the space is of ease and model is recvae"):
        search(DATA, space={"model": "ease", **TINY["space"]})
    with pytest.raises(ConfigError, match="space is a list"):
        search(DATA, space=[ease])  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="trials=0"):
        search(DATA, trials=0)
    with pytest.raises(DataError, match="absent"):
        search("absent")
    with pytest.raises(ResultsError, match="give extend the results folder"):
        search(extend="absent")
    with pytest.raises(ConfigError, match="leave out out"):
        search(extend="absent", out="x")
    with pytest.raises(TypeError, match="trails"):
        search(DATA, trails=3)  # type: ignore[call-arg]
    assert list(Path().iterdir()) == []
