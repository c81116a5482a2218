"""`--extend`: a search continues by what its folder says, and ends as one that was started so. Without Ray."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest

from distrecvae.cli import main
from distrecvae.data.dataset import Split
from distrecvae.data.io import save_dataset
from distrecvae.data.synthetic import synthetic_split
from distrecvae.runs.trial import run_trial
from distrecvae.saved.places import StateFile
from distrecvae.search.core.conductor import Conductor
from distrecvae.search.core.requests import Request
from distrecvae.search.core.states import TrialStates
from distrecvae.search.on_ray import session, tuning
from tests.results import scores
from tests.whole.test_bad_input import RATE, without_ray

TIMES = ["duration_s", "train_s", "evaluate_s"]


def run_here(
    conductor: Conductor, split: Split, common: object, slots: object, folder: Path, **_: object
) -> None:
    """Run the trials in this process, one after the other."""
    while (task := conductor.next_task()) is not None:
        place = StateFile(TrialStates(folder).path(task.number))
        for report in run_trial(task, place, split.train, split.valid):
            if conductor.heard(task.number, report):
                break
        conductor.finished(task.number)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a working directory with a data set and a space; searches run without Ray."""
    save_dataset(synthetic_split(n_users=100, n_items=60, seed=1), tmp_path / "data", {})
    (tmp_path / "space.yaml").write_text(RATE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    without_ray(monkeypatch)
    monkeypatch.setattr(session, "lend", lambda split, _: split)
    monkeypatch.setattr(tuning, "run_trials", run_here)
    monkeypatch.setattr(
        "distrecvae.search.course.written_report", lambda _: ""
    )  # seconds; test_report.py has it
    return tmp_path


def search(*options: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(["search", *options])
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


def begin(*options: str) -> int:
    rule = ("--max-passes", "12", "--min-passes", "4", "--concurrent", "1", "--seed", "4")
    return search("--data", "data", "--space", "./space.yaml", *rule, *options)


def tables(folder: str) -> list[Any]:
    """Return all that a search found, without its seconds."""
    read = [pd.read_parquet(Path(folder) / f"{name}.parquet") for name in ("trials", "history")]
    kept: list[Any] = [table.drop(columns=TIMES, errors="ignore").to_dict("list") for table in read]
    return [*kept, scores(Path(folder))]


def test_an_extended_search_ends_as_one_begun_with_as_many_trials(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert begin("--trials", "6", "--out", "whole") == 0
    assert begin("--trials", "2", "--out", "grown") == 0
    # Neither the space's file nor what was typed is needed, nor that it stays where it was.
    Path("space.yaml").unlink()
    shutil.move("grown", "moved")
    capsys.readouterr()
    assert search("--extend", "moved", "--trials", "6") == 0
    assert "6 of 6 trials" in capsys.readouterr().out
    assert repr(tables("moved")) == repr(tables("whole"))
    assert json.loads(Path("moved/search.json").read_text(encoding="utf-8"))["settings"]["trials"] == 6
    before = Path("moved/ledger.jsonl").read_bytes()
    assert search("--extend", "moved") == 0
    assert "6 of 6 trials" in capsys.readouterr().out
    assert Path("moved/ledger.jsonl").read_bytes() == before


def test_a_search_that_ran_out_of_time_gets_more(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # On a busy machine a millisecond may be over before the first trial is asked for: no model, status 1.
    status = begin("--trials", "4", "--out", "short", "--time-budget", "0.001")
    ended = "1 of 4 trials (1 stopped)" if status == 0 else "0 of 4 trials"
    assert ended in capsys.readouterr().out
    assert search("--extend", "short") == status
    assert ended in capsys.readouterr().out, "no time, no trials"
    assert search("--extend", "short", "--time-budget", "3600") == 0
    assert "4 of 4 trials" in capsys.readouterr().out
    assert search("--extend", "short", "--trials", "5") == 0, "the longer time was written down"
    assert "5 of 5 trials" in capsys.readouterr().out


def test_a_search_that_was_ended_by_hand_grows_to_what_it_was_begun_with(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # `--extend --trials 6` after `steer end` did nothing where 6 had been typed at the beginning, too.
    def ended_after_two(conductor: Conductor, *about: Any, **named: Any) -> None:
        heard = conductor.heard

        def heard_then_ended(number: int, metrics: Any) -> bool:
            over = heard(number, metrics)
            if number == 1:
                conductor.steer("by hand", Request(action="end"))
            return over or number == 1

        monkeypatch.setattr(conductor, "heard", heard_then_ended)
        run_here(conductor, *about, **named)

    with monkeypatch.context() as first:
        first.setattr(tuning, "run_trials", ended_after_two)
        assert begin("--trials", "6", "--out", "ended") == 0
    assert "2 of 2 trials" in capsys.readouterr().out
    assert search("--extend", "ended") == 0
    assert "2 of 2 trials" in capsys.readouterr().out, "it is over, unless somebody asks for more"
    assert search("--extend", "ended", "--trials", "6") == 0
    assert "6 of 6 trials" in capsys.readouterr().out
    lines = [json.loads(line) for line in Path("ended/ledger.jsonl").read_text("utf-8").splitlines()]
    assert [line["what"]["action"] for line in lines if line["kind"] == "steered"] == ["end", "trials"]


def test_a_storage_is_told_of_an_extension_and_of_a_search_that_was_over(here: Path) -> None:
    assert begin("--trials", "2", "--out", "mine", "--storage", "sqlite:///study.db") == 0
    assert search("--extend", "mine", "--trials", "3") == 0
    assert search("--extend", "mine", "--storage", "journal:late.journal") == 0
    database = optuna.storages.RDBStorage("sqlite:///study.db")
    journal = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend("late.journal"))
    for storage in (database, journal):
        trials = storage.get_all_trials(storage.get_study_id_from_name("mine"))
        assert [trial.user_attrs["trial"] for trial in trials] == [0, 1, 2]
    database.engine.dispose()


@pytest.mark.parametrize("torn", ["best/config.json", "best/model.safetensors", "best/metrics.json"])
def test_a_model_of_which_half_had_been_mirrored_is_published_again(here: Path, torn: str) -> None:
    # The head went while the last files were put: fetched, the search is finished and has no model. --resume took that
    # for over, and the model was never there again.
    uri = (here / "mirror").as_uri()
    options = ("--trials", "2", "--out", uri, "--working-copy", "copy")
    assert begin(*options) == 0
    published = {path.name: path.read_bytes() for path in Path("copy/best").iterdir()}
    shutil.rmtree("copy")
    (here / "mirror" / torn).unlink()
    assert begin(*options, "--resume") == 0
    for folder in ("copy/best", "mirror/best"):
        assert {path.name: path.read_bytes() for path in Path(folder).iterdir()} == published
