"""What a search shows while it runs: lines for a file, a table for a terminal, and a projection that keeps its word."""

from __future__ import annotations

import io
import re
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.records import Status, TrialRecord
from distrecvae.search.watchers.progress import PLAIN_EVERY_S, REFRESH_S, Progress
from distrecvae.search.watchers.standing import MOST_ROWS
from distrecvae.words import duration


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
    monkeypatch.setattr(
        "distrecvae.search.watchers.progress.time", SimpleNamespace(monotonic=clock.monotonic)
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
        **settings: Any,
    ) -> None:
        self.file = io.StringIO()
        console = Console(file=self.file, force_terminal=terminal, width=150, height=60, no_color=True)
        config = SearchConfig(**{"trials": 10, "max_passes": 20, "min_passes": 4, **settings})
        self.ledger = Records(*records)
        self.progress = Progress(console, self.ledger, config, concurrent=concurrent, elapsed_s=elapsed_s)

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
        "[1 min 05 s] trial 0 finished: ndcg_100 0.2000, 8 passes, 1 min 30 s",
        "[1 min 05 s] trial 1 stopped (asha at 4 passes): ndcg_100 0.3000, 4 passes, 45 s",
        "[1 min 05 s] trial 2 failed (no [red]memory[/red]): ndcg_100 -, 0 passes, 0 s",
        "[1 min 05 s] trial 3 diverged (loss is nan): ndcg_100 0.0000, 1 pass, 45 s",
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
        ["trial 0 leads: ndcg_100 0.2000 at 4 passes"],
        [],
        [],
        ["trial 1 leads: ndcg_100 0.4000 at 8 passes"],
        [],
        ["trial 0 leads: ndcg_100 0.5000 at 16 passes"],
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
        "2 of 10 trials ended, 2 running, 1 finished, 1 failed, best ndcg_100 0.3000 (trial 0), running: 46% solved"
    )
    assert status(Screen(record(0)), clock) == "0 of 10 trials ended, 1 running"


def test_status_lines_come_every_half_minute(clock: Clock) -> None:
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


def at_work(screen: Screen, *trials: TrialRecord) -> None:
    """Let trials be in the ledger that have just reported."""
    for trial in trials:
        screen.ledger.records[trial.number] = trial
        screen.progress.reported(trial)


def to_go(screen: Screen, clock: Clock) -> str:
    screen.said()  # who leads is said, too
    return status(screen, clock).rpartition("about ")[2]


def test_the_time_to_go_is_told_by_the_pace_of_this_run(clock: Clock) -> None:
    # Four had ended before, in who knows what time. A report is 45 s of work.
    earlier = [record(n, 0.1, status=Status.STOPPED) for n in range(4)]
    screen = Screen(*earlier, concurrent=2, elapsed_s=5000.0)
    assert "to go" not in status(screen, clock)
    clock.now += 45.0 - PLAIN_EVERY_S
    at_work(screen, record(4, 0.1, status=Status.FINISHED))
    assert "to go" not in status(screen, clock), "one of two at once tells nothing of the pace"
    clock.now += 60.0 - PLAIN_EVERY_S
    at_work(screen, record(5, 0.1, status=Status.FINISHED))
    # 90 s of work in 105 + 30 s: four are to come, each of 45 s.
    assert to_go(screen, clock) == f"{duration(4 * 45 / (90 / 135))} to go" == "4 min 30 s to go"


def test_what_it_takes_to_start_workers_is_not_taken_for_their_pace(clock: Clock) -> None:
    # In its first minute a search was said to take twice as long as it did: two workers took 30 s to start, two trials
    # of 45 s ended, two others were halfway.
    screen = Screen(concurrent=2, max_passes=8)
    clock.now += 30.0 + 45.0
    first, second = record(0, 0.1), record(1, 0.1)
    at_work(screen, first, second)
    clock.now += 45.0
    for trial in (first, second):
        report(trial, 0.2)
        trial.status = Status.FINISHED
    clock.now += 45.0 - PLAIN_EVERY_S
    at_work(screen, record(2, 0.1), record(3, 0.1))
    # Two halves are left, and six whole trials: three times 90 s and 45 s, two at once.
    assert to_go(screen, clock) == f"{duration(3 * 90 + 45)} to go"


def test_a_trial_that_takes_longer_than_the_others_leaves_nothing_to_wait_for(clock: Clock) -> None:
    screen = Screen(concurrent=1, trials=2)
    clock.now += 45.0
    at_work(screen, record(0, 0.1, status=Status.STOPPED))
    clock.now += 90.0 - PLAIN_EVERY_S
    at_work(screen, record(1, 0.1, 0.2))
    assert to_go(screen, clock) == "0 s to go"


def test_trials_that_all_ended_without_a_report_tell_no_pace(clock: Clock) -> None:
    screen = Screen(record(0, status=Status.FAILED), concurrent=1)
    screen.ledger.records[1] = record(1, status=Status.FAILED)
    assert "to go" not in status(screen, clock)


def test_the_time_to_go_is_no_longer_than_the_budget_leaves(clock: Clock) -> None:
    def within(budget_s: float) -> str:
        screen = Screen(concurrent=1, elapsed_s=50.0, time_budget_s=budget_s)
        clock.now += 45.0
        at_work(screen, record(0, 0.1, status=Status.FINISHED))
        clock.now += 55.0 - PLAIN_EVERY_S
        return to_go(screen, clock)

    assert within(10_000.0) == "15 min 00 s to go"  # nine more of 100 s, of which 45 s were work
    assert within(200.0) == "50 s to go"
    assert within(120.0) == "0 s to go"


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
        assert ["trial", "passes", "ndcg_100", "best", "seconds"] in rows
        assert ["0", "12/20", "0.2000", "0.3000", "135"] in rows
        assert ["1", "0/20", "-", "-", "0"] in rows
        assert ["2", "50%", "solved", "-", "-", "0"] in rows
        assert sum("12/20" in line for line in lines) == MOST_ROWS - 2
        assert any("and 2 more" in line for line in lines)
        assert any("1 of 10 trials ended" in line and "best ndcg_100 0.4000" in line for line in lines)
        assert not any("running: " in line for line in lines), "the table says it"


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
