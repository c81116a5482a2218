"""How a run is shown and stopped; `tests/cli/test_train.py` has it from outside."""

from __future__ import annotations

import io
import signal
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from distrecvae.api.train_loop import say, train_to_end
from distrecvae.runs.training_run import Run, RunSettings

SETTINGS = RunSettings(model="recvae", config={}, data="mine", fingerprint="")


class Twice(SimpleNamespace):
    """Reports twice, and is interrupted during its first cycle where it is asked to be."""

    ended: str | None = None
    interrupted = False

    def cycles(self) -> Iterator[dict[str, Any]]:
        for passes in (4, 8):
            if self.interrupted and passes == 4:
                signal.raise_signal(signal.SIGINT)
            self.ended = "over" if passes == 8 else None
            self.best = {"valid/ndcg_100": 0.5}
            yield {"passes": passes, "valid/ndcg_100": 0.25, "train_s": 1.0}


def test_a_run_is_shown_a_line_a_cycle(capsys: pytest.CaptureFixture[str]) -> None:
    assert not train_to_end(cast("Run", Twice()), SETTINGS)
    said = capsys.readouterr().out.splitlines()
    assert said == [f"passes    {passes}  NDCG@100 0.2500  best 0.5000  1.0 s" for passes in (4, 8)]


def test_an_interrupt_ends_it_after_the_cycle(capsys: pytest.CaptureFixture[str]) -> None:
    run = Twice(interrupted=True)
    assert train_to_end(cast("Run", run), SETTINGS)
    assert "stopping after this cycle" in capsys.readouterr().err
    assert run.ended is None


def test_a_thread_trains_without_hearing_signals() -> None:
    # Only a process's main thread may; a notebook's widget or a web server calls from another one.
    ended: list[bool] = []
    thread = threading.Thread(target=lambda: ended.append(train_to_end(cast("Run", Twice()), SETTINGS)))
    thread.start()
    thread.join()
    assert ended == [False]


def test_a_line_is_said_at_once() -> None:
    class Watched(io.StringIO):
        flushed = 0

        def flush(self) -> None:
            self.flushed += 1

    file = Watched()
    say("here", file=file)
    assert (file.getvalue(), file.flushed) == ("here\n", 1)
