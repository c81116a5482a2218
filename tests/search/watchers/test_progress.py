"""What a search shows while it runs: lines for a file, a table for a terminal, and a projection that keeps its word."""

from __future__ import annotations

import io
import re
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from distrecvae.activity import GRAM, at
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.records import Status, TrialRecord
from distrecvae.search.core.rules import make_rule
from distrecvae.search.space.space import SearchSpace
from distrecvae.search.watchers import progress as shown
from distrecvae.search.watchers.notebook import NotebookTable
from distrecvae.search.watchers.outlook import Outlook
from distrecvae.search.watchers.progress import (
    NOTEBOOK_EVERY_S,
    PLAIN_EVERY_S,
    PREPARING_EVERY_S,
    REFRESH_S,
    Progress,
)
from distrecvae.search.watchers.standing import MOST_ROWS

SPACE = SearchSpace.load("recvae-demo")


class Records(Ledger):
    """A ledger of given trials that is not on disk."""

    def __init__(self, *records: TrialRecord) -> None:
        self.records = {record.number: record for record in records}


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in ("progress", "outlook"):
        monkeypatch.setattr(
            f"distrecvae.search.watchers.{module}.time", SimpleNamespace(monotonic=clock.monotonic)
        )
    return clock


class Screen:
    """A progress, and what it has written."""

    def __init__(
        self,
        *records: TrialRecord,
        terminal: bool = False,
        concurrent: int = 2,
        elapsed_s: float = 0.0,
        space: SearchSpace | None = None,
        **settings: Any,
    ) -> None:
        self.file = io.StringIO()
        console = Console(file=self.file, force_terminal=terminal, width=150, height=60, no_color=True)
        config = SearchConfig(**{"trials": 10, "max_passes": 20, "min_passes": 4, **settings})
        self.ledger = Records(*records)
        rule = make_rule(config.scheduler, config.first_rung, config.most_passes)
        self.outlook = Outlook(self.ledger, config, rule, trial_passes=config.most_passes, at_once=concurrent)
        self.progress = Progress(
            console, self.ledger, config, outlook=self.outlook, space=space, elapsed_s=elapsed_s
        )

    def said(self) -> list[str]:
        """Return the lines since the last look, without what moves the cursor and colours the text."""
        lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.file.getvalue()).splitlines()
        self.file.seek(0)
        self.file.truncate()
        return lines


def record(
    number: int, *scores: float, status: Status = Status.RUNNING, reason: str = "", every: int = 4
) -> TrialRecord:
    trial = TrialRecord(number, {}, status, reason=reason)
    for score in scores:
        report(trial, score, every)
    return trial


def report(trial: TrialRecord, score: float, every: int = 4) -> TrialRecord:
    n = len(trial.reports) + 1
    trial.reports.append(
        {"passes": every * n, "cycle": n, "valid/ndcg_100": score, "train_s": 40.0, "evaluate_s": 5.0}
    )
    trial.best.append(max([score, *trial.best]))
    return trial


def test_a_plain_output_says_how_each_trial_ended_and_nothing_of_starts(clock: Clock) -> None:
    screen = Screen(elapsed_s=60.0)
    clock.now += 5
    for trial in (
        record(0, 0.2, 0.1, status=Status.FINISHED),
        record(1, 0.3, status=Status.STOPPED, reason="asha at 4 passes"),
        record(2, status=Status.FAILED, reason="no [red]memory[/red]"),
        record(3, 0.4, status=Status.DIVERGED, reason="loss is nan", every=1),
    ):
        screen.progress.started(trial)
        screen.progress.ended(trial)
    assert screen.said() == [
        "[1 min 05 s] trial 0 finished: NDCG@100 0.2000, 8 passes, 1 min 30 s",
        "[1 min 05 s] trial 1 stopped (asha at 4 passes): NDCG@100 0.3000, 4 passes, 45 s",
        "[1 min 05 s] trial 2 failed (no [red]memory[/red]): NDCG@100 -, 0 passes, 0 s",
        "[1 min 05 s] trial 3 diverged (loss is nan): NDCG@100 0.0000, 1 pass, 45 s",
    ]


def test_a_line_is_never_broken_however_long_it_is(clock: Clock) -> None:
    screen = Screen()
    screen.progress.ended(record(0, status=Status.FAILED, reason="word " * 100 + "end"))
    assert len(screen.said()) == 1


def test_a_new_leader_is_said_once_and_not_at_each_of_its_own_reports(clock: Clock) -> None:
    first, second = record(0), record(1)
    screen = Screen(first, second)
    said = []
    for trial, score in (
        (first, 0.2),
        (first, 0.3),
        (second, 0.1),
        (second, 0.4),
        (first, 0.35),
        (first, 0.5),
    ):
        report(trial, score)
        screen.progress.reported(trial)
        said.append([line.partition("] ")[2] for line in screen.said()])
    assert said == [
        ["trial 0 leads: NDCG@100 0.2000 at 4 passes"],
        [],
        [],
        ["trial 1 leads: NDCG@100 0.4000 at 8 passes"],
        [],
        ["trial 0 leads: NDCG@100 0.5000 at 16 passes"],
    ]


def test_who_leads_is_not_said_before_the_first_rung(clock: Clock) -> None:
    # After a pass or two every trial leads for a moment.
    trial = record(0)
    screen = Screen(trial, min_passes=4)
    for score, said in ((0.1, 0), (0.2, 0), (0.3, 0), (0.4, 1), (0.5, 0)):
        screen.progress.reported(report(trial, score, every=1))
        assert len(screen.said()) == said


def test_a_report_that_does_not_lead_says_nothing(clock: Clock) -> None:
    best, other = record(0, 0.4), record(1, 0.1)
    screen = Screen(best, other)
    screen.progress.reported(other)
    assert screen.said() == []


def test_a_trial_that_draws_level_does_not_take_the_lead(clock: Clock) -> None:
    earlier, later = record(0), record(1, 0.4)
    screen = Screen(earlier, later)
    screen.progress.reported(later)
    assert len(screen.said()) == 1
    screen.progress.reported(report(earlier, 0.4))
    assert screen.ledger.best() is earlier, "of equals the ledger names the earliest"
    assert screen.said() == []


def test_what_people_should_see_is_said(clock: Clock) -> None:
    screen = Screen()
    screen.progress.warn("trial 7 lost its process")
    assert screen.said() == ["[0 s] trial 7 lost its process"]


def status(screen: Screen, clock: Clock) -> str:
    """Return the next status line without its time."""
    clock.now += PLAIN_EVERY_S
    screen.progress.refresh()
    (line,) = screen.said()
    return line.partition("] ")[2]


def test_a_status_line_counts_names_the_best_and_what_is_solved(clock: Clock) -> None:
    solving, reported = record(2), record(3, 0.1)
    solving.share, reported.share = 0.456, 0.9
    screen = Screen(
        record(0, 0.3, status=Status.FINISHED),
        record(1, status=Status.FAILED),
        solving,
        reported,
        concurrent=9,
    )
    assert status(screen, clock) == (
        "2 of 10 trials ended, 2 running, 1 finished, 1 failed, best NDCG@100 0.3000 (trial 0), running: 46% solved"
    )
    assert status(Screen(record(0)), clock) == "0 of 10 trials ended, 1 running"


def test_status_lines_come_every_minute(clock: Clock) -> None:
    screen = Screen(record(0))
    with screen.progress:
        clock.now += PLAIN_EVERY_S - 1
        screen.progress.refresh()
        assert screen.said() == []
        clock.now += 1
        screen.progress.refresh()
        assert len(screen.said()) == 1
        screen.progress.refresh()
        assert screen.said() == []


def test_a_line_says_what_workers_are_at_and_what_is_to_go(clock: Clock) -> None:
    ended, running = record(0, 0.1, 0.1, 0.1, 0.1, 0.1, status=Status.FINISHED), record(1, 0.1)
    screen = Screen(ended, running, record(2), concurrent=2, trials=3, scheduler="none")
    for trial, doing in ((running, "saving"), (screen.ledger.records[2], "waiting for a node")):
        trial.doing = doing
    screen.outlook.reported(ended)
    # 45 s a cycle of 4 passes, of 20: one has 4 cycles left, half of the first one done, the other one all 5.
    said = status(screen, clock)
    assert said.endswith(
        "best NDCG@100 0.1000 (trial 0), 1 saving, 1 waiting for a node, about 6 min 22 s to go"
    )


def test_a_terminal_has_a_row_a_running_trial_and_no_more_than_fit(clock: Clock) -> None:
    running = [record(n, 0.1, 0.3, 0.2) for n in range(MOST_ROWS + 2)]
    running[1] = record(1)
    running[2] = record(2)
    running[2].share = 0.5
    screen = Screen(record(99, 0.4, status=Status.FINISHED), *running, terminal=True, concurrent=20)
    with screen.progress:
        clock.now += REFRESH_S
        screen.progress.refresh()
        lines = screen.said()
        rows = [line.split() for line in lines]
        assert ["trial", "passes", "NDCG@100", "best", "seconds"] in rows
        assert ["0", "12/20", "0.2000", "0.3000", "135"] in rows
        assert ["1", "0/20", "-", "-", "0"] in rows
        assert ["2", "50%", "solved", "-", "-", "0"] in rows
        assert sum("12/20" in line for line in lines) == MOST_ROWS - 2
        assert any("and 2 more" in line for line in lines)
        assert any("1 of 10 trials ended" in line and "best NDCG@100 0.4000" in line for line in lines)
        assert not any("running: " in line for line in lines), "the table says it"


def test_a_table_has_what_each_worker_is_at_and_what_the_best_trial_leans_on(clock: Clock) -> None:
    training, saving = record(0, 0.1), record(1, 0.3, 0.4, status=Status.FINISHED)
    training.config = saving.config = {**SPACE.default_config(), "learning_rate": 1e-2}
    training.doing = "training"
    high = next(iter(SPACE.edges(saving.config)), None)
    screen = Screen(training, saving, terminal=True, space=SPACE)
    with screen.progress:
        clock.now += REFRESH_S
        screen.progress.refresh()
        lines = screen.said()
    assert [line.split() for line in lines if "doing" in line] == [
        ["trial", "passes", "NDCG@100", "best", "seconds", "doing"]
    ]
    assert any(line.split()[-1:] == ["training"] for line in lines)
    assert any("trial 1 leads, and was still rising at its last pass (8)" in line for line in lines)
    assert (high is not None) == any("trial 1 leads, and" in line and "rising" not in line for line in lines)


def test_a_notebook_has_the_table_in_one_output(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []

    class Kept:
        def update(self, text: str) -> None:
            drawn.append(text)

    def display(text: str, display_id: bool) -> Kept:
        assert display_id
        drawn.append(text)
        return Kept()

    monkeypatch.setattr(shown, "notebook_table", lambda: NotebookTable(display, str))
    screen = Screen(record(0, 0.2))
    with screen.progress:
        for _ in range(2):
            clock.now += NOTEBOOK_EVERY_S
            screen.progress.refresh()
        screen.progress.ended(record(1, status=Status.FAILED, reason="no memory"))
    assert len(drawn) == 3
    assert "0 of 10 trials ended, 1 running" in drawn[1]
    assert drawn[2] == "", "at the end the result says it"
    assert [line for line in screen.said() if "trial" in line] == [
        "trial 1 failed (no memory): NDCG@100 -, 0 passes"
    ]


def test_a_terminal_is_drawn_twice_a_second(clock: Clock) -> None:
    screen = Screen(record(0), terminal=True)
    with screen.progress:
        screen.said()
        clock.now += REFRESH_S / 2
        screen.progress.refresh()
        assert screen.said() == []
        clock.now += REFRESH_S / 2
        screen.progress.refresh()
        assert any("0/20" in line for line in screen.said())


def test_of_few_trials_none_is_left_out(clock: Clock) -> None:
    screen = Screen(*(record(n) for n in range(MOST_ROWS)), terminal=True)
    with screen.progress:
        clock.now += REFRESH_S
        screen.progress.refresh()
        assert not any("more" in line for line in screen.said())


def test_a_terminal_keeps_only_what_went_wrong(clock: Clock) -> None:
    trial = record(0, 0.2)
    screen = Screen(trial, terminal=True)
    with screen.progress:
        screen.progress.reported(trial)
        screen.progress.ended(record(1, 0.3, status=Status.STOPPED, reason="asha at 4 passes"))
        assert not any("trial" in line for line in screen.said())
        screen.progress.ended(record(2, status=Status.FAILED, reason="no memory"))
        screen.progress.ended(record(3, 0.1, status=Status.DIVERGED, reason="loss is nan"))
        screen.progress.warn("trial 4 lost its process")
        said = " ".join(screen.said())
    for words in ("trial 2 failed (no memory)", "trial 3 diverged (loss is nan)", "trial 4 lost its process"):
        assert words in said


@pytest.mark.parametrize("terminal", [False, True])
def test_what_comes_before_the_trials_is_shown_with_what_is_to_go_of_it(
    clock: Clock, terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("distrecvae.pacing.time", SimpleNamespace(monotonic=clock.monotonic))
    screen = Screen(terminal=terminal)
    with screen.progress, at(GRAM):
        screen.progress.preparing(0.1)
        assert screen.said() == []
        clock.now += PREPARING_EVERY_S
        screen.progress.preparing(0.3)
        (line,) = screen.said()
        assert line.endswith("computing the Gram matrix, once for all trials: 30% (35 s to go)")
