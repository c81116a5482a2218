"""A run that is left between two batches loses the cycle under way and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from distrecvae.layout import STATE_FILE
from distrecvae.runs.halting import StopRun, within_cycles
from tests.runs.test_training_run import run_in, settings

# 120 training users in batches of 60: two batches a pass, two passes a cycle.


def test_the_share_of_each_cycle_that_is_done_is_told(tmp_path: Path) -> None:
    run, told = run_in(tmp_path), list[float]()
    with within_cycles(run, lambda: False, told.append):
        for _ in run.cycles():
            told.append(-1.0)
    assert told == [0.0, 0.25, 0.5, 0.75, -1.0] * 4


def test_a_run_that_is_left_within_a_cycle_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole = run_in(tmp_path / "whole")
    for _ in whole.cycles():
        pass
    left = run_in(tmp_path / "left")
    shares: list[float] = []

    def train() -> None:
        with within_cycles(left, lambda: left.passes == 4 and shares[-1] >= 0.5, shares.append):
            for _ in left.cycles():
                left.save()  # as it happens by itself where a cycle takes minutes

    with pytest.raises(StopRun):
        train()
    assert shares[-1] == 0.5
    again = run_in(tmp_path / "left")
    assert again.passes == 4
    for _ in again.cycles():
        pass
    again.save()
    whole.save()
    assert (tmp_path / "left" / STATE_FILE).stat().st_size == (tmp_path / "whole" / STATE_FILE).stat().st_size
    assert again.finish()["test"].means() == whole.finish()["test"].means()


def test_cycles_that_were_not_saved_are_finished_and_not_lost(tmp_path: Path) -> None:
    run = run_in(tmp_path, settings(), checkpoint_every_s=3600.0)
    given = 0
    with within_cycles(run, lambda: run.passes == 2, lambda _: None):
        for _ in run.cycles():
            given += 1
            if given == 2:
                break
    assert (given, run.passes, run.saved) == (2, 4, False)
    run.save()
    assert run.saved
    assert run_in(tmp_path).saved


def test_a_run_that_has_completed_nothing_is_left_at_once(tmp_path: Path) -> None:
    run = run_in(tmp_path, settings())
    with pytest.raises(StopRun), within_cycles(run, lambda: True, lambda _: None):
        next(run.cycles())
    assert not (tmp_path / STATE_FILE).exists()
