"""Owns devices: which one there is, threads, and memory given back between two trainings."""

from __future__ import annotations

import gc

import torch

from distrecvae.errors import ResourceError

OUT_OF_MEMORY: tuple[type[BaseException], ...] = (MemoryError, torch.OutOfMemoryError)
"""What running out of memory raises, on the CPU and on a GPU."""


def use_threads(threads: int | None) -> None:
    """Let PyTorch compute in that many threads; None leaves its choice."""
    if threads is not None:
        torch.set_num_threads(threads)


def give_back_memory() -> None:
    """Drop what a finished training leaves: a worker that is used again must not carry it along."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def checked_device(device: torch.device | str) -> torch.device:
    """Return the device if this machine has it.

    Raises:
        ResourceError: there is no such device.
    """
    try:
        chosen = torch.device(device)
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ResourceError(
            f"device {str(device)!r} cannot be used ({reason}); use cpu, or cuda where there is a GPU"
        ) from None
    return chosen


def usable_device(device: str | None) -> str:
    """Return `device` if this machine has it; for None "cuda" where there is a GPU, else "cpu".

    Raises:
        ResourceError: there is no such device.
    """
    return str(checked_device(device or ("cuda" if torch.cuda.is_available() else "cpu")))
