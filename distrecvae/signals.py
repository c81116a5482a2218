"""Hears signals for as long as a block lasts, and leaves them as they were."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What asks a process to end: a terminal's Ctrl-C, a batch system, a terminal that is closed."""

INTERRUPTED = 130
"""Exit status of a command that was interrupted."""

Handler = Callable[[int, FrameType | None], None]


def to_hear() -> list[signal.Signals]:
    """Return what asks this process to end: all of `STOPPING`, but no SIGHUP where it is ignored, as under nohup."""
    ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    return [number for number in STOPPING if number != signal.SIGHUP or not ignored]


@contextmanager
def handled(handler: Handler, numbers: Iterable[signal.Signals]) -> Iterator[None]:
    """Let `handler` hear these signals during the block; only a process's main thread may."""
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def hear_again(number: signal.Signals) -> None:
    """Set a signal's handler anew: C code may have taken it away, and Python does not know."""
    handler = signal.getsignal(number)
    if handler is not None and threading.current_thread() is threading.main_thread():
        signal.signal(number, handler)


@contextmanager
def unchanged(number: signal.Signals) -> Iterator[None]:
    """Restore a signal's handler at the block's end, even if another one was set inside."""
    before = signal.getsignal(number)
    try:
        yield
    finally:
        if before is not None and threading.current_thread() is threading.main_thread():
            signal.signal(number, before)
