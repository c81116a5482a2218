"""What this process is doing, in a word: set where it happens, read from another thread by what shows it.

A worker has one trial at a time, so there is one word for the process.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

PREPARING, TRAINING, EVALUATING, SAVING = "preparing", "training", "evaluating", "saving"
GRAM, FACTORIZING, INVERTING = "computing the Gram matrix", "factorizing", "inverting"
"""Of a model that is solved at once: what its long step is at."""
WAITING, STARTING, PAUSED = "waiting for a node", "starting", "paused"
"""Of a trial that has no worker to say it: none has room, its worker is being started, the search is paused."""

_now = ""


@contextmanager
def at(what: str) -> Iterator[None]:
    """Say what is done in the block; after it, what was said before is so again."""
    global _now
    before, _now = _now, what
    try:
        yield
    finally:
        _now = before


def activity() -> str:
    """Return what this process is doing; empty where nothing was set."""
    return _now
