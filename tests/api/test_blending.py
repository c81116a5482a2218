"""`distrecvae.blend` is the command, called: from what calls returned, or from folders, to one model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import distrecvae
from distrecvae.api.blending import BlendResult
from distrecvae.cli import main
from distrecvae.data.prepared import prepare_data
from distrecvae.errors import ConfigError, DataError, ResultsError
from tests import ROOT

DATA = prepare_data(None, users=400, items=80)
KEPT = ROOT / "tests" / "kept"


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def trained() -> list[Any]:
    """Return two trainings."""
    return [
        distrecvae.train(DATA, model="ease", set={"regularization": 20.0}, threads=1),
        distrecvae.train(DATA, model="popularity", threads=1),
    ]


def test_a_call_blends_what_the_command_blends() -> None:
    runs = trained()
    DATA.save("data")
    called = distrecvae.blend(runs, DATA, rule="standardized", threads=1)
    assert isinstance(called, BlendResult)
    assert called.folder == Path("runs/blend-synthetic-0") or called.folder.parent == Path("runs")
    with pytest.raises(SystemExit) as ended:
        main(["blend", *(str(run.folder) for run in runs), "--data", "data", "--out", "typed",
              "--rule", "standardized", "--threads", "1"])  # fmt: skip
    assert ended.value.code == 0
    typed = json.loads(Path("typed/blend.json").read_text())
    assert [(each["name"], each["weight"]) for each in typed["members"]] == [
        (each.name, each.weight) for each in called.facts.members
    ]
    assert typed["test"] == called.scores["test"]["ndcg_100"] == called.facts.test

    assert called.model.model == "blend"
    for model in (called, called.folder, called.model, distrecvae.load(called.folder)):
        assert distrecvae.evaluate(model, DATA).means() == called.scores["test"]
    assert list(called.members["weight"]) == sorted(called.members["weight"], reverse=True)
    frame = called.model.recommend({"ann": DATA.split.item_ids[:3].tolist()}, top=4)
    assert len(frame) == 4
    assert str(called) == called.summary == (called.folder / "summary.txt").read_text().rstrip()
    assert f"<BlendResult in {called.folder}: " in repr(called)
    assert called._repr_html_().startswith("<pre>Blend of")


def test_a_refit_is_a_blend_that_validation_users_say_nothing_of_any_more() -> None:
    runs = trained()
    DATA.save("data")
    called = distrecvae.blend(runs, DATA, rule="standardized", threads=1, refit=True)
    with pytest.raises(SystemExit) as ended:
        main(["blend", *(str(run.folder) for run in runs), "--data", "data", "--out", "typed",
              "--rule", "standardized", "--threads", "1", "--refit"])  # fmt: skip
    assert ended.value.code == 0
    users = DATA.split.train.n_users + DATA.split.valid.n_users
    assert (
        json.loads(Path("typed/blend.json").read_text())["refit_users"] == called.facts.refit_users == users
    )
    assert distrecvae.evaluate(called, DATA).means() == called.scores["test"]
    with pytest.raises(DataError, match="was trained on the validation users, too"):
        distrecvae.evaluate(called, DATA, group="valid")
    with pytest.raises(DataError, match="was trained on the validation users, too"):
        distrecvae.blend([called, *runs], DATA)


def test_a_blends_members_cannot_be_refitted_and_that_is_said_first() -> None:
    made = distrecvae.blend(trained(), DATA, rule="standardized", threads=1)
    with pytest.raises(ConfigError, match=r"^refit=True: .* does not say how .* was trained from nothing"):
        distrecvae.blend(made, DATA, refit=True, out="again")
    assert not Path("again").exists()


def test_a_search_alone_gets_its_blend_into_its_folder_and_again() -> None:
    shutil.copytree(KEPT / "search-2", "mine")
    for _ in range(2):  # a search that went on is blended again, in the same place
        made = distrecvae.blend("mine", KEPT / "data", rule="ranks", threads=1)
        assert made.folder == Path("mine/blend")
    assert {each.name for each in made.facts.candidates} == {"mine trial 5", "mine trial 0"}
    assert distrecvae.blend([made], KEPT / "data", rule="ranks", threads=1).folder == Path("runs/blend-data")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"runs": []}, "there is nothing to blend"),
        ({"runs": [3]}, "a run to blend is a int"),
        ({"rule": "sum"}, "rule sum is not one of auto"),
        ({"metric": "auc"}, "metric='auc' is not one of"),
        ({"max_members": 0}, "max_members 0 must be at least 1"),
        ({"best_trials": 0}, "best_trials 0 must be at least 1"),
        ({"max_bytes": 0}, "max_bytes 0 must be above 0"),
        ({"max_latency": -1.0}, r"max_latency -1.0 must be above 0"),
        ({"max_bytes": 7}, "no blend keeps within 7 bytes"),
    ],
)
def test_what_cannot_be_is_refused_in_the_words_of_arguments(arguments: dict[str, Any], said: str) -> None:
    shutil.copytree(KEPT / "search-2", "mine")
    given = {"runs": ["mine"], "data": KEPT / "data", "rule": "standardized", **arguments}
    with pytest.raises(ConfigError, match=f"^{said}") as caught:
        distrecvae.blend(given.pop("runs"), given.pop("data"), **given)
    assert "--" not in str(caught.value)
    assert not Path("mine/blend").exists()


def test_other_data_and_used_folders_are_refused() -> None:
    shutil.copytree(KEPT / "search-2", "mine")
    with pytest.raises(DataError, match="fingerprint"):
        distrecvae.blend("mine", DATA)
    with pytest.raises(ResultsError, match="is not empty"):
        distrecvae.blend("mine", KEPT / "data", out="mine")
