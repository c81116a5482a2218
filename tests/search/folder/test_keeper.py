"""State files lie on disk for the running trials, the best one and the first one, and for no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from distrecvae.layout import STATE_FILE, trial_folder
from distrecvae.search.core.conductor import Conductor
from distrecvae.search.core.records import Status
from distrecvae.search.core.states import TrialStates
from distrecvae.search.folder import keeper as folder_keeper
from distrecvae.search.folder.keeper import Keeper
from tests.search.simulated import METRIC, open_conductor, toy_search_config


def searched(folder: Path, trials: int = 6, n_best: int | None = 1) -> tuple[Conductor, Keeper]:
    """Return a search and its keeper, who does not hear of anything by himself."""
    conductor = open_conductor(folder, toy_search_config(trials=trials, scheduler="none"))
    return conductor, Keeper(TrialStates(folder), conductor.ledger, n_best=n_best)


def start(conductor: Conductor, keeper: Keeper, folder: Path) -> int:
    """Give out the next trial; it writes a state file."""
    task = conductor.next_task()
    assert task is not None
    keeper.started(conductor.ledger.records[task.number])
    write(folder, task.number, STATE_FILE)
    return task.number


def end(conductor: Conductor, keeper: Keeper, score: float | None, status: Status = Status.FINISHED) -> None:
    """End the trial that began last, with this score."""
    number = max(conductor.ledger.records)
    if score is not None:
        conductor.heard(number, {"passes": 4, "cycle": 1, METRIC: score, "train_s": 1.0, "evaluate_s": 0.5})
    conductor.ledger.end(number, status, "")
    keeper.ended(conductor.ledger.records[number])


def write(folder: Path, number: int, name: str) -> None:
    place = trial_folder(folder, number)
    place.mkdir(parents=True, exist_ok=True)
    (place / name).write_bytes(b"state")


def kept(folder: Path) -> list[int]:
    """Return the trials whose state file is there."""
    return sorted(int(path.parent.name) for path in folder.glob(f"trials/*/{STATE_FILE}"))


def test_after_each_end_the_best_and_the_first_are_left(tmp_path: Path) -> None:
    conductor, keeper = searched(tmp_path / "search")
    left = []
    for score in (0.2, 0.1, 0.3, 0.25, 0.3, 0.4):
        start(conductor, keeper, tmp_path / "search")
        end(conductor, keeper, score)
        left.append(kept(tmp_path / "search"))
    # Trial 4 equals trial 2: the earliest of equals is the best.
    assert left == [[0], [0], [0, 2], [0, 2], [0, 2], [0, 5]]


def test_as_many_of_the_best_are_left_as_are_to_be_kept(tmp_path: Path) -> None:
    conductor, keeper = searched(tmp_path / "search", n_best=2)
    left = []
    for score in (0.2, 0.1, 0.3, 0.25, 0.3, 0.4):
        start(conductor, keeper, tmp_path / "search")
        end(conductor, keeper, score)
        left.append(kept(tmp_path / "search"))
    # What is not among the best any more is gone for good; trial 2 is before trial 4, its equal.
    assert left == [[0], [0, 1], [0, 2], [0, 2, 3], [0, 2, 4], [0, 2, 5]]


def test_all_are_left_that_have_a_model_where_all_are_to_be_kept(tmp_path: Path) -> None:
    conductor, keeper = searched(tmp_path / "search", n_best=None)
    for score, status in (
        (0.3, Status.FINISHED),
        (0.1, Status.STOPPED),
        (0.2, Status.DIVERGED),
        (0.2, Status.STOPPED),
    ):
        number = start(conductor, keeper, tmp_path / "search")
        write(tmp_path / "search", number, f".{STATE_FILE}.x.part")
        end(conductor, keeper, score, status)
    assert kept(tmp_path / "search") == [0, 1, 3]
    assert not list((tmp_path / "search").rglob("*.part"))
    keeper.clean_all()
    assert kept(tmp_path / "search") == [0, 1, 3]


def test_while_a_stopped_trial_may_continue_all_are_left(tmp_path: Path) -> None:
    conductor, _ = searched(tmp_path / "search")
    keeper = Keeper(TrialStates(tmp_path / "search"), conductor.ledger, n_best=1, revives=True)
    for score, status in (
        (0.3, Status.FINISHED),
        (0.1, Status.STOPPED),
        (0.2, Status.DIVERGED),
        (0.4, Status.STOPPED),
    ):
        start(conductor, keeper, tmp_path / "search")
        end(conductor, keeper, score, status)
    assert kept(tmp_path / "search") == [0, 1, 3], "none that diverged"
    keeper.clean_all()
    assert kept(tmp_path / "search") == [0, 3], "once the search is over, the best and the first"


def test_only_of_those_that_may_continue_states_are_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A night of 500 trials over 40,000 items would keep 150 GB until the morning.
    monkeypatch.setattr(folder_keeper, "REVIVABLE", 2)
    for n_best, left in ((1, [0, 1, 4]), (3, [0, 1, 2, 4]), (None, [0, 1, 2, 3, 4])):
        folder = tmp_path / f"keeps-{n_best}"
        conductor, _ = searched(folder)
        keeper = Keeper(TrialStates(folder), conductor.ledger, n_best=n_best, revives=True)
        for score in (0.1, 0.5, 0.3, 0.2, 0.4):
            start(conductor, keeper, folder)
            end(conductor, keeper, score, Status.STOPPED)
        assert kept(folder) == left


def test_a_running_trials_state_is_never_touched(tmp_path: Path) -> None:
    conductor, keeper = searched(tmp_path / "search")
    for _ in range(3):
        start(conductor, keeper, tmp_path / "search")
    end(conductor, keeper, 0.1)
    write(tmp_path / "search", 1, f".{STATE_FILE}.x.part")  # it is just being written
    keeper.clean()
    assert kept(tmp_path / "search") == [0, 1, 2]
    assert (trial_folder(tmp_path / "search", 1) / f".{STATE_FILE}.x.part").exists()


@pytest.mark.parametrize("status", [Status.FAILED, Status.DIVERGED, Status.STOPPED])
def test_however_a_trial_ended_its_state_goes(tmp_path: Path, status: Status) -> None:
    conductor, keeper = searched(tmp_path / "search")
    start(conductor, keeper, tmp_path / "search")
    end(conductor, keeper, 0.3)
    start(conductor, keeper, tmp_path / "search")
    end(conductor, keeper, 0.2, status)
    assert kept(tmp_path / "search") == [0]


def test_without_a_best_only_the_first_is_kept(tmp_path: Path) -> None:
    conductor, keeper = searched(tmp_path / "search")
    for _ in range(3):
        start(conductor, keeper, tmp_path / "search")
        end(conductor, keeper, None, Status.FAILED)
    assert kept(tmp_path / "search") == [0]


def test_a_trial_that_was_the_best_goes_once_it_is_beaten(tmp_path: Path) -> None:
    conductor, keeper = searched(tmp_path / "search")
    for score in (0.1, 0.2, 0.3):
        start(conductor, keeper, tmp_path / "search")
        end(conductor, keeper, score)
    assert kept(tmp_path / "search") == [0, 2]


def test_what_killed_writers_left_goes_too_even_where_the_state_stays(tmp_path: Path) -> None:
    conductor, keeper = searched(tmp_path / "search")
    for score in (0.1, 0.3, 0.2):
        number = start(conductor, keeper, tmp_path / "search")
        write(tmp_path / "search", number, f".{STATE_FILE}.x.part")
        write(tmp_path / "search", number, "events.out.tfevents.1")
        end(conductor, keeper, score)
    left = {path.name for path in (tmp_path / "search").glob("trials/*/*")}
    assert left == {STATE_FILE, "events.out.tfevents.1"}, "event files are the user's"
    assert kept(tmp_path / "search") == [0, 1]


def test_a_search_that_goes_on_cleans_up_after_the_run_before(tmp_path: Path) -> None:
    conductor, keeper = searched(tmp_path / "search")
    for score in (0.1, 0.3, 0.2):
        start(conductor, keeper, tmp_path / "search")
        end(conductor, keeper, score)
    start(conductor, keeper, tmp_path / "search")  # the process is killed while trial 3 runs
    for number in (1, 2):
        write(tmp_path / "search", number, STATE_FILE)
    again, other = searched(tmp_path / "search")
    other.clean()
    assert kept(tmp_path / "search") == [0, 1, 3]
    assert again.ledger.records[3].status is Status.RUNNING


def test_a_trial_that_never_wrote_anything_is_no_error(tmp_path: Path) -> None:
    conductor, keeper = searched(tmp_path / "search")
    for score in (0.1, 0.2, 0.3):
        task = conductor.next_task()
        assert task is not None
        keeper.started(conductor.ledger.records[task.number])
        keeper.reported(conductor.ledger.records[task.number])
        end(conductor, keeper, score)
    keeper.clean()
    assert kept(tmp_path / "search") == []


def test_a_state_that_came_when_its_trial_had_ended_is_removed_at_the_end(tmp_path: Path) -> None:
    # A worker that is killed at its trial's end may have sent all of it; it is put into its place a moment later.
    conductor, keeper = searched(tmp_path / "search")
    for score in (0.1, 0.3, 0.2):
        start(conductor, keeper, tmp_path / "search")
        end(conductor, keeper, score)
    write(tmp_path / "search", 2, STATE_FILE)
    keeper.clean()
    assert kept(tmp_path / "search") == [0, 1, 2], "it is not looked for after each trial"
    keeper.clean_all()
    assert kept(tmp_path / "search") == [0, 1]
