"""Owns what a process does to its device: threads, and memory given back between two trainings."""

from __future__ import annotations

import gc

import torch

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
