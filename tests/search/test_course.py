"""A search's course, from its first trial to the published model, and every way in which it can end before."""

from __future__ import annotations

import errno
import io
import json
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from rich.console import Console

from distrecvae.data.dataset import HeldOutUsers, Split
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.data.synthetic import synthetic_split
from distrecvae.errors import ResourceError, ResultsError
from distrecvae.evaluation import evaluate
from distrecvae.layout import STATE_FILE, trial_folder
from distrecvae.saved.model import load_model
from distrecvae.search import course
from distrecvae.search.core.conductor import Conductor
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.records import Status, TrialRecord
from distrecvae.search.core.requests import Request
from distrecvae.search.course import Outcome, carry_out
from distrecvae.search.folder.best import publish_best
from distrecvae.search.folder.description import describe
from distrecvae.search.folder.environment import environment_of
from distrecvae.search.folder.mailbox import Answer, Mailbox
from distrecvae.search.folder.search import Search
from distrecvae.search.folder.search_json import Description, WarmStart, read_description, write_description
from distrecvae.search.launch import plan_search
from distrecvae.search.on_ray import session, tuning
from distrecvae.search.on_ray.interruption import Interruption, StopSearch
from distrecvae.search.on_ray.session import Session
from distrecvae.search.planning.resources import Cluster
from distrecvae.search.space.space import SearchSpace
from distrecvae.search.watchers.tensorboard import EventFiles
from tests.search.watchers.test_notify import serving
from tests.whole.test_bad_input import GIB, RATE
from tests.whole.test_extend import run_here

SPLIT = synthetic_split(n_users=100, n_items=60, seed=1)
SPACE = SearchSpace.from_mapping(yaml.safe_load(RATE))
CLUSTER = Cluster(((2.0, 0.0),), GIB, 8 * GIB)
TYPED = "distrecvae search --data data --trials 3"
GO_ON = "distrecvae search --data data --trials 3 --resume --out out"

Trials = Callable[..., None]


@dataclass
class Log:
    """A tracker that hears of the search."""

    begun: list[int] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    last: tuple[bool, dict[str, float]] | None = None


@dataclass
class Begun:
    """A search of three trials in `out`, to be carried out without Ray.

    Attributes:
        described: what search.json says of it before.
        console: what is shown.
        stop: hears that it must end.
        reported: the state in which each report found the search.
        log: the tracker.
        split: the data set.
    """

    config: SearchConfig
    described: Description
    console: io.StringIO = field(default_factory=io.StringIO)
    stop: Interruption = field(default_factory=Interruption)
    reported: list[str] = field(default_factory=list)
    log: Log = field(default_factory=Log)
    split: Split = SPLIT

    def carry_out(self, **changes: Any) -> Outcome:
        """Carry it out in a new process: nothing is known but what lies in the folder."""
        config = replace(self.config, **changes)
        self.stop = Interruption()
        ray = Session(CLUSTER, self.split, self.stop)
        plan = plan_search(config, SPACE, ray)
        shown = Console(file=self.console, width=40)
        return carry_out(Search(config, SPACE, plan, Path("out"), self.described, TYPED), ray, shown)


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Begun:
    """Return a search that is described and has no trial; its trials are run in this process."""
    monkeypatch.chdir(tmp_path)
    config = SearchConfig(data="data", trials=3, max_passes=8, min_passes=4, concurrent=1, seed=4)
    plan = plan_search(config, SPACE, Session(CLUSTER, SPLIT))
    described = describe(
        config, SPACE, SPLIT, plan, folder=Path("out"), data="data", command=TYPED, warm=None
    )
    Path("out").mkdir()
    write_description(Path("out"), described)
    begun = Begun(config, described)
    monkeypatch.setattr(session, "lend", lambda split, _: split)
    monkeypatch.setattr(tuning, "run_trials", run_here)

    def report(folder: Path) -> None:
        begun.reported.append(f"{status()}, {(folder / 'summary.txt').exists()}")

    monkeypatch.setattr("distrecvae.search.report.writing.write_report", report)
    monkeypatch.setattr(course, "make_loggers", lambda *_, **__: [_logger(begun.log)])
    return begun


def _logger(log: Log) -> Any:
    class Logger:
        def started(self, record: TrialRecord) -> None:
            log.begun.append(record.number)

        def reported(self, record: TrialRecord) -> None:
            pass

        def ended(self, record: TrialRecord) -> None:
            log.ended.append(record.number)

        def finish(self, *, complete: bool, scores: Mapping[str, float]) -> None:
            log.last = (complete, dict(scores))

    return Logger()


def status() -> str:
    return str(read_description(Path("out")).status)


def summary() -> str:
    return Path("out/summary.txt").read_text(encoding="utf-8")


def first_only(conductor: Conductor, split: Split, *_: object, stop: Interruption, **__: object) -> None:
    """Run one trial, then be interrupted."""
    task = conductor.next_task()
    assert task is not None
    conductor.heard(task.number, report(4, 0.25))
    conductor.finished(task.number)
    stop._ask("interrupted by SIGINT", 60)  # as a signal does, without its thread


def report(passes: int, score: float) -> dict[str, Any]:
    scores = {f"valid/{name}": score for name in ("ndcg_100", "recall_20", "recall_50")}
    return {"cycle": passes // 4, "passes": passes, **scores, "train_s": 1.0, "evaluate_s": 0.5}


def none_run(*_: object, **__: object) -> None:
    raise AssertionError("no trial has to be run")


# To the end.


def test_a_search_ends_in_a_published_model(begun: Begun) -> None:
    outcome = begun.carry_out()
    assert (outcome.complete, outcome.has_score) == (True, True)
    assert summary() == outcome.summary + "\n"
    assert "3 of 3 trials" in outcome.summary
    assert status() == "finished"
    trials = pd.read_csv("out/trials.csv")
    metrics = json.loads(Path("out/best/metrics.json").read_text())
    assert metrics["trial"] == trials["score"].to_numpy().argmax()
    assert metrics["valid"]["mean"]["ndcg_100"] == pytest.approx(trials["score"].max())
    loaded = load_model(Path("out"))
    assert evaluate(loaded.recommender, SPLIT.test).mean("ndcg_100") == pytest.approx(
        metrics["test"]["mean"]["ndcg_100"]
    )
    assert (loaded.config.hidden_dim, loaded.config.latent_dim) == (8, 4)


def test_only_the_states_of_the_best_trial_and_the_first_are_kept(begun: Begun) -> None:
    begun.carry_out()
    best = json.loads(Path("out/best/metrics.json").read_text())["trial"]
    kept = [n for n in range(3) if (trial_folder(Path("out"), n) / STATE_FILE).exists()]
    assert kept == sorted({0, best})


def test_the_plan_is_said_first_whole_however_narrow_the_terminal(begun: Begun) -> None:
    begun.carry_out()
    plan = plan_search(begun.config, SPACE, Session(CLUSTER, SPLIT))
    assert begun.console.getvalue().splitlines()[0] == plan.headline()


def test_the_report_is_written_when_all_else_is(begun: Begun) -> None:
    # It says on its first line whether the search is over, and reads that from the folder.
    begun.carry_out()
    assert begun.reported == ["finished, True"]


def test_a_report_that_fails_costs_no_search(begun: Begun, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(folder: Path) -> None:
        raise RuntimeError("no room\nfor figures")

    monkeypatch.setattr("distrecvae.search.report.writing.write_report", fail)
    outcome = begun.carry_out()
    assert (outcome.complete, outcome.has_score, status()) == (True, True, "finished")
    line = "The report was not written (RuntimeError: no room); try: distrecvae report out"
    assert outcome.summary.splitlines()[-1] == line
    assert line not in summary(), "it is no part of what was found"


def test_a_tracker_hears_of_every_trial_and_of_the_test_scores(begun: Begun) -> None:
    begun.carry_out()
    assert begun.log.begun == begun.log.ended == [0, 1, 2]
    metrics = json.loads(Path("out/best/metrics.json").read_text())
    assert begun.log.last == (
        True,
        {f"test/{name}": value for name, value in metrics["test"]["mean"].items()},
    )


def test_without_a_test_user_that_can_be_scored_a_search_ends_well(begun: Begun) -> None:
    # It died at its very end: the gain over no users is not a number, and no JSON.
    nobody = InteractionMatrix.from_pairs([], [], n_users=SPLIT.test.n_users, n_items=SPLIT.n_items)
    begun.split = replace(SPLIT, test=HeldOutUsers(SPLIT.test.fold_in, nobody))
    outcome = begun.carry_out()
    assert (outcome.complete, outcome.has_score, status()) == (True, True, "finished")
    assert "No test user can be scored" in outcome.summary
    assert begun.log.last == (True, {}), "a tracker has no word for what is not a number"


@pytest.mark.parametrize("end", [Status.FAILED, Status.DIVERGED])
def test_a_search_whose_every_trial_went_wrong_is_complete_and_has_no_model(
    end: Status, begun: Begun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(conductor: Conductor, *_: object, **__: object) -> None:
        while (task := conductor.next_task()) is not None:
            conductor.heard(task.number, report(4, 0.25))
            conductor.failed(task.number, end, "out of luck")

    monkeypatch.setattr(tuning, "run_trials", fail)
    outcome = begun.carry_out()
    assert (outcome.complete, outcome.has_score) == (True, False)
    assert f"Every trial {end}: there is no model to publish." in outcome.summary.splitlines()
    assert not Path("out/best").exists()
    assert begun.log.last == (True, {})
    # `finished` is said of a search that has a model.
    assert status() == "interrupted"


def test_a_time_budget_that_is_spent_ends_a_search(begun: Begun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "run_trials", none_run)
    begun.described = replace(begun.described, elapsed_s=50.0)
    outcome = begun.carry_out(time_budget_s=50.0)
    assert (outcome.complete, outcome.has_score) == (True, False)
    assert "not over" not in outcome.summary


def test_a_trial_that_was_lost_is_given_out_again(begun: Begun, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def lose_the_first(conductor: Conductor, *given: Any, **_: object) -> None:
        calls.append(len(conductor.ledger.records))
        if len(calls) == 1:
            assert conductor.next_task() is not None
            conductor.reclaim()
        else:
            run_here(conductor, *given)

    monkeypatch.setattr(tuning, "run_trials", lose_the_first)
    outcome = begun.carry_out()
    assert calls == [0, 1]
    assert (outcome.complete, outcome.has_score) == (True, True)
    assert len(pd.read_csv("out/trials.csv")) == 3


def test_what_is_taken_over_is_said_and_tried_right_after_the_start(
    begun: Begun, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = {**SPACE.default_config(), "learning_rate": 0.003}
    begun.described = replace(begun.described, warm_start=WarmStart("earlier", (7,), (taken,), ()))
    tried: list[float] = []

    def try_all(conductor: Conductor, *_: object, **__: object) -> None:
        while (task := conductor.next_task()) is not None:
            tried.append(task.config["learning_rate"])
            conductor.failed(task.number, Status.FAILED, "")

    monkeypatch.setattr(tuning, "run_trials", try_all)
    begun.carry_out()
    assert "Warm start from earlier: trials 7." in begun.console.getvalue().splitlines()
    assert tried[0] == SPACE.default_config()["learning_rate"]
    assert tried[1] == pytest.approx(0.003)


# While it runs.


def test_what_a_killed_writer_left_is_removed_at_the_start(
    begun: Begun, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("out/.search.json.x.part").touch()
    Path("out/.best.x.part").mkdir()
    Path("out/.ray/tune").mkdir(parents=True)
    Path("out/notes.part").touch()
    monkeypatch.setattr(tuning, "run_trials", first_only)
    begun.carry_out()
    assert not list(Path("out").glob(".*.part"))
    assert not Path("out/.ray").exists()
    assert Path("out/notes.part").exists(), "a file of someone's own"


def test_the_folder_follows_the_search_as_it_runs(begun: Begun, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, int]] = []

    def look(
        conductor: Conductor, *_: object, refresh: Callable[[], None], stop: Interruption, **__: object
    ) -> None:
        task = conductor.next_task()
        assert task is not None
        conductor.heard(task.number, report(4, 0.25))
        refresh()
        seen.append((status(), len(pd.read_csv("out/trials.csv"))))
        stop._ask("interrupted by SIGINT", 60)
        # This is how Tune's loop is left: its own `except Exception` would continue.
        with pytest.raises(StopSearch):
            refresh()

    monkeypatch.setattr(tuning, "run_trials", look)
    begun.carry_out()
    assert seen == [("running", 1)]
    assert status() == "interrupted"


def test_what_may_change_is_written_down_and_what_it_began_with_stays(
    begun: Begun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "run_trials", first_only)
    begun.described = replace(begun.described, settings=replace(begun.config, space="./space.yaml"))
    begun.carry_out(trials=5, time_budget_s=3600.0)
    described = read_description(Path("out"))
    settings = replace(begun.described.settings, trials=5, time_budget_s=3600.0)
    assert described.settings == settings
    assert described.ledger.lines > 0
    assert described == replace(
        begun.described,
        settings=settings,
        status=described.status,
        elapsed_s=described.elapsed_s,
        ledger=described.ledger,
    )


def test_seconds_add_up_over_interruptions(begun: Begun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "run_trials", first_only)
    begun.described = replace(begun.described, elapsed_s=7200.0)
    outcome = begun.carry_out()
    assert read_description(Path("out")).elapsed_s > 7200.0
    assert "for 2 h 00 min" in outcome.summary


# Interrupted.


def test_an_interrupted_search_says_why_and_how_to_go_on(
    begun: Begun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "run_trials", first_only)
    outcome = begun.carry_out()
    assert (outcome.complete, outcome.has_score) == (False, False)
    assert "1 of 3 trials" in outcome.summary
    assert "The search is not over: interrupted by SIGINT." in outcome.summary
    assert GO_ON in " ".join(outcome.summary.split())
    assert summary() == outcome.summary + "\n"
    assert status() == "interrupted"
    assert len(pd.read_csv("out/trials.csv")) == 1
    assert not Path("out/best").exists(), "test users are looked at once, at the end"
    assert begun.log.last == (False, {})
    assert begun.reported == ["interrupted, True"]


def test_a_range_that_grows_is_said_and_tensorboards_columns_reach_as_far(
    begun: Begun, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[float] = []

    def the_faster_the_better(conductor: Conductor, *_: object, stop: Interruption, **__: object) -> None:
        for _number in range(40):
            task = conductor.next_task()
            assert task is not None
            rates.append(task.config["learning_rate"])
            conductor.heard(task.number, report(8, 0.1 + 0.01 * math.log(1e4 * rates[-1])))
            conductor.finished(task.number)
        stop._ask("interrupted by SIGINT", 60)

    spaces: list[SearchSpace] = []
    monkeypatch.setattr(EventFiles, "widened", lambda _, space, first=None: spaces.append(space))  # noqa: ARG005
    monkeypatch.setattr(tuning, "run_trials", the_faster_the_better)
    begun.carry_out(trials=50, widen=True, scheduler="none")
    assert max(rates) > 0.01
    shown, said = (" ".join(text.split()) for text in (begun.console.getvalue(), summary()))
    why = "best 4 trials lay at the upper end of learning_rate: learning_rate is 0.0001 to 0.1, log from the next trial"
    assert why in shown
    assert f"a range was widened: 3 of the {why}" in said or f"a range was widened: 4 of the {why}" in said
    assert {name: text for name, text, _ in spaces[0].describe()}["learning_rate"] == "0.0001 to 0.1, log"
    assert read_description(Path("out")).settings.widen, "it may be given newly, and is written down"


def test_a_signal_that_finds_all_trials_ended_does_not_keep_the_model_back(
    begun: Begun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def all_then_signal(conductor: Conductor, *given: Any, stop: Interruption, **_: object) -> None:
        run_here(conductor, *given)
        stop._ask("interrupted by SIGINT", 60)

    monkeypatch.setattr(tuning, "run_trials", all_then_signal)
    outcome = begun.carry_out()
    assert (outcome.complete, outcome.has_score, status()) == (True, True, "finished")
    assert "not over" not in outcome.summary


def test_what_is_asked_of_a_search_that_is_over_is_answered(
    begun: Begun, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Left lying, a "pause" of the last second paused whoever resumed the search.
    mailbox = Mailbox(Path("out"))
    pause, fix = Request(action="pause"), Request(action="fix", settings={"learning_rate": 0.01})
    answer, sent = Answer(done=False, text="the search is over; --extend resumes it"), list[str]()

    def all_then_ask(conductor: Conductor, *given: Any, **_: object) -> None:
        run_here(conductor, *given)
        sent.append(mailbox.send(pause))

    def publish_and_ask(*given: Any) -> Any:
        assert mailbox.wait(sent[0], 0) == answer
        sent.extend((mailbox.send(pause), mailbox.send(fix)))
        return publish_best(*given)

    monkeypatch.setattr(tuning, "run_trials", all_then_ask)
    monkeypatch.setattr(course, "publish_best", publish_and_ask)
    begun.carry_out()
    assert mailbox.wait(sent[1], 0) == answer
    assert mailbox.names == sent[2:], "what makes sense when it is resumed is kept"


def test_a_search_whose_last_trial_was_interrupted_is_not_over(
    begun: Begun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(conductor: Conductor, *_: object, stop: Interruption, **__: object) -> None:
        for _number in range(3):
            task = conductor.next_task()
            assert task is not None
            conductor.heard(task.number, report(4, 0.25))
        stop._ask("interrupted by SIGINT", 60)

    monkeypatch.setattr(tuning, "run_trials", interrupted)
    monkeypatch.setattr(course, "publish_best", none_run)
    outcome = begun.carry_out()
    assert "0 of 3 trials ended (3 running)" in outcome.summary
    assert (outcome.complete, outcome.has_score) == (False, False)


def test_trials_that_wait_when_the_time_is_over_end_with_it(
    begun: Begun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose_time(conductor: Conductor, *_: object, **__: object) -> None:
        task = conductor.next_task()
        assert task is not None
        conductor.heard(task.number, report(4, 0.25))
        conductor.reclaim()  # its process is lost; it would be given out again
        later = time.monotonic() + 3601
        monkeypatch.setattr(time, "monotonic", lambda: later)

    monkeypatch.setattr(tuning, "run_trials", lose_time)
    monkeypatch.setattr(course, "publish_best", lambda *_, **__: None)
    outcome = begun.carry_out(time_budget_s=3600.0)
    assert outcome.complete
    (row,) = pd.read_csv("out/trials.csv").to_dict("records")
    assert (row["status"], row["reason"]) == ("stopped", "time budget of 3600 s")


def test_trials_that_all_ended_before_are_published_without_running_one(
    begun: Begun, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Killed between the last trial's end and the publishing.
    with monkeypatch.context() as patch:
        patch.setattr(course, "publish_best", none_run)
        with pytest.raises(AssertionError):
            begun.carry_out(keep_checkpoints=1)
    assert status() == "interrupted"
    states = [trial_folder(Path("out"), number) / STATE_FILE for number in range(3)]
    kept = [state.exists() for state in states]
    for state in states:
        # What a worker wrote that outlived its search.
        state.with_name(f".{STATE_FILE}.x.part").touch()
        state.touch()
    monkeypatch.setattr(tuning, "run_trials", none_run)
    monkeypatch.setattr(session, "lend", none_run)
    outcome = begun.carry_out(keep_checkpoints=1)
    assert (outcome.complete, outcome.has_score, status()) == (True, True, "finished")
    assert begun.log.begun == [0, 1, 2]
    assert [state.exists() for state in states] == kept
    assert not list(Path("out").rglob("*.part"))


def test_a_process_that_is_ended_has_its_last_words(begun: Begun, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(conductor: Conductor, *arguments: object, stop: Interruption, **named: object) -> None:
        first_only(conductor, SPLIT, stop=stop)
        write_description(Path("out"), replace(begun.described, status="running"))
        assert stop.goes_on == GO_ON
        stop.last_words()  # as its thread does when this call has not come back in time
        assert status() == "interrupted"
        assert len(pd.read_csv("out/trials.csv")) == 1
        shown = begun.console.getvalue()
        assert "The search is not over: interrupted by SIGINT." in shown
        assert GO_ON in " ".join(shown.split())

    monkeypatch.setattr(tuning, "run_trials", hang)
    begun.carry_out()


# What fails.


def failing(error: BaseException) -> Trials:
    def fail(conductor: Conductor, *_: object, **__: object) -> None:
        task = conductor.next_task()
        assert task is not None
        conductor.heard(task.number, report(4, 0.25))
        raise error

    return fail


def test_storage_that_fails_is_an_error_that_says_how_to_go_on(
    begun: Begun, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr(tuning, "run_trials", failing(error))
    with pytest.raises(ResultsError) as caught:
        begun.carry_out()
    assert str(caught.value) == (
        "out cannot be written (No space left on device); what was reported before is safe: check the storage, then"
        f" continue with: {GO_ON}"
    )
    assert status() == "interrupted"
    assert len(pd.read_csv("out/trials.csv")) == 1


def test_an_error_that_nobody_foresaw_does_not_take_the_way_on_with_it(
    begun: Begun, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The traceback that follows was all there was.
    monkeypatch.setattr(tuning, "run_trials", failing(RuntimeError("a bug\nin two lines")))
    with pytest.raises(RuntimeError):
        begun.carry_out()
    shown = begun.console.getvalue()
    assert "The search is not over: ended by RuntimeError: a bug." in shown
    assert GO_ON in " ".join(shown.split())


def test_a_disk_that_is_full_when_the_model_is_published_is_said_so_too(
    begun: Begun, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It said `error: output: the disk is full`: neither where nor how to continue.
    def full(folder: Path, **_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder / "model.safetensors"))

    with monkeypatch.context() as patch:
        patch.setattr("distrecvae.search.folder.best.save_model", full)
        with pytest.raises(ResultsError) as caught:
            begun.carry_out()
    assert str(caught.value).startswith(
        "out/best/model.safetensors cannot be written (No space left on device)"
    )
    assert str(caught.value).endswith(f"continue with: {GO_ON}")
    assert begun.carry_out().has_score, "with room it continues to its end"


@pytest.mark.parametrize("error", [ResourceError("no node"), RuntimeError("a bug"), KeyboardInterrupt()])
def test_whatever_ends_it_the_tables_are_written(
    error: BaseException, begun: Begun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "run_trials", failing(error))
    with pytest.raises(type(error)) as caught:
        begun.carry_out()
    assert caught.value is error
    assert status() == "interrupted"
    assert len(pd.read_csv("out/trials.csv")) == 1
    assert not Path("out/summary.txt").exists()


def test_a_search_writes_down_what_it_goes_on_with_where_that_has_changed(
    begun: Begun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def torches() -> list[str]:
        lines = map(json.loads, Path("out/ledger.jsonl").read_text(encoding="utf-8").splitlines())
        return [line["environment"]["torch"] for line in lines if line["kind"] in ("begun", "resumed")]

    with monkeypatch.context() as patch:
        patch.setattr(tuning, "run_trials", first_only)
        begun.carry_out()
        begun.carry_out()
        (first,) = torches()
        patch.setattr(course, "environment_of", lambda plan: {**environment_of(plan), "torch": "9.9"})
        begun.carry_out()
        assert "torch 9.9" in begun.console.getvalue()
        begun.carry_out()
    assert torches() == [first, "9.9"]


def test_whoever_is_to_be_notified_hears_of_the_end_and_of_what_ended_it_early(
    begun: Begun, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as server:
        monkeypatch.setattr(tuning, "run_trials", first_only)
        begun.carry_out(notify=server.url)
        assert [each["event"] for each in server.got] == ["best", "interrupted"]
        assert "The search is not over: interrupted by SIGINT." in server.got[-1]["text"]

        def broken(*_: object, **__: object) -> None:
            raise RuntimeError("nobody foresaw this")

        monkeypatch.setattr(tuning, "run_trials", broken)
        with pytest.raises(RuntimeError, match="nobody foresaw"):
            begun.carry_out(notify=server.url)
        assert server.got[-1]["event"] == "trouble"
        assert "RuntimeError: nobody foresaw this" in server.got[-1]["text"]

        monkeypatch.setattr(tuning, "run_trials", run_here)
        assert begun.carry_out(notify=server.url).complete
        assert server.got[-1]["event"] == "end"
        assert "3 of 3 trials" in server.got[-1]["text"]


def test_a_search_does_not_mind_that_nobody_can_be_notified(begun: Begun) -> None:
    with serving() as server:
        url = server.url
    assert begun.carry_out(notify=url).complete
    assert begun.console.getvalue().replace("\n", "").count("--notify failed") == 1
    assert begun.carry_out(notify="false").complete
