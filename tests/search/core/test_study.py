"""The study on disk: read while another process writes it, cut where it was torn, opened without a word."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import optuna
import pytest

from distrecvae.errors import ResultsError
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.study import (
    CONFIG_KEY,
    STUDY_FILE,
    NoLock,
    cut_torn_line,
    quiet,
    read_study_trials,
)
from tests.search.simulated import METRIC, open_conductor, run_serially, toy_search_config


@pytest.fixture
def searched(tmp_path: Path) -> Path:
    config = toy_search_config(trials=3, max_passes=8, sampler="random")
    run_serially(open_conductor(tmp_path, config), config)
    return tmp_path


class TestReading:
    def test_gives_every_trial_as_the_ledger_has_it(self, searched: Path) -> None:
        records = Ledger(searched, METRIC).records
        trials = read_study_trials(searched)
        assert [trial.user_attrs[CONFIG_KEY] for trial in trials] == [r.config for r in records.values()]
        assert [trial.number for trial in trials] == [0, 1, 2]
        assert all(trial.intermediate_values for trial in trials)

    def test_writes_nothing(self, searched: Path) -> None:
        before = {path.name: path.read_bytes() for path in searched.iterdir()}
        read_study_trials(searched)
        assert {path.name: path.read_bytes() for path in searched.iterdir()} == before

    def test_leaves_out_what_is_still_being_asked_for(self, searched: Path) -> None:
        """Its configuration is written last; and a line may be half written when it is read."""
        path = searched / STUDY_FILE
        lines = path.read_bytes().splitlines(keepends=True)
        configured = [
            i for i, line in enumerate(lines) if CONFIG_KEY in json.loads(line).get("user_attr", {})
        ]
        assert len(configured) == 3
        for torn in (b"", lines[configured[-1]][:-5]):
            path.write_bytes(b"".join(lines[: configured[-1]]) + torn)
            assert [trial.number for trial in read_study_trials(searched)] == [0, 1]
            assert path.read_bytes().endswith(torn), "another process is about to end this line"

    def test_a_missing_study_is_refused_and_not_made(self, tmp_path: Path) -> None:
        with pytest.raises(ResultsError) as refusal:
            read_study_trials(tmp_path)
        said = f"{tmp_path / STUDY_FILE} is missing; restore it, or give another search's folder"
        assert str(refusal.value) == said
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("content", ["", "{\n{\n", "{}\n", "\xff\n\xff\n"])
    def test_a_damaged_study_is_refused_in_one_line(self, tmp_path: Path, content: str) -> None:
        (tmp_path / STUDY_FILE).write_bytes(content.encode("latin-1"))
        with pytest.raises(ResultsError) as refusal:
            read_study_trials(tmp_path)
        assert str(refusal.value).startswith(f"{tmp_path / STUDY_FILE} cannot be read (")
        assert str(refusal.value).endswith("); restore it, or give another search's folder")
        assert "\n" not in str(refusal.value)

    def test_a_folder_in_its_place_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / STUDY_FILE).mkdir()
        with pytest.raises(ResultsError, match=r"cannot be read \(.*Is a directory"):
            read_study_trials(tmp_path)

    def test_a_journal_of_another_study_is_refused(self, tmp_path: Path) -> None:
        backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / STUDY_FILE))
        with quiet():
            optuna.create_study(storage=optuna.storages.JournalStorage(backend), study_name="another")
        with pytest.raises(ResultsError, match="cannot be read"):
            read_study_trials(tmp_path)


@pytest.mark.parametrize(
    ("content", "left"),
    [
        (b"", b""),
        (b"one\ntwo\n", b"one\ntwo\n"),
        (b"one\ntwo", b"one\n"),
        (b"one\n\xff\xfe", b"one\n"),
        (b"one\r", b""),
        (b"\n", b"\n"),
        (b"no line at all", b""),
    ],
)
def test_a_line_counts_once_it_ends(tmp_path: Path, content: bytes, left: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    cut_torn_line(path)
    assert path.read_bytes() == left


def test_where_there_is_no_file_there_is_an_empty_one(tmp_path: Path) -> None:
    cut_torn_line(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b""


def test_no_lock_is_held_by_everybody_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lock = NoLock()
    assert lock.acquire()
    assert lock.acquire(), "whatever a killed driver left"
    lock.release()
    lock.release()
    assert not list(tmp_path.iterdir())


class TestQuiet:
    def test_optuna_is_silent_and_as_loud_as_before_afterwards(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        before = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.INFO)
        try:
            with quiet():
                optuna.create_study()
            assert caplog.records == []
            with pytest.raises(KeyError), quiet():
                raise KeyError
            assert optuna.logging.get_verbosity() == optuna.logging.INFO
            optuna.create_study()
            assert "A new study created" in caplog.text
        finally:
            optuna.logging.set_verbosity(before)

    def test_notes_about_experiments_are_kept_back_and_nothing_else(self) -> None:
        with quiet():
            warnings.warn("new", optuna.exceptions.ExperimentalWarning, stacklevel=1)
            warnings.warn("PedAnovaImportanceEvaluator computes the importance", UserWarning, stacklevel=1)
        with pytest.warns(UserWarning, match="mind this"), quiet():
            warnings.warn("mind this", UserWarning, stacklevel=1)
        with pytest.warns(optuna.exceptions.ExperimentalWarning, match="new"):
            warnings.warn("new", optuna.exceptions.ExperimentalWarning, stacklevel=1)
