"""A steered search is a function of its ledger: killed at any line and resumed, it ends as the one that was not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from distrecvae.errors import ConfigError, SpaceError
from distrecvae.layout import LEDGER_FILE
from distrecvae.models.recvae import RecVAEConfig
from distrecvae.search.core.chain import read_chain
from distrecvae.search.core.conductor import Conductor
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.records import Status
from distrecvae.search.core.requests import Request, request_of
from distrecvae.search.core.rules import Never
from distrecvae.search.core.steering import Steering, steered_trials
from distrecvae.search.space.space import SearchSpace
from tests.search.simulated import (
    METRIC,
    PASSES_PER_CYCLE,
    SPACE,
    course,
    open_conductor,
    toy_curve,
    toy_search_config,
)
from tests.simulation.world import BRANCHED

EVENTS = ("asked", "report")
Script = dict[int, list[str]]
"""Requests by how many trials were asked for and reports made when they come in."""

SCRIPT: Script = {
    3: ["narrow rate=0.001:0.1"],
    12: ["add width=100 rate=0.03 kind=b", "add rate=5.0"],
    20: ["stop 0 1", "trials 14"],
    33: ["fix kind=b", "concurrent 1"],
    45: ["widen rate=0.0005:0.2", "narrow width=16:128"],
    50: ["stop 99", "pause", "go"],
}


def request(text: str) -> Request:
    action, *words = text.split()
    return request_of(action, words)


class Steered:
    """A search that is steered by a script, on one worker."""

    def __init__(self, folder: Path, script: Script, **settings: Any) -> None:
        self.config = toy_search_config(**settings)
        self.folder, self.script = folder, script
        self.conductor: Conductor = open_conductor(folder, self.config)
        self.answers: dict[str, tuple[bool, str]] = {}

    def events(self) -> int:
        return sum(line["kind"] in EVENTS for line in read_chain(self.folder / LEDGER_FILE).records)

    def hear(self) -> None:
        """Take up what is due, as the driver does between two reports."""
        events = self.events()
        for at, texts in self.script.items():
            for position, text in enumerate(texts):
                if at <= events:
                    name = f"{at:05d}-{position}"
                    self.answers[name] = self.conductor.steer(name, request(text))

    def run(self) -> list[tuple[Any, ...]]:
        conductor = self.conductor
        conductor.settle()
        self.hear()
        while (task := conductor.next_task()) is not None:
            self.hear()
            passes, over = 0, conductor.ledger.records[task.number].status is not Status.RUNNING
            while not over and passes + PASSES_PER_CYCLE <= task.max_passes:
                passes += PASSES_PER_CYCLE
                report = {
                    "passes": passes,
                    "cycle": passes // PASSES_PER_CYCLE,
                    METRIC: toy_curve(task.config, passes),
                    "train_s": 1.0,
                }
                over = conductor.heard(task.number, report)
                self.hear()
                over = over or conductor.ledger.records[task.number].status is not Status.RUNNING
            conductor.finished(task.number)
            self.hear()
        return course(conductor.ledger)


def test_a_search_that_is_killed_at_any_line_and_resumed_ends_as_one_that_was_not(tmp_path: Path) -> None:
    whole = Steered(tmp_path / "whole", SCRIPT)
    expected = whole.run()
    data = (tmp_path / "whole" / LEDGER_FILE).read_bytes()
    lines = data.splitlines(keepends=True)
    kinds = [line["kind"] for line in read_chain(tmp_path / "whole" / LEDGER_FILE).records]
    assert kinds.count("steered") == sum(map(len, SCRIPT.values()))
    # Around every request, and here and there: each resumption runs the rest of the search.
    cuts = {n + shift for n, kind in enumerate(kinds) if kind == "steered" for shift in (0, 1)}
    for cut in sorted({*cuts, *range(1, len(lines), 17)}):
        folder = tmp_path / f"cut-{cut}"
        folder.mkdir()
        (folder / LEDGER_FILE).write_bytes(b"".join(lines[:cut]) + b'{"torn')
        again = Steered(folder, SCRIPT)
        assert again.run() == expected, f"killed after line {cut}"
        assert again.answers.items() <= whole.answers.items()


def test_each_request_does_what_it_says(tmp_path: Path) -> None:
    search = Steered(tmp_path / "mine", SCRIPT)
    search.run()
    records, said = search.conductor.ledger.records, search.answers
    assert len(records) == 14
    assert said["00003-0"] == (True, "rate is 0.001 to 0.1, log from the next trial on")
    added = next(r for r in records.values() if r.config == {"width": 100, "rate": 0.03, "kind": "b"})
    assert said["00012-0"] == (True, f"it will be trial {added.number}")
    done, why = said["00012-1"]
    assert not done
    assert "rate: 5.0 is not in the range 0.001 to 0.1" in why
    done, why = said["00050-0"]
    assert not done
    assert why.startswith("there is no trial 99; ")
    later = [r for r in records.values() if r.number > added.number + 3]
    assert later
    assert all(r.config["kind"] == "b" for r in later[1:])
    assert all(0.0005 <= r.config["rate"] <= 0.2 for r in later)
    assert search.conductor.steering.trials == 14
    assert not search.conductor.paused


def started(tmp_path: Path, **settings: Any) -> Conductor:
    """Return a search with trial 0 finished and trial 1 under way."""
    config = toy_search_config(**settings)
    conductor = open_conductor(tmp_path / "mine", config)
    for number, cycles in ((0, 9), (1, 2)):
        task = conductor.next_task()
        assert task is not None
        for cycle in range(1, cycles + 1):
            report = {"passes": 4 * cycle, "cycle": cycle, METRIC: 0.1 * cycle + number, "train_s": 1.0}
            conductor.heard(number, report)
    conductor.finished(0)
    return conductor


def ask(conductor: Conductor, text: str) -> tuple[bool, str]:
    return conductor.steer(f"{len(conductor.ledger.answers):04d}", request(text))


def test_a_trial_is_stopped_by_hand_and_keeps_its_score(tmp_path: Path) -> None:
    conductor = started(tmp_path)
    assert ask(conductor, "stop 0 1") == (True, "stopped trial 1; trial 0 had ended before")
    record = conductor.ledger.records[1]
    assert (record.status, record.reason, record.score) == (Status.STOPPED, "by hand at 8 passes", 1.2)
    assert ask(conductor, "stop 1") == (False, "trial 1 ended before; nothing was stopped")


def test_a_kill_between_the_request_and_what_it_does_changes_nothing(tmp_path: Path) -> None:
    conductor = started(tmp_path)
    path = tmp_path / "mine" / LEDGER_FILE
    ask(conductor, "stop 1")
    lines = path.read_bytes().splitlines(keepends=True)
    assert read_chain(path).records[-2]["kind"] == "steered"
    path.write_bytes(b"".join(lines[:-1]))  # its `ended` was not written any more
    again = open_conductor(tmp_path / "mine", toy_search_config())
    again.settle()
    assert again.ledger.records[1].reason == "by hand at 8 passes"
    assert again.steer("0000", request("stop 1")) == (True, "stopped trial 1"), (
        "asked again, it is answered as it was"
    )


def test_no_trial_is_given_out_while_it_is_paused_nor_after_a_kill(tmp_path: Path) -> None:
    conductor = started(tmp_path)
    assert ask(conductor, "pause") == (True, "paused; 1 trial gives its worker back")
    assert (conductor.next_task(), conductor.paused, conductor.at_once) == (None, True, 0)
    assert ask(conductor, "pause") == (False, "it is paused already")
    again = open_conductor(tmp_path / "mine", toy_search_config())
    assert again.paused
    assert again.next_task() is None
    assert ask(again, "go") == (True, "it continues")
    task = again.next_task()
    assert task is not None
    assert task.number == 1, "the one that was under way"
    assert ask(again, "go") == (False, "it is not paused")


def test_fewer_run_at_once_and_never_more_than_planned(tmp_path: Path) -> None:
    config, ledger = toy_search_config(), started(tmp_path).ledger
    conductor = Conductor(
        ledger=ledger, space=SPACE, config=config, rule=Never(), folder=tmp_path / "mine", concurrent=4
    )
    assert conductor.at_once == 4
    assert ask(conductor, "concurrent 2") == (True, "2 trials at a time")
    assert conductor.at_once == 2
    done, why = ask(conductor, "concurrent 5")
    assert not done
    assert "4 trials at once is what this search was planned with" in why


def test_more_trials_fewer_and_no_fewer_than_there_are(tmp_path: Path) -> None:
    conductor = started(tmp_path)
    assert ask(conductor, "trials 20") == (True, "20 trials in all, 18 to come")
    assert ask(conductor, "trials 1") == (False, "2 trials were begun already; give as many or more")
    assert ask(conductor, "trials 2") == (True, "2 trials in all, 0 to come")
    assert conductor.all_begun
    lines = read_chain(tmp_path / "mine" / LEDGER_FILE).records
    assert steered_trials(lines, toy_search_config(), SPACE) == 2, (
        "resumed as it was typed, it has what it was told"
    )
    assert steered_trials(lines, toy_search_config(trials=30), SPACE) == 30, (
        "typed again, it has what is typed"
    )


def test_the_end_stops_what_runs_and_gives_out_no_more(tmp_path: Path) -> None:
    conductor = started(tmp_path)
    ask(conductor, "add width=20")
    assert ask(conductor, "end") == (True, "it ends: 1 trial is stopped, and the best model is published")
    assert conductor.ledger.records[1].reason == "the search was ended by hand at 8 passes"
    assert not conductor.has_work
    assert conductor.next_task() is None
    again = open_conductor(tmp_path / "mine", toy_search_config())
    assert not again.has_work


def test_an_added_configuration_beyond_the_budget_is_one_trial_more(tmp_path: Path) -> None:
    conductor = started(tmp_path, trials=2)
    assert conductor.all_begun
    assert ask(conductor, "add width=20 kind=b") == (True, "it will be trial 2")
    task = conductor.next_task()
    assert task is not None
    assert task.config == {"width": 20, "rate": 0.01, "kind": "b"}
    assert conductor.all_begun
    done, why = ask(conductor, "add depth=3")
    assert not done
    assert "depth is no setting of toy; it has width, rate, kind" in why


def test_a_configuration_that_waits_is_not_changed_by_what_is_asked_later(tmp_path: Path) -> None:
    # It was tried with the value that was fixed after it had been added.
    conductor = started(tmp_path)
    ask(conductor, "add width=200 kind=b")
    for text in ("fix kind=a", "narrow width=16:128"):
        done, why = ask(conductor, text)
        assert (done, why) == (
            False,
            "trial 2, which was added and has not begun, would not fit; wait until it has",
        )
    assert ask(conductor, "fix kind=b")[0], "that is what it has"
    task = conductor.next_task()
    assert task is not None
    assert task.config == {"width": 200, "rate": 0.01, "kind": "b"}
    assert ask(conductor, "narrow width=16:128")[0]


def continued(conductor: Conductor, trial: int, passes: int) -> tuple[bool, str]:
    return conductor.steer(f"c{trial}-{passes}", Request(action="continue", trials=[trial], number=passes))


def test_a_trial_that_ended_goes_on_to_a_budget_of_its_own_and_no_rule_stops_it(tmp_path: Path) -> None:
    conductor = started(tmp_path)
    assert continued(conductor, 0, 60) == (True, "trial 0 continues from 36 passes to at most 60")
    assert conductor.ledger.records[0].status is Status.RUNNING
    again = open_conductor(tmp_path / "mine", toy_search_config())
    assert again.ledger.records[0].max_passes == 60
    given = {
        task.number: task.max_passes for task in (again.next_task(), again.next_task()) if task is not None
    }
    assert given == {0: 60, 1: 36}
    for cycle in range(10, 16):
        report = {"passes": 4 * cycle, "cycle": cycle, METRIC: 0.0, "train_s": 1.0}
        assert not again.heard(0, report), "a score of nothing would have ended it at a rung"
    again.finished(0)
    record = Ledger(tmp_path / "mine", METRIC).records[0]
    assert (record.status, record.passes) == (Status.FINISHED, 60)
    assert record.score == pytest.approx(0.9)


def test_what_cannot_go_on_is_refused(tmp_path: Path) -> None:
    conductor = started(tmp_path)
    assert continued(conductor, 1, 60) == (False, "trial 1 is under way; wait for its end")
    assert continued(conductor, 7, 60)[1].startswith("there is no trial 7")
    done, why = continued(conductor, 0, 38)
    assert (done, why) == (
        False, "trial 0 has had 36 passes and a cycle takes 4; give --max-passes 40 or more"
    )  # fmt: skip
    conductor.failed(1, Status.DIVERGED, "loss is nan")
    assert continued(conductor, 1, 64)[1] == "trial 1 diverged (loss is nan); it cannot continue"


def test_nothing_changes_by_checking() -> None:
    steering = Steering(SPACE, toy_search_config())
    before = steering.space
    assert (
        steering.check(request("narrow rate=0.001:0.1"), {})
        == "rate is 0.001 to 0.1, log from the next trial on"
    )
    assert steering.space is before
    with pytest.raises(SpaceError, match="is not searched"):
        steering.check(request("fix depth=3"), {})
    with pytest.raises(ConfigError, match="is no setting"):
        steering.check(request("add depth=3"), {})


def test_a_range_grows_no_further_than_a_trials_budget_has_room_for_a_cycle() -> None:
    space = SearchSpace.load("recvae-demo")
    steering = Steering(space, SearchConfig(max_passes=20), config_class=RecVAEConfig)
    with pytest.raises(
        ConfigError, match=r"--max-passes is 20 .* up to 32 in its space: 30 encoder and 2 decoder"
    ):
        steering.check(request("widen encoder_passes=1:30"), {})
    with pytest.raises(
        ConfigError, match=r"--max-passes is 20 .* up to 33 in its space: 5 encoder and 28 decoder"
    ):
        steering.check(request("fix decoder_passes=28"), {})
    assert "1 to 18" in steering.check(request("widen encoder_passes=1:18"), {})


def test_fewer_trials_do_not_leave_out_what_was_added(tmp_path: Path) -> None:
    """It was said to be trial 2, and was never begun."""
    conductor = started(tmp_path)
    assert ask(conductor, "add rate=0.02") == (True, "it will be trial 2")
    done, why = ask(conductor, "trials 2")
    assert not done
    assert why == "1 configuration waits that somebody added; give 3 or more, or end the search"
    assert ask(conductor, "trials 3")[0]


def test_whoever_names_a_setting_of_one_branch_wants_that_branch_and_not_the_starts() -> None:
    steering = Steering(BRANCHED, toy_search_config())
    whole = {"width": 64, "rate": 0.01, "kind": "a"}
    assert BRANCHED.base == {**whole, "heads": 2, "layers": None}
    for text, shape in (
        ("add layers=2", {"heads": None, "layers": 2}),
        ("add heads=3", {"heads": 3, "layers": None}),
        ("add width=90", {"heads": 2, "layers": None, "width": 90}),
    ):
        asked = request(text)
        assert steering.check(asked, {}) == f"it will be trial {len(steering.added)}"
        steering.apply(asked, steering.facts({}))
        assert steering.added[-1] == {**whole, **shape}
