"""Stopping a run within a cycle, between two batches, and telling how far the cycle is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from distrecvae.pacing import heard_between_batches
from distrecvae.runs.training_run import Run


class StopRun(BaseException):
    """Leaves a run in the middle of a cycle. The trainer is of no use then, the folder holds what was completed."""


@contextmanager
def within_cycles(run: Run, asked: Callable[[], bool], tell: Callable[[float], object]) -> Iterator[None]:
    """Before each batch of the block's cycles, tell which share of the cycle is done, and look whether to stop.

    A run is left only where nothing but the cycle under way is lost by it. Where completed cycles were not saved yet,
    they were short: the cycle is finished, and whoever iterates saves.

    Args:
        run: what trains.
        asked: whether the run shall stop.
        tell: is told the share of the cycle that is done, 0 to 1.

    Raises:
        StopRun: it was asked for.
    """
    cycle_of, passes_begun = -1, 0

    def hear(batch: int, of: int) -> None:
        nonlocal cycle_of, passes_begun
        if run.passes != cycle_of:
            cycle_of, passes_begun = run.passes, 0
        passes_begun += batch == 0
        tell(min(1.0, (passes_begun - 1 + batch / of) / run.passes_per_cycle))
        if asked() and run.saved:
            raise StopRun

    with heard_between_batches(hear):
        yield
