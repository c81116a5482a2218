"""Does things no more often than they are worth."""

from __future__ import annotations

import time
from collections.abc import Callable
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
