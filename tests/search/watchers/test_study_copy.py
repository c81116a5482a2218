"""`--storage`: an Optuna study that has each ended trial once, whatever is killed when, and is never in the way."""

from __future__ import annotations

import gc
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from distrecvae.errors import ConfigError
from distrecvae.layout import JOURNAL_FILE
from distrecvae.search.core.conductor import Conductor
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.records import Status, TrialRecord
from distrecvae.search.core.study import as_optuna_has_it
from distrecvae.search.watchers.study_copy import StudyCopy, require_storage
from distrecvae.search.watchers.trackers import Tolerant, make_loggers
from tests.search.simulated import SPACE, open_conductor, run_serially, toy_curve, toy_search_config


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


@pytest.fixture(params=["sqlite:///{}/study.db", "journal:{}/copy.journal"], ids=["sqlite", "journal"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    template: str = request.param
    return template.format(tmp_path)


def copying(folder: Path, config: SearchConfig, said: list[str]) -> tuple[Conductor, Tolerant]:
    """Return a search that is copied to its storage, and what copies it."""
    conductor = open_conductor(folder, config)
    journal, copy = make_loggers(
        config, folder=folder, space=SPACE, ledger=conductor.ledger, started="2026", tell=said.append
    )
    conductor._watchers = (copy, journal)
    return conductor, copy


def run(folder: Path, config: SearchConfig) -> Ledger:
    """Run a search to its end, or resume it."""
    said: list[str] = []
    conductor, copy = copying(folder, config, said)
    run_serially(conductor, config)
    copy.finish(complete=True, scores={})
    assert said == []
    return conductor.ledger


def studies(url: str) -> dict[str, list[optuna.trial.FrozenTrial]]:
    """Return each study's trials by its name, as any program of Optuna's would read them."""
    storage: Any = url
    if url.startswith("journal:"):
        backend = optuna.storages.journal.JournalFileBackend(url.removeprefix("journal:"))
        storage = optuna.storages.JournalStorage(backend)
    storage = optuna.storages.get_storage(storage)
    try:
        return {s.study_name: storage.get_all_trials(s._study_id) for s in storage.get_all_studies()}
    finally:
        if isinstance(storage, optuna.storages._CachedStorage):
            storage._backend.engine.dispose()


def numbers(trials: list[optuna.trial.FrozenTrial]) -> list[int]:
    return sorted(trial.user_attrs["trial"] for trial in trials)


def test_every_trial_is_there_as_optuna_has_it_in_the_ledger(tmp_path: Path, url: str) -> None:
    config, said = toy_search_config(trials=10, storage=url), list[str]()
    conductor, copy = copying(tmp_path / "mine", config, said)
    first = conductor.next_task()
    assert first is not None
    conductor.failed(first.number, Status.FAILED, "its process died")
    run_serially(conductor, config, lambda c, passes: math.nan if c["kind"] == "b" else toy_curve(c, passes))
    copy.finish(complete=True, scores={})
    assert said == []
    trials = studies(url)["mine"]
    assert numbers(trials) == list(range(10))
    assert {t.state for t in trials} == {TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL}
    for trial in trials:
        record = conductor.ledger.records[trial.user_attrs["trial"]]
        asked = as_optuna_has_it(record)
        assert (trial.params, trial.distributions) == (asked.params, asked.distributions)
        assert (trial.state, trial.value) == (asked.state, record.score)
        assert trial.intermediate_values == dict(
            zip((r["passes"] for r in record.reports), record.best, strict=True)
        )
        assert (trial.datetime_start, trial.datetime_complete) == (
            asked.datetime_start,
            asked.datetime_complete,
        )
        assert (trial.user_attrs["status"], trial.user_attrs["reason"]) == (record.status, record.reason)
        assert trial.user_attrs["config"] == record.config


@pytest.mark.parametrize("written", [False, True], ids=["before", "after"])
def test_a_search_killed_around_a_write_is_copied_once(
    tmp_path: Path, url: str, written: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, ended = toy_search_config(trials=5, storage=url), StudyCopy.ended

    def dying(self: StudyCopy, record: TrialRecord) -> None:
        if record.number != 3 or written:
            ended(self, record)
        if record.number == 3:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(StudyCopy, "ended", dying)
        conductor, copy = copying(tmp_path / "mine", config, [])
        with pytest.raises(Killed):
            run_serially(conductor, config)
        copy.finish(complete=False, scores={})  # a killed process closes what it has open
    assert numbers(studies(url)["mine"]) == list(range(4 if written else 3))
    for trials in (5, 7, 7):  # continues, grows, is over
        run(tmp_path / "mine", toy_search_config(trials=trials, storage=url))
        assert numbers(studies(url)["mine"]) == list(range(trials))
    assert list(studies(url)) == ["mine"]


def test_a_search_of_the_same_name_gets_a_study_of_its_own(tmp_path: Path, url: str) -> None:
    config = toy_search_config(trials=2, storage=url)
    for place in ("a", "b", "a", "b"):
        (tmp_path / place).mkdir(exist_ok=True)
        run(tmp_path / place / "mine", config)
    first, second = sorted(studies(url))
    assert first == "mine"
    assert second.startswith("mine-")
    assert [numbers(trials) for trials in studies(url).values()] == [[0, 1], [0, 1]]


def test_a_line_of_a_journal_that_was_cut_off_is_forgotten(tmp_path: Path) -> None:
    url = f"journal:{tmp_path}/copy.journal"
    run(tmp_path / "mine", toy_search_config(trials=2, storage=url))
    path = tmp_path / "copy.journal"
    content = path.read_bytes()
    path.write_bytes(content[:-20])
    run(tmp_path / "mine", toy_search_config(trials=3, storage=url))
    assert numbers(studies(url)["mine"]) == [0, 1, 2]


@pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")
def test_a_storage_that_fails_is_named_once_and_the_search_goes_on(tmp_path: Path) -> None:
    (tmp_path / "study.db").write_bytes(b"no database at all, but a file of some length" * 100)
    said: list[str] = []
    config = toy_search_config(trials=3, storage=f"sqlite:///{tmp_path}/study.db")
    conductor, copy = copying(tmp_path / "mine", config, said)
    run_serially(conductor, config)
    copy.finish(complete=True, scores={})
    assert len(said) == 1
    assert said[0].startswith("--storage failed and is told nothing more (")
    assert len(conductor.ledger.records) == 3
    # Optuna drops the connection to what it could not open, and Python 3.13 says so once it is collected: here.
    del conductor, copy
    gc.collect()


@pytest.fixture
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    yield
    assert [path.name for path in tmp_path.iterdir()] == ["folder"], "looking makes nothing"


@pytest.mark.usefixtures("_in_a_folder")
@pytest.mark.parametrize(
    ("url", "words"),
    [
        (
            "study.db",
            "storage='study.db' must be a database's URL, such as sqlite:///study.db, or journal:PATH",
        ),
        ("redis://host", "must be a database's URL"),
        ("journal:", "must be a database's URL"),
        ("sqlite:///absent/study.db", "there is no folder absent; make it"),
        ("journal:absent/copy", "there is no folder absent; make it"),
        ("journal:folder", "folder is a folder; name a file in it"),
        ("journal:folder/study.journal", "a search keeps a file of that name itself; give another name"),
        ("sqlite://", "names no file; write sqlite:///study.db"),
        ("sqlite+nothing:///study.db", "is no database's URL"),
        ("oracle+oracledb://me:secret@host/x", "needs the module oracledb, which is not installed"),
    ],
)
def test_a_storage_that_cannot_be_is_refused_in_a_line(url: str, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        require_storage(SearchConfig(storage=url).storage)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.usefixtures("_in_a_folder")
def test_a_storage_that_can_be_is_not_refused() -> None:
    for url in ("sqlite:///study.db", "sqlite:///folder/study.db", "journal:copy.journal"):
        require_storage(SearchConfig(storage=url).storage)


def journal(folder: Path) -> list[optuna.trial.FrozenTrial]:
    """Return the trials in the folder's journal, as docs/search.md reads them."""
    backend = optuna.storages.journal.JournalFileBackend(str(folder / JOURNAL_FILE))
    storage = optuna.storages.JournalStorage(backend)
    return optuna.load_study(study_name="search", storage=storage).trials


@pytest.mark.parametrize("fate", ["kept", "deleted", "garbled", "locked"])
def test_the_folders_own_journal_is_a_view_that_each_run_writes_anew(tmp_path: Path, fate: str) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    run(tmp_path / "mine", toy_search_config(trials=3, storage=url))
    path = tmp_path / "mine" / JOURNAL_FILE
    assert numbers(journal(tmp_path / "mine")) == [0, 1, 2]
    if fate == "deleted":
        path.unlink()
    elif fate == "garbled":
        path.write_bytes(b"{\n" + path.read_bytes()[7:])
    elif fate == "locked":  # by a driver that was killed, or somebody's Optuna
        path.with_name(f"{path.name}.lock").touch()
    run(tmp_path / "mine", toy_search_config(trials=5, storage=url))
    if fate == "locked":
        path.with_name(f"{path.name}.lock").unlink()
    assert numbers(journal(tmp_path / "mine")) == [0, 1, 2, 3, 4]


def test_a_trial_that_may_continue_is_added_when_the_search_is_over(tmp_path: Path, url: str) -> None:
    """Optuna changes no trial that has ended: one that was stopped and continued would be there as it was stopped."""
    config = toy_search_config(
        sampler="guided", scheduler="asha", trials=14, max_passes=60, min_passes=4, storage=url
    )
    folder, said = tmp_path / "mine", list[str]()
    conductor, copy = copying(folder, config, said)
    run_serially(conductor, config)
    records = conductor.ledger.records
    assert any(name.startswith("revive ") for name in conductor.ledger.answers)
    finished = [n for n, record in records.items() if record.status is Status.FINISHED]
    assert numbers(studies(url)["mine"]) == finished
    copy.finish(complete=False, scores={})
    again, copy = copying(folder, config, said)
    assert numbers(studies(url)["mine"]) == finished, "nor when it is resumed"
    run_serially(again, config)
    copy.finish(complete=True, scores={})
    assert said == []
    trials = {trial.user_attrs["trial"]: trial for trial in studies(url)["mine"]}
    assert sorted(trials) == sorted(records)
    assert {n: max(trial.intermediate_values) for n, trial in trials.items()} == {
        n: record.passes for n, record in records.items()
    }
