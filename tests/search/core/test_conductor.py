"""The course of a search depends on its settings only: not on interruptions, wherever they fall."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from distrecvae.layout import TRACEBACK_FILE, trial_folder
from distrecvae.search.core.chain import Chain
from distrecvae.search.core.conductor import RETRIES, Conductor
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.records import Status, TrialRecord
from distrecvae.search.core.requests import Request
from distrecvae.search.core.rules import Never
from distrecvae.search.core.samplers import make_sampler
from distrecvae.search.space.space import SearchSpace
from tests.search.simulated import (
    METRIC,
    SPACE,
    ToyConfig,
    course,
    open_conductor,
    run_serially,
    toy_curve,
    toy_search_config,
)


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


class Killer:
    """Kills the search at its n-th write, after half of that write's bytes."""

    def __init__(self, at: int) -> None:
        self.writes, self.at = 0, at

    def due(self) -> bool:
        self.writes += 1
        return self.writes == self.at


def arm(monkeypatch: pytest.MonkeyPatch, killer: Killer) -> None:
    write = Chain.write

    def dying_write(self: Chain, line: bytes) -> None:
        if killer.due():
            write(self, line[: len(line) // 2])
            raise Killed
        write(self, line)

    monkeypatch.setattr(Chain, "write", dying_write)


@pytest.mark.parametrize("sampler", ["tpe", "guided", "random", "qmc", "cmaes", "gp"])
def test_a_search_killed_at_any_write_ends_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sampler: str
) -> None:
    config = toy_search_config(sampler=sampler, trials=5, max_passes=12)
    counter = Killer(at=-1)
    with monkeypatch.context() as patch:
        arm(patch, counter)
        whole = open_conductor(tmp_path / "whole", config)
        run_serially(whole, config)
    for at in range(1, counter.writes + 1):
        folder = tmp_path / f"killed-{at}"
        with monkeypatch.context() as patch:
            arm(patch, Killer(at))
            with pytest.raises(Killed):
                run_serially(open_conductor(folder, config), config)
        again = open_conductor(folder, config)
        run_serially(again, config)
        assert course(again.ledger) == course(whole.ledger), f"killed at write {at}"


def test_a_search_that_grew_ends_as_one_begun_with_as_many_trials(tmp_path: Path) -> None:
    config, small = (toy_search_config(trials=n) for n in (14, 5))
    whole = open_conductor(tmp_path / "whole", config)
    run_serially(whole, config)
    run_serially(open_conductor(tmp_path / "grown", small), small)
    grown = open_conductor(tmp_path / "grown", config)
    run_serially(grown, config)
    assert course(grown.ledger) == course(whole.ledger)


def test_the_first_trial_is_the_default_configuration(tmp_path: Path) -> None:
    conductor = open_conductor(tmp_path, toy_search_config())
    task = conductor.next_task()
    assert task is not None
    assert task.config == SPACE.default_config()


def test_asha_stops_weak_trials_and_never_the_best(tmp_path: Path) -> None:
    config = toy_search_config(trials=30)
    conductor = open_conductor(tmp_path, config)
    run_serially(conductor, config)
    by_status = {s: [r for r in conductor.ledger.records.values() if r.status is s] for s in Status}
    assert len(by_status[Status.STOPPED]) > 10
    best = conductor.ledger.best()
    assert best is not None
    assert best.status is Status.FINISHED
    assert best.score is not None
    assert best.score > (conductor.ledger.records[0].score or 1.0), (
        "thirty trials beat the default on an easy formula"
    )


def test_a_diverged_trial_scores_zero_and_the_search_goes_on(tmp_path: Path) -> None:
    config = toy_search_config(trials=6, scheduler="none")

    def curve(settings: dict[str, Any], passes: int) -> float:
        return math.nan if settings["kind"] == "b" and passes > 8 else toy_curve(settings, passes)

    conductor = open_conductor(tmp_path, config)
    run_serially(conductor, config, curve)
    diverged = [r for r in conductor.ledger.records.values() if r.status is Status.DIVERGED]
    assert diverged
    assert all(r.score == 0.0 and r.reason == "loss is nan" for r in diverged)
    best = conductor.ledger.best()
    assert best is not None
    assert best.config["kind"] == "a"


def test_a_failed_trial_has_no_score_and_is_not_the_best(tmp_path: Path) -> None:
    config = toy_search_config(trials=2)
    conductor = open_conductor(tmp_path, config)
    task = conductor.next_task()
    assert task is not None
    conductor.heard(task.number, {"passes": 4, "cycle": 1, METRIC: 0.9})
    conductor.failed(task.number, Status.FAILED, "its process died")
    assert conductor.ledger.best() is None
    run_serially(conductor, config)
    best = conductor.ledger.best()
    assert best is not None
    assert best.number == 1


def test_a_spent_time_budget_stops_what_runs_and_starts_nothing(tmp_path: Path) -> None:
    config = toy_search_config(time_budget_s=1000.0)
    conductor = open_conductor(tmp_path, config)
    task = conductor.next_task()
    assert task is not None
    assert not conductor.heard(task.number, {"passes": 4, "cycle": 1, METRIC: 0.1})
    conductor._elapsed_s = 2000.0
    assert conductor.heard(task.number, {"passes": 8, "cycle": 2, METRIC: 0.1})
    assert conductor.ledger.records[0].status is Status.STOPPED
    assert "time budget" in conductor.ledger.records[0].reason
    assert conductor.next_task() is None


def test_a_resumed_search_without_time_left_ends_what_was_under_way(tmp_path: Path) -> None:
    # Else it would say "interrupted, continue with --resume" for ever.
    config = toy_search_config(time_budget_s=1000.0)
    open_conductor(tmp_path, config).next_task()
    again = open_conductor(tmp_path, config)
    again._elapsed_s = 2000.0
    again.settle()
    assert [r.status for r in again.ledger.records.values()] == [Status.STOPPED]
    assert not again.has_work


def test_a_trial_that_was_dropped_is_given_out_again_a_few_times(tmp_path: Path) -> None:
    config = toy_search_config(trials=2, scheduler="none")
    conductor = open_conductor(tmp_path, config)
    first = conductor.next_task()
    assert first is not None
    for _ in range(RETRIES):
        assert conductor.dropped(first.number)
        assert conductor.next_task() == first, "before a new trial"
    assert not conductor.dropped(first.number)


def test_what_nobody_runs_any_more_is_taken_back(tmp_path: Path) -> None:
    config = toy_search_config(trials=3)
    conductor = open_conductor(tmp_path, config)
    first, second = conductor.next_task(), conductor.next_task()
    assert first is not None
    assert second is not None
    conductor.finished(second.number)
    conductor.reclaim()
    assert conductor.has_work
    assert conductor.next_task() == first
    for _ in range(RETRIES):
        conductor.reclaim()
        conductor.next_task()
    conductor.reclaim()
    assert conductor.ledger.records[first.number].status is Status.FAILED
    assert "dropped" in conductor.ledger.records[first.number].reason


class Heard:
    """A watcher that remembers what it was told, and how far the ledger was by then."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int, int]] = []

    def started(self, record: TrialRecord) -> None:
        self.told.append(("started", record.number, len(record.reports)))

    def reported(self, record: TrialRecord) -> None:
        self.told.append(("reported", record.number, len(record.reports)))

    def ended(self, record: TrialRecord) -> None:
        self.told.append((str(record.status), record.number, len(record.reports)))


def report(cycle: int, score: float = 0.1) -> dict[str, Any]:
    return {"passes": 4 * cycle, "cycle": cycle, METRIC: score}


def test_watchers_hear_of_everything_once_in_the_order_in_which_it_was_written(tmp_path: Path) -> None:
    heard = Heard()
    conductor = open_conductor(tmp_path, toy_search_config(trials=2, scheduler="none"), (heard,))
    conductor.next_task()
    for cycle in (1, 1, 2):  # a trial that continues from its checkpoint repeats a report
        conductor.heard(0, report(cycle))
    conductor.finished(0)
    conductor.finished(0)
    conductor.next_task()
    conductor.failed(1, Status.FAILED, "no memory")
    assert heard.told == [
        ("started", 0, 0), ("reported", 0, 1), ("reported", 0, 2), ("finished", 0, 2),
        ("started", 1, 0), ("failed", 1, 0),
    ]  # fmt: skip
    assert conductor.ledger.records[1].reason == "no memory"


def test_a_report_of_a_trial_that_has_ended_stops_it_again(tmp_path: Path) -> None:
    # Its worker has not heard of the end yet; what it says is not written down.
    conductor = open_conductor(tmp_path, toy_search_config(scheduler="none"))
    conductor.next_task()
    assert not conductor.heard(0, report(1))
    conductor.finished(0)
    assert conductor.heard(0, report(2))
    assert len(conductor.ledger.records[0].reports) == 1


def test_what_another_search_found_good_comes_after_the_start_in_its_order(tmp_path: Path) -> None:
    config = toy_search_config(trials=4, sampler="random")
    points = [{**SPACE.default_point(), "width": width} for width in (33, 77)]
    conductor = Conductor(
        ledger=Ledger(tmp_path, METRIC), space=SPACE, config=config, rule=Never(), folder=tmp_path, warm_starts=points
    )  # fmt: skip
    tasks = [conductor.next_task() for _ in range(4)]
    widths = [task.config["width"] for task in tasks if task is not None]
    assert widths[:3] == [SPACE.default_config()["width"], 33, 77]
    assert widths[3] not in (33, 77), "then it is the sampler's turn"


def test_the_sampler_is_told_how_many_trials_run_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A sampler that takes running trials for bad ones keeps eight workers from trying the same thing.
    asked: list[tuple[int, int]] = []

    def make(name: str, *, seed: int, trial_number: int, concurrent: int, most_passes: int, **_: Any) -> Any:
        assert most_passes == toy_search_config().most_passes
        asked.append((trial_number, concurrent))
        return make_sampler(name, seed=seed, trial_number=trial_number, concurrent=concurrent)

    monkeypatch.setattr("distrecvae.search.core.proposals.make_sampler", make)
    conductor = Conductor(
        ledger=Ledger(tmp_path, METRIC), space=SPACE, config=toy_search_config(), rule=Never(), folder=tmp_path,
        concurrent=8,
    )  # fmt: skip
    conductor.next_task()
    conductor.next_task()
    assert asked == [(0, 8), (1, 8)]


def test_a_traceback_lies_beside_its_trial_or_is_done_without(tmp_path: Path) -> None:
    conductor = open_conductor(tmp_path, toy_search_config())
    assert conductor.keep_traceback(3, "Traceback ...") == " (see trials/00003/error.txt)"
    assert (trial_folder(tmp_path, 3) / TRACEBACK_FILE).read_text(encoding="utf-8") == "Traceback ..."
    trial_folder(tmp_path, 4).write_text("a file where the folder should be", encoding="utf-8")
    assert conductor.keep_traceback(4, "Traceback ...") == ""


def test_a_trial_whose_budget_is_spent_is_finished_without_a_worker(tmp_path: Path) -> None:
    # Killed after its last report and before its end was written: 12 passes, and no room for 4 more.
    config = toy_search_config(trials=1, max_passes=15, scheduler="none")
    conductor = open_conductor(tmp_path, config)
    conductor.next_task()
    for cycle in (1, 2, 3):
        conductor.heard(0, report(cycle))
    again = open_conductor(tmp_path, config)
    assert again.next_task() is None
    assert again.ledger.records[0].status is Status.FINISHED


def test_a_trial_with_room_for_one_more_cycle_goes_on(tmp_path: Path) -> None:
    config = toy_search_config(trials=1, max_passes=16, scheduler="none")
    conductor = open_conductor(tmp_path, config)
    conductor.next_task()
    for cycle in (1, 2, 3):
        conductor.heard(0, report(cycle))
    task = open_conductor(tmp_path, config).next_task()
    assert task is not None
    assert task.number == 0


def test_a_tasks_number_and_seed_are_its_own(tmp_path: Path) -> None:
    conductor = open_conductor(tmp_path, toy_search_config(trials=3, sampler="random"))
    first, second = conductor.next_task(), conductor.next_task()
    assert first is not None
    assert second is not None
    assert (first.number, second.number) == (0, 1)
    assert first.seed != second.seed
    assert first.metric == METRIC
    assert second.ledger == conductor.ledger.mark.to_dict(), "its checkpoints vouch for the ledger so far"


def test_how_far_a_step_is_is_shown_and_not_written_down(tmp_path: Path) -> None:
    conductor = open_conductor(tmp_path, toy_search_config())
    conductor.next_task()
    before = conductor.ledger.mark
    conductor.advanced(0, 0.25)
    assert conductor.ledger.records[0].share == 0.25
    assert conductor.ledger.mark == before


def test_of_interrupted_trials_those_that_are_over_end_and_the_next_is_given_out(tmp_path: Path) -> None:
    config = toy_search_config(trials=2, max_passes=8, scheduler="none")
    conductor = open_conductor(tmp_path, config)
    conductor.next_task()
    conductor.next_task()
    conductor.heard(0, report(1))
    conductor.heard(0, report(2))
    conductor.heard(1, report(1))
    again = open_conductor(tmp_path, config)
    again.settle()
    assert [record.status for record in again.ledger.records.values()] == [Status.FINISHED, Status.RUNNING]
    task = again.next_task()
    assert task is not None
    assert task.number == 1


def test_a_trial_runs_on_the_device_and_in_the_precision_of_its_search(tmp_path: Path) -> None:
    conductor = Conductor(
        ledger=Ledger(tmp_path, METRIC), space=SPACE, config=toy_search_config(checkpoint_every_s=7.0), rule=Never(),
        folder=tmp_path, device="cuda", precision="bfloat16",
    )  # fmt: skip
    task = conductor.next_task()
    assert task is not None
    assert (task.device, task.precision, task.checkpoint_every_s) == ("cuda", "bfloat16", 7.0)


def test_time_that_is_up_ends_trials_that_have_not_reported(tmp_path: Path) -> None:
    # A trial whose first step takes an hour was waited for.
    conductor = open_conductor(tmp_path, toy_search_config(time_budget_s=1000.0))
    conductor.next_task()
    conductor.next_task()
    conductor.keep_time()
    assert len(conductor.ledger.unfinished()) == 2
    conductor._elapsed_s = 2000.0
    conductor.keep_time()
    assert [record.status for record in conductor.ledger.records.values()] == [Status.STOPPED] * 2
    assert conductor.ledger.records[1].reason == "time budget of 1000 s"


TINY = SearchSpace.from_mapping(
    {
        "model": "toy",
        "parameters": {
            "width": {"type": "int", "low": 62, "high": 66},
            "kind": {"type": "categorical", "choices": ["a", "b"]},
        },
    },
    model="toy",
    config_class=ToyConfig,
)


@pytest.mark.parametrize("sampler", ["tpe", "guided", "random", "qmc", "cmaes", "gp"])
def test_no_configuration_is_tried_twice_while_there_is_another(tmp_path: Path, sampler: str) -> None:
    """A trial is a function of its configuration: eight of ten trials of this space were one of the others again.

    A start of which all but a choice is kept was the first trial again, too, where the choice came out the same.
    """
    config = toy_search_config(sampler=sampler, trials=9, max_passes=4)
    conductor = open_conductor(tmp_path / "it", config, space=TINY)
    run_serially(conductor, config)
    tried = [str(record.config) for record in conductor.ledger.records.values()]
    assert len(set(tried)) >= 8, "of ten that there are: a redraw is bounded, and may miss the last ones"


def test_a_space_that_is_used_up_repeats_itself_rather_than_to_hang(tmp_path: Path) -> None:
    config = toy_search_config(sampler="random", trials=14, max_passes=4)
    conductor = open_conductor(tmp_path / "it", config, space=TINY)
    run_serially(conductor, config)
    assert len(conductor.ledger.records) == 14
    assert len({str(record.config) for record in conductor.ledger.records.values()}) == 10


def test_a_search_that_drew_anew_goes_on_as_it_would_have(tmp_path: Path) -> None:
    config = toy_search_config(trials=9, max_passes=4)
    whole = open_conductor(tmp_path / "whole", config, space=TINY)
    run_serially(whole, config)
    for n in range(1, 9):
        part = toy_search_config(trials=n, max_passes=4)
        run_serially(open_conductor(tmp_path / f"{n}", part, space=TINY), part)
        again = open_conductor(tmp_path / f"{n}", config, space=TINY)
        run_serially(again, config)
        assert course(again.ledger) == course(whole.ledger)


def test_a_report_that_is_repeated_after_a_restart_is_not_judged_by_what_came_since(tmp_path: Path) -> None:
    """The rule judges a trial at its first report at a rung: two that went on there were stopped by a restart."""
    config = toy_search_config(trials=3, min_passes=4, reduction_factor=3)
    conductor = open_conductor(tmp_path, config)
    for _ in range(3):
        conductor.next_task()
    assert not conductor.heard(0, report(1, 0.1))
    assert not conductor.heard(1, report(1, 0.2))
    assert not conductor.heard(0, report(1, 0.1)), "its worker died, and it continues from its state"
    assert conductor.heard(2, report(1, 0.05)), "it is the third of three"


def test_only_the_last_report_is_judged_when_a_search_is_resumed_and_whichever_trial_made_it(
    tmp_path: Path,
) -> None:
    """Only the first of the trials under way was looked at, again and again, and the one that was to end went on."""
    config = toy_search_config(trials=4, min_passes=4)
    conductor = open_conductor(tmp_path, config)
    for _ in range(4):
        conductor.next_task()
    for number, score in enumerate((0.1, 0.2, 0.3)):
        assert not conductor.heard(number, report(1, score))
    conductor.ledger.report(3, report(1, 0.05))  # killed before it was decided
    again = open_conductor(tmp_path, config)
    again.settle()
    ended = [record.number for record in again.ledger.records.values() if record.status is not Status.RUNNING]
    assert ended == [3], "trial 0 is below the bar, too, by now, and was not when it reported"


def test_a_trial_that_is_to_train_on_waits_for_its_turn_after_a_resumption_too(tmp_path: Path) -> None:
    """It was given out before the trial that was under way, for its number is the lower one."""
    config = toy_search_config(trials=2, max_passes=8, scheduler="none")
    conductor = open_conductor(tmp_path, config)
    conductor.next_task()
    conductor.heard(0, report(1))
    conductor.heard(0, report(2))
    conductor.finished(0)
    conductor.next_task()
    assert conductor.steer("1", Request(action="continue", trials=[0], number=16))[0]
    again = open_conductor(tmp_path, config)
    given = [task.number for task in (again.next_task(), again.next_task()) if task is not None]
    assert given == [1, 0]


def test_the_end_of_a_trial_that_was_given_more_meanwhile_is_not_its_end(tmp_path: Path) -> None:
    """A night found it: between a trial's last report and its end, `continue` was answered, and then it was over."""
    conductor = open_conductor(tmp_path, toy_search_config(trials=1, max_passes=8, scheduler="none"))
    conductor.next_task()
    conductor.heard(0, report(1))
    conductor.heard(0, report(2))
    assert conductor.steer("1", Request(action="continue", trials=[0], number=16))[0]
    conductor.finished(0)
    task = conductor.next_task()
    assert task is not None
    assert (task.number, task.max_passes) == (0, 16)
    conductor.finished(0)
    assert conductor.ledger.records[0].status is Status.FINISHED
