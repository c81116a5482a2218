"""How a search is stopped from outside: by a signal, or by a Ray that is gone; in seconds, whatever hangs.

What has to be kept is in the ledger already. So nothing of Ray is wound up here: its workers end with their driver.
"""

from __future__ import annotations

import math
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import Enum
from types import CodeType, FrameType

from distrecvae.errors import LOST
from distrecvae.search.on_ray.ray_internals import kill_own_ray
from distrecvae.signals import INTERRUPTED, STOPPING, handled, to_hear

GRACE_S = 10.0
"""After a signal the search ends by itself within this time, or is ended: a call into a Ray that is gone lasts 60 s."""

LOST_GRACE_S = 3.0
"""The same once Ray is gone: Ray's own reaction, an exit with pages of its logs, comes after about 14 s."""

ECHO_S = 1.0
"""SIGTERM so soon after the first signal is the same wish: `timeout`, `ray job stop` and parents that pass it on send
it to a process and to its children or its group."""

SAME_S, AGAIN_S = 0.1, 0.25
"""A KeyboardInterrupt so soon after another one is the same; one that came to nothing is sent again so much later."""

STALLED_S = 60.0
"""How long a part of Ray may take connections and say nothing: its process is stopped, or the machine is. Ray itself
gives a node as much."""

_PATIENT_S = 1.0
_LOOK_EVERY_S = 1.0
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
"""How a client of gRPC begins: every server that is awake answers it, if only by hanging up."""


def _within(frame: FrameType | None, code: CodeType) -> bool:
    """Tell whether this code is being run in a frame, or in one that called it."""
    while frame is not None and frame.f_code is not code:
        frame = frame.f_back
    return frame is not None


class StopSearch(BaseException):
    """Leaves Tune's loop, past its `except Exception`.

    Attributes:
        cause: the error of ours that made it necessary; None for an interruption.
    """

    def __init__(self, cause: Exception | None = None) -> None:
        super().__init__()
        self.cause = cause


class Sign(Enum):
    """What there is of a part of Ray."""

    ANSWERS = "answers"
    SILENT = "takes connections and does not answer"
    GONE = "is gone"


@dataclass(frozen=True)
class Endpoint:
    """A part of Ray without which the driver cannot continue.

    Attributes:
        name: what it is, in words.
        host: its address.
        port: where it listens.
        patience_s: how long it may be gone; the head of a cluster may come back.
    """

    name: str
    host: str
    port: int
    patience_s: float

    def look(self) -> Sign:
        """Tell whether something listens there, and is awake."""
        try:
            with socket.create_connection((self.host, self.port), timeout=_PATIENT_S) as connection:
                connection.sendall(_HELLO)
                try:
                    connection.recv(1)
                except TimeoutError:
                    return Sign.SILENT
        except ConnectionResetError:
            return Sign.ANSWERS
        except OSError:
            return Sign.GONE
        return Sign.ANSWERS


class Interruption:
    """Hears signals and watches Ray for one process.

    The first signal asks the search to end, the second raises KeyboardInterrupt. A thread hears them too: the main
    thread may be deep in a call that takes no notice. Where the search has not ended in time, the thread says the last
    words and ends the process.

    Args:
        ends_process: the process is the search's own. One that is not, a notebook's, is sent a second signal instead.

    Attributes:
        last_words: what a search wants done before its process is ended: its tables written, its summary shown.
        goes_on: the command that resumes the search. It is shown at once: the next signal, or a Ray that was told
            to end as well and takes its driver along, leaves no time for last words.
    """

    def __init__(self, *, ends_process: bool = True) -> None:
        self._ends_process = ends_process
        self.last_words: Callable[[], None] = lambda: None
        self.goes_on = ""
        self._reason: str | None = None
        self._lost = False
        self._signals = 0
        self._unheard = False
        self._hook = sys.unraisablehook
        self._first_at, self._raised_at = 0.0, -math.inf
        self._deadline: float | None = None
        self._closed = threading.Event()
        self._watched: tuple[Endpoint, ...] = ()
        self._undo: Callable[[], None] | None = None

    @property
    def reason(self) -> str | None:
        """Why the search must end now, in words; None while it need not."""
        return self._reason

    @property
    def lost(self) -> bool:
        """Whether that is a Ray that went away: what restarts the job resumes the search."""
        return self._lost

    @contextmanager
    def listening(self, watched: Sequence[Endpoint]) -> Iterator[None]:
        """Hear signals and watch these parts of Ray from now on; after the block only if the search must end."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        read, write = os.pipe()
        os.set_blocking(write, False)
        self._watched = tuple(watched)
        self._closed.clear()
        hearing = ExitStack()
        hearing.enter_context(handled(self._note, to_hear()))
        hearing.enter_context(self._swallowed_seen())
        wakeup = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        thread = threading.Thread(target=self._watch, args=(read,), name="interruption", daemon=True)
        thread.start()

        def undo() -> None:
            signal.set_wakeup_fd(wakeup)
            hearing.close()
            self._closed.set()
            thread.join()
            os.close(read)
            os.close(write)

        self._undo = undo
        try:
            yield
        finally:
            self._watched = ()
            if self._reason is None:
                self.over()

    def check(self) -> None:
        """Raise StopSearch if the search must end."""
        if self._reason is not None:
            raise StopSearch

    def over(self) -> None:
        """Note that Ray was left: nothing can hang any more, signals do again what they did before."""
        undo, self._undo = self._undo, None
        if undo is not None:
            undo()

    def _note(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._signals and number != signal.SIGINT and now - self._first_at < ECHO_S:
            return
        self._signals += 1
        if self._signals > 1:
            if now - self._raised_at < SAME_S:
                return
            self._unheard = _within(frame, self._seen.__code__)
            if self._unheard:
                return
            self._raised_at = now
            raise KeyboardInterrupt
        self._first_at = now
        self._ask(f"interrupted by {signal.Signals(number).name}", GRACE_S)
        words = f"\nstopping; a second signal stops at once{self.goes_on and f'; to resume: {self.goes_on}'}"
        print(words, file=sys.stderr, flush=True)

    @contextmanager
    def _swallowed_seen(self) -> Iterator[None]:
        """Notice where the second signal's KeyboardInterrupt came to nothing: nothing can be raised in a destructor."""
        self._hook = before = sys.unraisablehook
        sys.unraisablehook = self._seen
        try:
            yield
        finally:
            sys.unraisablehook = before

    def _seen(self, unraisable: sys.UnraisableHookArgs) -> None:
        # In here nothing can be raised either, and no hook is told of it: `_note` looks whether it was called in here.
        if self._signals > 1 and isinstance(unraisable.exc_value, KeyboardInterrupt):
            self._unheard = True
        else:
            self._hook(unraisable)

    def _ask(self, reason: str, grace_s: float) -> None:
        if self._reason is None:
            self._reason = reason
            self._deadline = time.monotonic() + grace_s

    def _watch(self, signals: int) -> None:
        seen: dict[Endpoint, tuple[Sign, float]] = {}
        looked, sent = time.monotonic(), -math.inf
        while not self._closed.is_set():
            ready, _, _ = select.select([signals], [], [], 0.2)
            for number in os.read(signals, 64) if ready else b"":
                if number in STOPPING:
                    self._ask(f"interrupted by {signal.Signals(number).name}", GRACE_S)
            if self._unheard and time.monotonic() - sent >= AGAIN_S:
                # Again until it is heard: one that comes just before a call that waits is noticed when that returns.
                sent = time.monotonic()
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            now = time.monotonic()
            if self._deadline is not None and now > self._deadline:
                if self._ends_process:
                    self._end_process()
                self._deadline = None
                self._raise_interrupt()
            if now - looked < _LOOK_EVERY_S:
                continue
            # Where this process was stopped itself, or the machine slept, nobody else was silent so long.
            passed_s, looked = min(now - looked, 2 * _LOOK_EVERY_S + _PATIENT_S), now
            for part in self._watched:
                sign = part.look()
                before, away_s = seen.get(part, (Sign.ANSWERS, 0.0))
                away_s = away_s + passed_s if sign is before else 0.0
                seen[part] = sign, away_s
                patience_s = STALLED_S if sign is Sign.SILENT else part.patience_s
                if sign is not Sign.ANSWERS and away_s >= patience_s and self._reason is None:
                    self._lost = True
                    self._ask(f"{part.name} ({part.host}:{part.port}) {sign.value}", LOST_GRACE_S)

    def _raise_interrupt(self) -> None:
        words = f"\n{self._reason}, and Ray does not answer{self.goes_on and f'; to resume: {self.goes_on}'}"
        print(words, file=sys.stderr, flush=True)
        self._signals = max(self._signals, 1)
        # The thread sends it to the main thread: a call that it waits in ends with it.
        self._unheard = True

    def _end_process(self) -> None:
        try:
            self.last_words()
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            if self._lost:
                kill_own_ray()
            # Not sys.exit: the main thread, and Ray's own wind-up at exit, wait for what will not come.
            os._exit(LOST if self._lost else INTERRUPTED)
