"""The ledger: what was asked, heard and decided comes back whole from its two files, wherever writing them stopped."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from distrecvae.errors import ResultsError
from distrecvae.search.core.ledger import HISTORY_FILE, Ledger, Status, TrialRecord
from distrecvae.search.core.study import STUDY_FILE
from tests.search.simulated import METRIC, open_conductor, run_serially, toy_search_config


def suggest(trial: optuna.trial.Trial) -> dict[str, Any]:
    return {"x": trial.suggest_float("x", 0, 1), "kind": trial.suggest_categorical("kind", ("a", "b"))}


def ask(ledger: Ledger, start: dict[str, Any] | None = None) -> TrialRecord:
    """Ask for a trial as a search does: by a sampler of the trial's own number."""
    return ledger.ask(
        lambda number: optuna.samplers.RandomSampler(seed=number), suggest, lambda _: dict(start or {})
    )


def report(ledger: Ledger, number: int, passes: int, value: float, **more: Any) -> bool:
    return ledger.report(number, {"passes": passes, METRIC: value, **more})


def study_of(folder: Path) -> optuna.Study:
    """Return the study as anybody's Optuna reads it."""
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(folder / STUDY_FILE)))
    return optuna.load_study(study_name="search", storage=storage)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("original")


@pytest.fixture(scope="module")
def filled(original: Path) -> Ledger:
    """One trial of each ending and one under way; to be looked at only."""
    ledger = Ledger(original, METRIC)
    for _ in range(6):
        ask(ledger)
    for number, values in enumerate([(0.2, 0.3), (0.25,), (0.1,), (0.9, 0.95), (), (0.2, 0.1)]):
        for place, value in enumerate(values, 1):
            report(ledger, number, 4 * place, value, train_s=1.5)
    ledger.end(0, Status.FINISHED, "spent its passes")
    ledger.end(1, Status.STOPPED, "weak")
    ledger.end(2, Status.DIVERGED, "loss is nan")
    ledger.end(3, Status.FAILED, "died")
    ledger.end(4, Status.STOPPED, "no time left")
    return ledger


@pytest.fixture
def folder(original: Path, filled: Ledger, tmp_path: Path) -> Path:
    """The same on disk, to be changed."""
    return shutil.copytree(original, tmp_path / "copy")


class TestRecord:
    def test_before_its_first_report_it_has_nothing(self) -> None:
        record = TrialRecord(0, {})
        assert record.status is Status.RUNNING
        assert (record.score, record.passes, record.duration_s) == (None, 0, 0.0)
        assert record.best_report(METRIC) is None

    def test_its_score_is_the_running_best_whatever_it_ended_as_but_diverged_and_failed(self) -> None:
        expected = {Status.DIVERGED: 0.0, Status.FAILED: None}
        for status in Status:
            assert TrialRecord(0, {}, status, best=[0.3, 0.5]).score == expected.get(status, 0.5)
            assert TrialRecord(0, {}, status).score == (0.0 if status is Status.DIVERGED else None)

    def test_its_best_report_is_the_first_of_equals(self) -> None:
        reports = [{"passes": 4, METRIC: 0.1}, {"passes": 8, METRIC: 0.5}, {"passes": 12, METRIC: 0.5}]
        assert TrialRecord(0, {}, reports=reports).best_report(METRIC) == reports[1]

    def test_its_time_is_that_of_training_and_evaluation(self) -> None:
        reports: list[dict[str, Any]] = [
            {"passes": 4, "train_s": 1.5, "evaluate_s": 0.25},
            {"passes": 8, "train_s": 2.0},
            {"passes": 9},
        ]
        assert TrialRecord(0, {}, reports=reports).duration_s == 3.75


class TestAsking:
    def test_a_new_ledger_is_two_files_and_no_trial(self, tmp_path: Path) -> None:
        ledger = Ledger(tmp_path, METRIC)
        assert (ledger.records, ledger.unfinished(), ledger.curves(), ledger.best()) == ({}, [], {}, None)
        assert {path.name for path in tmp_path.iterdir()} == {STUDY_FILE, HISTORY_FILE}
        assert study_of(tmp_path).direction == optuna.study.StudyDirection.MAXIMIZE

    def test_the_configuration_is_in_the_study_with_what_it_came_from(self, tmp_path: Path) -> None:
        ledger = Ledger(tmp_path, METRIC)
        for number in range(3):
            record = ask(ledger)
            assert ledger.records[number] is record
            assert record.number == number
            for frozen in (ledger.asked(number), study_of(tmp_path).trials[number]):
                assert (frozen.number, frozen.state) == (number, TrialState.RUNNING)
                assert frozen.params == record.config
                assert frozen.user_attrs == {"config": record.config}

    def test_a_lock_that_somebody_left_is_not_waited_for(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Optuna's own would be held for half a minute by the file of a driver that was killed.
        (tmp_path / f"{STUDY_FILE}.lock").touch()

        def waited(_: float) -> None:
            raise AssertionError("waited")

        monkeypatch.setattr(time, "sleep", waited)
        assert ask(Ledger(tmp_path, METRIC)).number == 0

    def test_starting_values_stand_and_the_sampler_of_the_number_draws_the_rest(self, tmp_path: Path) -> None:
        ledger = Ledger(tmp_path, METRIC)
        numbers: list[int] = []

        def sampler(number: int) -> optuna.samplers.BaseSampler:
            numbers.append(number)
            return optuna.samplers.RandomSampler(seed=number)

        def starting(number: int) -> dict[str, Any]:
            numbers.append(number)
            return {"x": number / 8}

        found = [ledger.ask(sampler, suggest, starting).config for _ in range(3)]
        assert [config["x"] for config in found] == [0.0, 0.125, 0.25]
        assert sorted(numbers) == [0, 0, 1, 1, 2, 2]
        drawn = ask(Ledger(tmp_path, METRIC)).config
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=3))
        assert drawn == suggest(study.ask())

    def test_it_does_so_without_a_word(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        before = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.INFO)
        try:
            ask(Ledger(tmp_path, METRIC), {"x": 0.5})
            assert optuna.logging.get_verbosity() == optuna.logging.INFO
        finally:
            optuna.logging.set_verbosity(before)
        assert caplog.records == []


class TestReports:
    def test_a_repeated_report_is_not_written_twice(self, tmp_path: Path) -> None:
        # A trial that restarts from a checkpoint passes by what it reported before.
        conductor = open_conductor(tmp_path, toy_search_config(scheduler="none"))
        task = conductor.next_task()
        assert task is not None
        for passes in (4, 8, 4, 8, 12):
            assert not conductor.heard(
                task.number, {"passes": passes, "cycle": passes // 4, METRIC: passes / 100}
            )
        assert [r["passes"] for r in conductor.ledger.records[0].reports] == [4, 8, 12]
        assert len((tmp_path / HISTORY_FILE).read_text().splitlines()) == 3

    def test_the_running_best_is_what_is_judged(self, tmp_path: Path) -> None:
        conductor = open_conductor(tmp_path, toy_search_config(scheduler="none"))
        task = conductor.next_task()
        assert task is not None
        for passes, value in ((4, 0.3), (8, 0.5), (12, 0.4)):
            conductor.heard(task.number, {"passes": passes, "cycle": passes // 4, METRIC: value})
        record = conductor.ledger.records[0]
        assert record.best == [0.3, 0.5, 0.5]
        assert record.score == 0.5
        assert record.best_report(METRIC) == {"passes": 8, "cycle": 2, METRIC: 0.5}

    def test_it_says_which_were_new(self, tmp_path: Path) -> None:
        ledger = Ledger(tmp_path, METRIC)
        ask(ledger)
        assert [report(ledger, 0, passes, 0.1) for passes in (4, 4, 3, 5)] == [True, False, False, True]
        ledger.end(0, Status.FINISHED, "")
        assert not report(ledger, 0, 8, 0.9), "what comes after the end is not part of it"
        assert ledger.records[0].score == 0.1

    def test_each_is_a_whole_line_of_json_and_a_running_best_of_the_study(self, tmp_path: Path) -> None:
        ledger = Ledger(tmp_path, METRIC)
        ask(ledger)
        ask(ledger)
        given = [(1, 4, 0.5), (0, 4, 0.2), (1, 8, 0.25)]
        for number, passes, value in given:
            report(ledger, number, passes, value, train_s=0.1)
        lines = (tmp_path / HISTORY_FILE).read_text().splitlines()
        assert [json.loads(line) for line in lines] == [
            {"trial": number, "passes": passes, METRIC: value, "train_s": 0.1}
            for number, passes, value in given
        ]
        values = [trial.intermediate_values for trial in study_of(tmp_path).trials]
        assert values == [{4: 0.2}, {4: 0.5, 8: 0.5}]

    def test_a_report_is_on_disk_before_it_takes_effect(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ledger = Ledger(tmp_path, METRIC)
        ask(ledger)
        synced: list[tuple[str, int]] = []
        monkeypatch.setattr(
            os,
            "fsync",
            lambda _: synced.append(((tmp_path / HISTORY_FILE).read_text(), ledger.records[0].passes)),
        )
        ledger.append('{"trial":0}\n')
        assert synced == [('{"trial":0}\n', 0)]
        synced.clear()
        report(ledger, 0, 4, 0.1)
        assert synced[0][0].endswith('"passes":4,"valid/ndcg_100":0.1}\n')
        assert synced[0][1] == 0

    def test_what_is_not_json_is_not_written(self, tmp_path: Path) -> None:
        ledger = Ledger(tmp_path, METRIC)
        ask(ledger)
        with pytest.raises(ValueError, match="not JSON compliant"):
            report(ledger, 0, 4, 0.1, loss=float("nan"))
        assert (tmp_path / HISTORY_FILE).read_bytes() == b""
        assert ledger.records[0].reports == []


class TestEndings:
    def test_optuna_hears_of_pruned_trials_as_pruned(self, tmp_path: Path) -> None:
        # Ray's own OptunaSearch tells a stopped trial as complete with its last, low-fidelity value.
        config = toy_search_config(trials=12, sampler="random")
        conductor = open_conductor(tmp_path, config)
        run_serially(conductor, config)
        for frozen in study_of(tmp_path).trials:
            stopped = conductor.ledger.records[frozen.number].status is Status.STOPPED
            assert frozen.state == (TrialState.PRUNED if stopped else TrialState.COMPLETE)
        assert {frozen.state for frozen in study_of(tmp_path).trials} == {
            TrialState.PRUNED,
            TrialState.COMPLETE,
        }

    def test_every_ending_is_one_of_optunas(self, folder: Path) -> None:
        trials = study_of(folder).trials
        assert [(trial.state, trial.value) for trial in trials] == [
            (TrialState.COMPLETE, 0.3),
            (TrialState.PRUNED, 0.25),
            (TrialState.COMPLETE, 0.0),  # diverged: as bad as can be, which a sampler may learn from
            (TrialState.FAIL, None),
            (TrialState.FAIL, None),  # stopped before it had a score
            (TrialState.RUNNING, None),
        ]
        assert [trial.user_attrs.get("status") for trial in trials] == [
            "finished", "stopped", "diverged", "failed", "stopped", None,
        ]  # fmt: skip
        assert [trial.user_attrs.get("reason") for trial in trials[:2]] == ["spent its passes", "weak"]

    def test_a_second_ending_is_ignored(self, folder: Path) -> None:
        ledger = Ledger(folder, METRIC)
        for number in range(5):
            before = (ledger.records[number].status, ledger.records[number].reason)
            ledger.end(number, Status.FAILED, "late")
            assert (ledger.records[number].status, ledger.records[number].reason) == before
        assert Ledger(folder, METRIC).records == ledger.records

    def test_unfinished_is_what_has_no_ending(self, filled: Ledger) -> None:
        assert [record.number for record in filled.unfinished()] == [5]


class TestViews:
    def test_curves_are_running_bests_of_all_but_failed_trials(self, filled: Ledger) -> None:
        curves = filled.curves()
        assert {number: curve.points for number, curve in curves.items()} == {
            0: ((4, 0.2), (8, 0.3)),
            1: ((4, 0.25),),
            2: ((4, 0.1),),
            4: (),
            5: ((4, 0.2), (8, 0.2)),
        }
        assert all(curve.number == number for number, curve in curves.items())

    def test_a_curve_grows_with_its_trial(self, tmp_path: Path) -> None:
        ledger = Ledger(tmp_path, METRIC)
        ask(ledger)
        for passes in (4, 8):
            report(ledger, 0, passes, passes / 10)
            assert ledger.curves()[0].points[-1] == (passes, passes / 10)
        ledger.end(0, Status.FAILED, "")
        assert ledger.curves() == {}

    def test_the_best_is_the_highest_score_and_the_earliest_of_equals(self, folder: Path) -> None:
        ledger = Ledger(folder, METRIC)
        best = ledger.best()
        assert best is not None
        assert best.number == 0, "the failed trial had more"
        for _ in range(2):
            report(ledger, ask(ledger).number, 4, 0.75)
        best = ledger.best()
        assert best is not None
        assert best.number == 6

    def test_a_diverged_trial_is_better_than_none(self, tmp_path: Path) -> None:
        ledger = Ledger(tmp_path, METRIC)
        ask(ledger)
        ask(ledger)
        assert ledger.best() is None
        ledger.end(1, Status.DIVERGED, "")
        assert ledger.best() is ledger.records[1]


class TestReopening:
    def test_everything_comes_back(self, filled: Ledger, folder: Path) -> None:
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        again = Ledger(folder, METRIC)
        assert again.records == filled.records
        assert again.curves() == filled.curves()
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before, "nothing to mend"
        # And it goes on: reports, endings and trials find their place.
        report(again, 5, 12, 0.5)
        again.end(5, Status.FINISHED, "")
        assert ask(again).number == 6
        assert Ledger(folder, METRIC).records == again.records

    def test_a_report_that_was_written_twice_counts_once(self, filled: Ledger, folder: Path) -> None:
        path = folder / HISTORY_FILE
        path.write_bytes(path.read_bytes() * 2)
        assert Ledger(folder, METRIC).records == filled.records

    @pytest.mark.parametrize("bytes_lost", [1, 2, 20, 50])
    def test_a_torn_last_report_is_cut_off(self, folder: Path, bytes_lost: int) -> None:
        path = folder / HISTORY_FILE
        whole = path.read_bytes()
        path.write_bytes(whole[:-bytes_lost])
        again = Ledger(folder, METRIC)
        lost = whole.splitlines(keepends=True)[-1]
        assert path.read_bytes() == whole.removesuffix(lost)
        assert [r["passes"] for r in again.records[5].reports] == [4]

    def test_the_study_catches_up_with_a_history_that_is_ahead(self, tmp_path: Path) -> None:
        """Killed between the two files, the report counts: it was on disk."""
        ledger = Ledger(tmp_path, METRIC)
        ask(ledger)
        report(ledger, 0, 4, 0.5)
        journal = tmp_path / STUDY_FILE
        before = journal.read_bytes()
        report(ledger, 0, 8, 0.25)
        journal.write_bytes(before)
        assert Ledger(tmp_path, METRIC).records == ledger.records
        assert study_of(tmp_path).trials[0].intermediate_values == {4: 0.5, 8: 0.5}

    def test_a_half_asked_trial_is_asked_again_whole(self, tmp_path: Path) -> None:
        """With some of its parameters kept, the rest would be other draws than were due."""
        ledger = Ledger(tmp_path, METRIC)
        first = ask(ledger).config
        journal = tmp_path / STUDY_FILE
        before = journal.read_bytes()
        second = ask(ledger, {"x": 0.5}).config
        written = journal.read_bytes().removeprefix(before).splitlines(keepends=True)
        assert len(written) > 2
        for kept in range(len(written)):
            for torn in (b"", written[kept][: len(written[kept]) // 2]):
                journal.write_bytes(before + b"".join(written[:kept]) + torn)
                again = Ledger(tmp_path, METRIC)
                assert [record.config for record in again.records.values()] == [first]
                assert journal.read_bytes() == before
                assert ask(again, {"x": 0.5}).config == second
        journal.write_bytes(before + b"".join(written))
        assert [r.config for r in Ledger(tmp_path, METRIC).records.values()] == [first, second]

    @pytest.mark.parametrize(
        "damaged",
        ["", "{", "5", "[]", "null", '{"passes":4}', '{"trial":9,"passes":4}', '{"trial":[0]}', "\xff"],
    )
    def test_a_damaged_report_is_refused_with_its_line(self, folder: Path, damaged: str) -> None:
        path = folder / HISTORY_FILE
        lines = path.read_text().splitlines()
        lines[2] = damaged
        path.write_bytes(("\n".join(lines) + "\n").encode("latin-1"))
        with pytest.raises(ResultsError) as refusal:
            Ledger(folder, METRIC)
        said = f"{path}: line 3 is damaged; restore the file or start anew in another folder"
        assert str(refusal.value) == said

    @pytest.mark.parametrize("damaged", ["", "{", "5", "[]", "{}"])
    def test_a_damaged_study_is_refused_with_its_line(self, folder: Path, damaged: str) -> None:
        path = folder / STUDY_FILE
        lines = path.read_text().splitlines()
        lines[1] = damaged
        path.write_text("\n".join(lines) + "\n")
        before = path.read_bytes()
        with pytest.raises(
            ResultsError, match="line 2 is damaged; restore the file or start anew"
        ) as refusal:
            Ledger(folder, METRIC)
        assert str(path) in str(refusal.value)
        assert path.read_bytes() == before, "refused untouched"
