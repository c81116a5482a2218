"""Limits how often things are done, and lets long work report between its parts."""

from __future__ import annotations

import time
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
    """Tell whoever hears that batch `number` of `of` is next."""
    if (hear := _hears.get()) is not None:
        hear(number, of)
