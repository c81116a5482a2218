"""A job's entry point: when it begins a search again, and when not. A real one is in tests/whole/test_search.py."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from distrecvae.errors import LOST, UNEXPECTED
from distrecvae.job import DONE, REFUSED, keep_going, main
from distrecvae.signals import INTERRUPTED
from tests import HANGS_AFTER_S
from tests.search.on_ray.test_interruption import LOOPING


def counting(folder: Path, then: str) -> list[str]:
    """A command that notes each of its runs, then does what `then` says; $runs is how many there were."""
    return ["sh", "-c", f"echo >> {folder}/runs; runs=$(wc -l < {folder}/runs); {then}"]


def runs(folder: Path) -> int:
    return (folder / "runs").read_bytes().count(b"\n") if (folder / "runs").exists() else 0


def wait_for_runs(folder: Path, count: int) -> None:
    deadline = time.monotonic() + HANGS_AFTER_S
    while runs(folder) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("status", sorted(DONE))
def test_what_has_ended_is_not_begun_again(status: int, tmp_path: Path) -> None:
    assert keep_going(counting(tmp_path, f"exit {status}"), [0.0, 0.0]) == status
    assert runs(tmp_path) == 1


@pytest.mark.parametrize(
    ("then", "said"),
    [("kill -9 $$", "signal 9 (Killed)"), ("exit 139", "status 139"), ("exit 3", "status 3")]
    + [(f"exit {status}", f"status {status}") for status in (UNEXPECTED, LOST)],
)
def test_what_died_is_begun_again(
    then: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert keep_going(counting(tmp_path, f"[ $runs = 3 ] || {then}"), [0.0, 0.1, 0.0]) == 0
    assert runs(tmp_path) == 3
    assert capsys.readouterr().err.splitlines() == [
        f"the search ended by {said}; it restarts in 0 s (1 of 3)",
        f"the search ended by {said}; it restarts in 0.1 s (2 of 3)",
    ]


def test_what_dies_each_time_is_given_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert keep_going(counting(tmp_path, "kill -9 $$"), [0.0, 0.0]) == 137
    assert runs(tmp_path) == 3
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "the search ended by signal 9 (Killed) again; after 2 restarts the job gives up"


@pytest.mark.parametrize("then", ["exec sleep 3600", "kill -9 $$"], ids=["while it runs", "in a pause"])
def test_a_job_that_is_to_end_begins_nothing_again(then: str, tmp_path: Path) -> None:
    code = f"import sys; from distrecvae import job; sys.exit(job.keep_going({counting(tmp_path, then)}, [60.0]))"
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) as process:
        wait_for_runs(tmp_path, 1)
        if "sleep" not in then:
            assert process.stderr is not None
            assert "restarts in 60 s" in process.stderr.readline()
        process.terminate()  # this process alone: its child is told by it
        assert process.wait(HANGS_AFTER_S) == (128 + signal.SIGTERM if "sleep" in then else INTERRUPTED)
    assert runs(tmp_path) == 1


def test_sigterm_to_the_whole_group_is_heard_once_by_the_search(tmp_path: Path) -> None:
    # As `timeout` and `ray job stop` send it; the job passes it on, too.
    search = LOOPING.replace("CHECK", "stop.reason and (time.sleep(0.5), stop.check())")
    search = search.replace("Interruption()", "Interruption()\nstop.goes_on = 'the command'")
    code = f"import sys; from distrecvae import job; sys.exit(job.keep_going([sys.executable, '-c', {search!r}]))"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.killpg(process.pid, signal.SIGTERM)
        out, err = process.communicate(timeout=HANGS_AFTER_S)
        assert out == "stopped: interrupted by SIGTERM\n"
        assert err == "\nstopping; a second signal stops at once; to resume: the command\n"
        assert process.returncode == 0


def test_a_job_without_a_folder_of_its_own_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", "data/mine"]) == REFUSED
    said = capsys.readouterr().err
    assert said == "error: a job that is restarted must find its folder; give --out or --name\n"
