"""What is noted of PyTorch while a check of a GPU runs: waits, graphs, failures to record, time, memory."""

from __future__ import annotations

import logging
import statistics
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from distrecvae.training.schemes import graphs


def median_s(work: Callable[[], object], repeats: int = 3) -> float:
    """Return the median time of `work`, which waits for its results; the first run is not counted."""
    work()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def outside_bytes() -> int:
    """Return what is taken of the GPU beside PyTorch's own memory: CUDA's context, libraries, other processes."""
    free, total = torch.cuda.mem_get_info()
    return max(0, total - free - torch.cuda.memory_reserved())


@contextmanager
def waits() -> Iterator[list[str]]:
    """Note each wait of the host for the GPU inside, by the package's line: file:line."""
    places: list[str] = []

    def note(message: Warning | str, *_: Any) -> None:
        if "called a synchronizing CUDA operation" in str(message):
            stack = traceback.extract_stack()[:-1]
            last = [f for f in stack if "distrecvae" in Path(f.filename).parts] or stack
            places.append(f"{Path(last[-1].filename).name}:{last[-1].lineno}")

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = note  # type: ignore[assignment]  # it takes less
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield places
        finally:
            torch.cuda.set_sync_debug_mode("default")


@contextmanager
def graphs_made() -> Iterator[list[object]]:
    """Note each CUDA graph that is made inside; PyTorch keeps no count of them."""
    made: list[object] = []
    real = torch.cuda.CUDAGraph

    def noted(*given: Any, **named: Any) -> object:
        made.append(real(*given, **named))
        return made[-1]

    setattr(torch.cuda, "CUDAGraph", noted)  # noqa: B010  (a class, as far as types go)
    try:
        yield made
    finally:
        setattr(torch.cuda, "CUDAGraph", real)  # noqa: B010


@contextmanager
def recording_failures() -> Iterator[list[str]]:
    """Note each time that recording a step fails inside."""
    said: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    log = logging.getLogger(graphs.__name__)
    log.addHandler(handler)
    try:
        yield said
    finally:
        log.removeHandler(handler)
