"""CUDA graphs of optimizer steps: at these sizes a GPU computes a step faster than Python can ask for its parts.

A step of fixed shapes is run a few times directly, then recorded once per kind and replayed: one launch instead of
    hundreds. Batches of other shapes (a pass's last one) run directly. If recording fails, every step does.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Generic, NamedTuple, TypeVar

import torch

WARM_UP = 3
"""Steps of a kind before it is recorded: libraries choose their algorithms and make their workspaces meanwhile."""

SWITCH = "DISTRECVAE_GRAPHS"
"""The environment variable that switches recording off, by "0"; see `not_recorded`."""

_log = logging.getLogger(__name__)
_failed: list[str] = []
"""Why recording failed in this process. PyTorch's allocator then takes a capture for unfinished for ever, and frees no
cached memory while one continues: each further try would leave more of it behind."""

_as_they_are = ContextVar("_as_they_are", default=False)

Given = TypeVar("Given", bound=NamedTuple)


class _Recorded(NamedTuple):
    graph: torch.cuda.CUDAGraph
    given: Any


@contextmanager
def not_recorded() -> Iterator[None]:
    """Run the steps inside directly, none recorded or replayed: to compare the two, and to look into a step.

    The environment variable `DISTRECVAE_GRAPHS=0` does the same for a whole process.
    """
    token = _as_they_are.set(True)
    try:
        yield
    finally:
        _as_they_are.reset(token)


def _recording() -> bool:
    return not (_as_they_are.get() or _failed or os.environ.get(SWITCH) == "0")


class Recorder(Generic[Given]):
    """Runs steps; on a CUDA device they are recorded and replayed, elsewhere they run directly.

    All steps of a pass run on one side stream, as recording demands, ordered with the caller's stream by `running`. The
    graphs share their memory: they run in turn.

    Args:
        step: takes one step from a named tuple of tensors, of which a recording has copies, and of values that are the
            same in each step of a shape. All else that it reads must be tensors that stay where they are.
        device: where it computes.
    """

    def __init__(self, step: Callable[[Given, Hashable], None], device: torch.device) -> None:
        self._step = step
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]
        self._steps: Counter[Hashable] = Counter()
        self._recorded: dict[Hashable, _Recorded] = {}

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the steps inside after what the caller's stream did before, and before what it does next."""
        if self._stream is None:
            yield
            return
        callers = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(callers)
        with torch.cuda.stream(self._stream):
            yield
        callers.wait_stream(self._stream)

    def take(self, given: Given, kind: Hashable, *, fixed: bool) -> None:
        """Take one step.

        Args:
            given: what the step takes.
            kind: of the step; each is recorded for itself.
            fixed: whether `given` is of the shapes that steps are recorded for.
        """
        if self._stream is None or not fixed or not _recording():
            self._step(given, kind)
            return
        self._steps[kind] += 1
        if self._steps[kind] <= WARM_UP or (kind not in self._recorded and not self._record(given, kind)):
            self._step(given, kind)
            return
        recorded = self._recorded[kind]
        for place, value in zip(recorded.given, given, strict=True):
            if isinstance(place, torch.Tensor):
                place.copy_(value)
        recorded.graph.replay()

    def _record(self, given: Given, kind: Hashable) -> bool:
        """Record the step, which takes none; return whether that worked."""
        tensors = {name: v.clone() for name, v in given._asdict().items() if isinstance(v, torch.Tensor)}
        copies = given._replace(**tensors)
        graph = torch.cuda.CUDAGraph()
        pool = next((known.graph.pool() for known in self._recorded.values()), None)
        try:
            with torch.cuda.graph(graph, pool=pool, stream=self._stream):
                self._step(copies, kind)
        except RuntimeError as error:
            _failed.append(str(error).split("\n")[0])
            _log.warning("CUDA graphs do not work here (%s); training continues without", _failed[0])
            return False
        self._recorded[kind] = _Recorded(graph, copies)
        return True
