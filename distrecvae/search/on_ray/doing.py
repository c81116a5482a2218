"""Reports what each worker is doing: workers tell the process that keeps their states, which the driver asks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import ray

from distrecvae.activity import activity
from distrecvae.pacing import Seldom

TOLD_EVERY_S = 1.0
"""How often a worker looks whether it is at something else than it told: cycles may take milliseconds."""
ASKED_EVERY_S = 1.0


@contextmanager
def telling(keeper: Any, training: str) -> Iterator[None]:
    """Tell what this process is at while the block lasts, whenever that has changed.

    Args:
        keeper: the handle that `keeping` yields.
        training: the training's folder under the results folder.
    """
    over = threading.Event()

    def tell() -> None:
        told = ""
        while not over.wait(TOLD_EVERY_S):
            now = activity()
            if now and now != told:
                keeper.tell.remote(training, now)
                told = now

    threading.Thread(target=tell, name="what this worker is at", daemon=True).start()
    try:
        yield
    finally:
        over.set()


class Doings:
    """Asks the keeper now and then what workers are at, and hands that on.

    Args:
        keeper: its handle.
        take: is told what each training is at, by its folder under the results folder.
    """

    def __init__(self, keeper: Any, take: Callable[[Mapping[str, str]], object]) -> None:
        self._keeper, self._take = keeper, take
        self._asked: Any = None
        self._ask = Seldom(self._look, ASKED_EVERY_S)

    def look(self) -> None:
        """Note that time has passed; waits for nothing."""
        self._ask()

    def _look(self) -> None:
        if self._asked is not None:
            if not ray.wait([self._asked], timeout=0)[0]:
                return
            with suppress(ray.exceptions.RayError):  # it died, and is restarted
                self._take(ray.get(self._asked))
        self._asked = self._keeper.doings.remote()
