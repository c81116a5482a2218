"""`distrecvae top`, as it is typed: once where nobody looks, live on a terminal until q, Ctrl-C or the search's end."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from distrecvae.cli import main
from distrecvae.files import exclusive
from distrecvae.search.space.space import SearchSpace
from tests import HANGS_AFTER_S, ROOT
from tests.search.reported import make_search


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "mine"
    space = SearchSpace.load("recvae-demo")
    make_search(folder, space=space, trials=12, max_passes=36, min_passes=4, status="running", stop_after=19)
    with exclusive(folder):
        yield folder


def test_where_there_is_no_terminal_it_is_printed_once(
    running: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for options in ((), ("--once",)):
        with pytest.raises(SystemExit) as ended:
            main(["top", str(running), *options])
        assert ended.value.code == 0
        assert "trials ended" in capsys.readouterr().out


class Terminal:
    """A `top` in a terminal of its own, and what it has shown."""

    def __init__(self, folder: Path) -> None:
        self.master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (40, 120))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "distrecvae", "top", str(folder), "--every", "0.1"],
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            env={**os.environ, "TERM": "xterm", "PYTHONPATH": str(ROOT)},
            # Where tests run in a shell's background, Ctrl-C is ignored, and who is started there ignores it, too.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        os.close(slave)
        self.shown = b""

    def until(self, text: bytes) -> None:
        """Wait until `text` was shown since the last wait."""
        self.shown, until = b"", time.monotonic() + HANGS_AFTER_S
        while text not in self.shown and time.monotonic() < until:
            if select.select([self.master], [], [], 1.0)[0]:
                try:
                    self.shown += os.read(self.master, 65536)
                except OSError:  # the other end is closed
                    break
        assert text in self.shown, self.shown

    def ended(self) -> int:
        """Note what is still shown, and return the exit status."""
        until = time.monotonic() + HANGS_AFTER_S
        while self.process.poll() is None and time.monotonic() < until:
            if select.select([self.master], [], [], 0.1)[0]:
                try:
                    self.shown += os.read(self.master, 65536)
                except OSError:
                    break
        return self.process.wait(1.0)


@contextmanager
def terminal(folder: Path) -> Iterator[Terminal]:
    made = Terminal(folder)
    try:
        yield made
    finally:
        made.process.kill()
        made.process.wait()
        os.close(made.master)


@pytest.mark.parametrize("how", ["q", "Ctrl-C", "the end"])
def test_on_a_terminal_it_is_drawn_anew_until_it_is_told_to_end_or_the_search_is_over(
    running: Path, how: str
) -> None:
    with terminal(running) as top:
        top.until(b"trials ended")
        (running / "ledger.jsonl").touch()
        top.until(b"trials ended")  # drawn again
        if how == "q":
            os.write(top.master, b"x")  # any other key does nothing
            top.until(b"trials ended")
            os.write(top.master, b"q")
            assert top.ended() == 0
        elif how == "Ctrl-C":
            top.process.send_signal(signal.SIGINT)
            assert top.ended() == 130
        else:
            text = (running / "search.json").read_text(encoding="utf-8")
            (running / "search.json").write_text(text.replace('"running"', '"interrupted"'), encoding="utf-8")
            assert top.ended() == 0
            assert b"interrupted after" in top.shown
