"""How a search stands, in a line and on a screen; `test_progress.py` holds where it is shown while the search runs."""

from __future__ import annotations

import io

from rich.console import Console

from distrecvae.activity import GRAM
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.records import Status
from distrecvae.search.watchers.standing import MOST_ROWS, running_table, solved_share, status_line
from tests.search.watchers.test_progress import record

CONFIG = SearchConfig(trials=10, max_passes=20, min_passes=4)


def shown(*numbers: int) -> list[str]:
    console = Console(file=io.StringIO(), width=100, no_color=True)
    with console.capture() as captured:
        console.print(running_table([record(number, 0.1) for number in numbers], CONFIG))
    return captured.get().splitlines()


def test_a_trial_that_runs_is_not_counted_as_ended() -> None:
    assert status_line([record(0)], CONFIG) == "0 of 10 trials ended, 1 running"
    records = [record(0, 0.2, status=Status.STOPPED), record(1, 0.3)]
    assert status_line(records, CONFIG) == (
        "1 of 10 trials ended, 1 running, 1 stopped, best NDCG@100 0.3000 (trial 1)"
    )


def test_a_screen_holds_it_however_many_run() -> None:
    assert [line.split()[0] for line in shown(3, 5)] == ["trial", "3", "5"]
    many = shown(*range(MOST_ROWS + 3))
    assert len(many) == MOST_ROWS + 2
    assert many[-1].strip() == "and 3 more"


def test_a_share_is_said_of_a_first_step_only() -> None:
    trial = record(0)
    assert solved_share(trial) == ""
    trial.share = 0.25
    assert solved_share(trial) == "25% solved"
    trial.step_to_go_s = 75.2
    assert solved_share(trial) == "25% solved (1 min 15 s to go)"
    trial.doing = GRAM
    assert solved_share(trial) == "25% of the Gram matrix (1 min 15 s to go)"
    assert solved_share(record(1, 0.3)) == ""
