"""`--notify`: a command or a web address that is told of a new best, of trouble and of the end.

All of it happens in a thread of its own, with a time limit and a short queue: whatever the command or the server does,
no trial waits for it. A command is run without a shell, and what a search says (reasons, names of folders) reaches it
in environment variables, never in its words.
"""

from __future__ import annotations

import json
import os
import queue
import shlex
import shutil
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distrecvae.errors import ConfigError
from distrecvae.metrics import title_of
from distrecvae.search.core.config import NOTIFY_FROM, WEB, SearchConfig
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.records import BAD, TrialRecord
from distrecvae.words import first_line, printable

BEST, TROUBLE, INTERRUPTED, END = "best", "trouble", "interrupted", "end"
"""What is told of."""
PATIENCE_S = 20.0
"""A command or a server that takes longer is given up."""
LAST_PATIENCE_S = 5.0
"""How long the end of a search waits, at most, for what is still to be sent."""
MOST_WAITING = 20
LONGEST_TEXT = 1000
PREFIX = "DISTRECVAE_"


@dataclass(frozen=True)
class Notice:
    """What a command or a server is told.

    Attributes:
        event: `BEST`, `TROUBLE`, `INTERRUPTED` or `END`.
        text: all of it, for people, in a line.
        facts: by name: folder, model, metric and, where there is one, trial, score, status, reason.
    """

    event: str
    text: str
    facts: Mapping[str, Any]

    def as_json(self) -> bytes:
        """Return the body of a request; chat servers show its `text`."""
        return json.dumps({"event": self.event, "text": self.text, **self.facts}, allow_nan=False).encode()

    def as_environment(self) -> dict[str, str]:
        """Return environment variables, `DISTRECVAE_EVENT` and so on."""
        named = {"event": self.event, "text": self.text, **self.facts}
        return {
            f"{PREFIX}{name.upper()}": printable(str(value))
            for name, value in named.items()
            if value is not None
        }


def resolved(notify: str) -> str:
    """Return the command or the address that `--notify` names; `env:NAME` is what the environment has under NAME.

    Raises:
        ConfigError: there is no such variable, or no such command.
    """
    target = notify
    if notify.startswith(NOTIFY_FROM):
        name = notify.removeprefix(NOTIFY_FROM)
        target = os.environ.get(name, "")
        if not target:
            raise ConfigError(
                f"--notify {notify}: the environment has no {name}; set it to a command or a URL"
            )
    if not target.startswith(WEB):
        try:
            program = shlex.split(target)[0]
        except (ValueError, IndexError):
            raise ConfigError(f"--notify {notify}: that is not a command; check its quotes") from None
        if shutil.which(program) is None:
            raise ConfigError(f"--notify {notify}: there is no command {program!r} here; give its path")
    return target


class Notifier:
    """Tells a command or a server; a watcher that never raises and never waits, but at the end for some seconds.

    Args:
        target: a command or a URL, as `resolved` gives it.
        folder: the results folder.
        config: the search's settings.
        ledger: its trials.
        tell: is told, in a line and once in a row, that nobody could be told.
    """

    def __init__(
        self, target: str, *, folder: Path, config: SearchConfig, ledger: Ledger, tell: Callable[[str], None]
    ) -> None:
        self._target, self._folder, self._config = target, folder, config
        self._ledger, self._say = ledger, tell
        best = ledger.best()
        self._leader = None if best is None else best.number
        self._waiting: queue.Queue[Notice] = queue.Queue(MOST_WAITING)
        self._failing = False
        self._thread: threading.Thread | None = None

    def started(self, record: TrialRecord) -> None:
        """Nothing is sent for that."""

    def reported(self, record: TrialRecord) -> None:
        """Tell where another trial takes the lead, once it has come to the first rung: before, everyone leads."""
        best = self._ledger.best()
        if best is None or best.number != record.number or best.number == self._leader:
            return
        if record.passes < self._config.first_rung:
            return
        self._leader = best.number
        score = f"{title_of(self._config.metric)} {best.score or 0.0:.4f}"
        self._put(BEST, f"trial {best.number} leads with validation {score} at {best.passes} passes", best)

    def ended(self, record: TrialRecord) -> None:
        """Tell of a trial that went wrong."""
        if record.status in BAD:
            self._put(TROUBLE, f"trial {record.number} {record.status}: {record.reason}", record)

    def over(self, event: str, text: str) -> None:
        """Tell that this run of the search is over, or what it met, and wait for that to be told, for some seconds."""
        self._put(event, text, self._ledger.best())
        with self._waiting.all_tasks_done:
            self._waiting.all_tasks_done.wait_for(lambda: not self._waiting.unfinished_tasks, LAST_PATIENCE_S)

    def _put(self, event: str, text: str, record: TrialRecord | None) -> None:
        facts: dict[str, Any] = {
            "folder": str(self._folder.resolve()),
            "model": self._config.model,
            "metric": self._config.metric,
        }
        if record is not None:
            facts |= {"trial": record.number, "score": record.score, "status": str(record.status)}
            facts |= {"reason": record.reason} if record.reason else {}
        notice = Notice(event, f"{self._folder.name}: {' '.join(text.split())}"[:LONGEST_TEXT], facts)
        while True:
            try:
                self._waiting.put_nowait(notice)
                break
            except queue.Full:  # the oldest is the least worth telling
                with suppress(queue.Empty):
                    self._waiting.get_nowait()
                    self._waiting.task_done()
        if self._thread is None:
            self._thread = threading.Thread(target=self._deliver, name="notify", daemon=True)
            self._thread.start()

    def _deliver(self) -> None:
        while True:
            notice = self._waiting.get()
            try:
                if self._target.startswith(WEB):
                    _post(self._target, notice)
                else:
                    _run(shlex.split(self._target), notice)
                self._failing = False
            except Exception as error:
                if not self._failing:  # what it is may have a password in it, and is not repeated
                    self._say(
                        f"--notify failed ({type(error).__name__}: {first_line(error)}); the search continues"
                    )
                self._failing = True
            finally:
                self._waiting.task_done()


def make_notifier(
    config: SearchConfig, *, folder: Path, ledger: Ledger, tell: Callable[[str], None]
) -> Notifier | None:
    """Return who is told of a search; None if no one is.

    Raises:
        ConfigError: as `resolved`.
    """
    if config.notify is None:
        return None
    return Notifier(resolved(config.notify), folder=folder, config=config, ledger=ledger, tell=tell)


def _post(url: str, notice: Notice) -> None:
    request = urllib.request.Request(  # noqa: S310  (its scheme was checked)
        url, data=notice.as_json(), headers={"Content-Type": "application/json"}, method="POST"
    )
    until = time.monotonic() + PATIENCE_S
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310
        while answer.read(4096):  # whatever it says; a server that says it byte by byte is not heard out
            if time.monotonic() > until:
                raise TimeoutError(f"it still answers after {PATIENCE_S:g} s")


def _run(words: list[str], notice: Notice) -> None:
    with subprocess.Popen(  # noqa: S603  (what the user typed, and nothing else)
        words,
        env={**os.environ, **notice.as_environment()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # so that all that it starts can be ended, and a Ctrl-C here is not for it
    ) as process:
        try:
            status = process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise TimeoutError(f"the command was ended after {PATIENCE_S:g} s") from None
    if status:
        raise RuntimeError(f"the command's exit status is {status}")
