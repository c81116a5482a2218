"""What is set up in each of Ray's workers: the soft device where it is asked for, and the planted faults."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

SOFT, FAULTS = "ACCEPTANCE_SOFT_BYTES", "ACCEPTANCE_FAULTS"
"""Environment variables: the soft device's memory; the folder in which workers note what runs in which process."""

BEYOND_SHARE, OUT_OF_MEMORY, ASSERTS = 1, 3, 5
"""Numbers of the trials in which a fault is planted."""
FAR_TOO_WIDE = 60_000
"""A hidden layer whose square alone is beyond any GPU of today."""
_held = ExitStack()


def set_up() -> None:
    """Called by Ray in each worker as it starts."""
    soft_bytes = os.environ.get(SOFT)
    if soft_bytes:
        from tests.soft_cuda import soft_cuda

        _held.enter_context(soft_cuda(int(soft_bytes)))
    if os.environ.get(FAULTS):
        plant(Path(os.environ[FAULTS]))


def plant(folder: Path) -> None:
    """Let three trials of this worker meet what GPUs do: from outside, by their task alone."""
    from distrecvae.search.on_ray import trainable as worker

    memory_of, run_trial = vars(worker)["memory_of"], vars(worker)["run_trial"]

    def planted_memory(task: Any, *given: Any, **named: Any) -> int:
        if task.number == BEYOND_SHARE:
            task = _wider(task, FAR_TOO_WIDE)
        return 0 if task.number == OUT_OF_MEMORY else int(memory_of(task, *given, **named))

    def planted_trial(task: Any, *given: Any) -> Iterator[dict[str, Any]]:
        with (folder / "processes.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"trial": task.number, "process": os.getpid()}) + "\n")
        if task.number == OUT_OF_MEMORY:
            task = _wider(task, outgrowing(_share_bytes()))
        if task.number == ASSERTS:
            assert_on_the_device()
        yield from run_trial(task, *given)

    vars(worker).update(memory_of=planted_memory, run_trial=planted_trial)


def outgrowing(share_bytes: float) -> int:
    """Return the width of hidden layers whose squares, their moments and q_old's take a third more than a share."""
    return math.ceil(math.sqrt(1.33 * share_bytes / (4 * 4 * 5)))


def assert_on_the_device() -> None:
    """Take an element that is not there: a kernel's assertion fails, and the process has lost its GPU."""
    torch.zeros(4, device="cuda")[torch.tensor([7], device="cuda")]
    torch.cuda.synchronize()


def _share_bytes() -> float:
    total = torch.cuda.get_device_properties(0).total_memory
    return float(torch.cuda.get_per_process_memory_fraction() * total)


def _wider(task: Any, hidden_dim: int) -> Any:
    return replace(task, config={**task.config, "hidden_dim": hidden_dim})
