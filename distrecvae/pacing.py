"""Limits how often things are done, and lets long work report between its parts."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Generic, ParamSpec

Arguments = ParamSpec("Arguments")


class Seldom(Generic[Arguments]):
    """Passes calls on, but only `every_s` seconds after it was made or the last one was passed on."""

    def __init__(self, act: Callable[Arguments, object], every_s: float) -> None:
        self._act, self._every_s, self._acted_at = act, every_s, time.monotonic()

    def __call__(self, *arguments: Arguments.args, **named: Arguments.kwargs) -> None:
        """Pass the call on if it is time to."""
        if time.monotonic() - self._acted_at >= self._every_s:
            self._acted_at = time.monotonic()
            self._act(*arguments, **named)

    def put_off(self) -> None:
        """Pass nothing on for `every_s` seconds from now."""
        self._acted_at = time.monotonic()


class Remaining:
    """Works out how long something still takes, from the shares of it that are done and this process's clock.

    What counts is the pace since half of the time ago: other work on the machine comes and goes. A share below the one
    before is of something new, which is timed from there.
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[float, float]] = deque()
        self._begun_at = 0.0

    def after(self, share: float) -> float | None:
        """Take in the share that is done now; return the seconds to go, None where there is no pace yet."""
        now = time.monotonic()
        if not self._seen or share < self._seen[-1][1]:
            self._seen.clear()
            self._begun_at = now
        self._seen.append((now, share))
        while len(self._seen) > 2 and self._seen[1][0] <= (self._begun_at + now) / 2:
            self._seen.popleft()
        since, before = self._seen[0]
        if now <= since or share <= before:
            return None
        return (1 - share) * (now - since) / (share - before)


Hear = Callable[[int, int], object]
"""Is told the number of a batch that is about to be trained on, from 0, and how many there are in its pass."""

_hears: ContextVar[Hear | None] = ContextVar("hears", default=None)


@contextmanager
def heard_between_batches(hear: Hear) -> Iterator[None]:
    """Let `hear` be called before each batch that is trained on in the block; what it raises leaves the training."""
    before = _hears.set(hear)
    try:
        yield
    finally:
        _hears.reset(before)


def before_batch(number: int, of: int) -> None:
    """Report that batch `number` of `of` is next."""
    if (hear := _hears.get()) is not None:
        hear(number, of)
