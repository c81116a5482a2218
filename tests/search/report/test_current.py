"""A running search's report is kept current by a process of its own, which fails alone and ends with the search."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from distrecvae.search.report import current
from distrecvae.search.report.current import CurrentReport
from tests import HANGS_AFTER_S
from tests.search.report.made import RECVAE
from tests.search.reported import make_search


def refresh_until(report: CurrentReport, done: Callable[[], bool]) -> None:
    end = time.monotonic() + HANGS_AFTER_S
    while not done():
        assert time.monotonic() < end
        report.refresh()
        time.sleep(0.02)


def test_it_is_written_again_while_the_search_goes_on(tmp_path: Path) -> None:
    make_search(tmp_path, space=RECVAE, trials=9, max_passes=40, status="running", stop_after=20)
    page = tmp_path / "report.html"
    report = CurrentReport(tmp_path, first_after_s=0.0, at_most=0.9)
    refresh_until(report, page.exists)
    first = page.stat().st_mtime_ns
    refresh_until(report, lambda: page.stat().st_mtime_ns != first)
    report.close()
    assert re.search(r'const live = \{"every_s":\d+', page.read_text(encoding="utf-8"))


class Recorded:
    """A process that is told when it ends."""

    begun: list[list[str]]
    code: int | None
    killed: int

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.code, self.killed, self.now = [], None, 0, 100.0

        def popen(command: list[str], **_streams: Any) -> Recorded:
            self.begun.append(command)
            self.code = None
            return self

        monkeypatch.setattr(subprocess, "Popen", popen)
        monkeypatch.setattr(
            current, "time", SimpleNamespace(monotonic=lambda: self.now)
        )  # not the process's own

    def poll(self) -> int | None:
        return self.code

    def kill(self) -> None:
        self.killed += 1

    def wait(self) -> None:
        assert self.killed


@pytest.mark.parametrize("code", [0, 1], ids=["written", "failed"])
def test_it_takes_a_fiftieth_of_the_time_at_most_and_a_failure_is_only_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    process = Recorded(monkeypatch)
    report = CurrentReport(tmp_path)
    report.refresh()
    process.now += 29.9
    report.refresh()
    assert process.begun == [], "a short search writes it once, at its end"
    process.now += 0.2
    report.refresh()
    report.refresh()
    assert len(process.begun) == 1
    process.now, process.code = process.now + 4.0, code  # it took four seconds
    report.refresh()
    process.now += 195.9
    report.refresh()
    assert len(process.begun) == 1, "4 s of 200"
    process.now += 0.2
    report.refresh()
    assert len(process.begun) == 2
    assert process.begun[0][-1] == str(tmp_path)


def test_what_hangs_and_what_is_late_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = Recorded(monkeypatch)
    report = CurrentReport(tmp_path, first_after_s=0.0)
    report.close()
    report.refresh()
    process.now += current.GIVEN_UP_S - 1
    report.refresh()
    assert process.killed == 0, "there was nothing to end, and then it is waited for"
    process.now += 2
    report.refresh()
    assert process.killed == 1
    report.refresh()
    assert len(process.begun) == 2
    report.close()
    assert process.killed == 2, "the search is over"


def test_a_machine_without_room_for_a_process_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise OSError("no memory")

    monkeypatch.setattr(subprocess, "Popen", refused)
    report = CurrentReport(tmp_path, first_after_s=0.0)
    report.refresh()
    report.refresh()
    report.close()
