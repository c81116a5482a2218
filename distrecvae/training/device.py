"""Devices: which one there is and what it offers, threads, a share of a GPU's memory, memory given back."""

from __future__ import annotations

import gc
import platform
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch

from distrecvae.errors import ResourceError
from distrecvae.kernels.precision import best_precision
from distrecvae.precisions import AUTO, Precision
from distrecvae.words import first_line

CUDA_CONTEXT_BYTES = 600 << 20
"""What CUDA and its libraries take of a GPU for each process, beside the tensors: an allowance, not a measurement."""

OUT_OF_MEMORY: tuple[type[BaseException], ...] = (MemoryError, torch.OutOfMemoryError)
"""What running out of memory raises, on the CPU and on a GPU."""


_DEVICE_ERRORS = (
    "CUDA error",
    "CUDNN_STATUS",
    "cuDNN error",
    "CUBLAS_STATUS",
    "CUSPARSE_STATUS",
    "cusolver error",
)
"""How PyTorch begins to say what CUDA or a library of it said."""


def is_ruinous(error: BaseException | None) -> bool:
    """Return whether an error, or what it came from, leaves its process without its GPU.

    After an illegal access, a failed assertion in a kernel or a memory fault every further call fails, whatever it is.
    Running out of memory is no such error.
    """
    while error is not None:
        if not isinstance(error, OUT_OF_MEMORY) and "out of memory" not in str(error):
            if isinstance(error, torch.AcceleratorError):
                return True
            if isinstance(error, RuntimeError) and any(sign in str(error) for sign in _DEVICE_ERRORS):
                return True
        error = error.__cause__ or error.__context__
    return False


def use_threads(threads: int | None) -> None:
    """Let PyTorch compute in that many threads; None leaves its choice."""
    if threads is not None:
        torch.set_num_threads(threads)


def threads_in_use() -> int:
    """Return in how many threads PyTorch computes."""
    return torch.get_num_threads()


class DeviceFacts(NamedTuple):
    """What a device offers a training.

    Attributes:
        name: what it is, in words.
        precision: what `auto` chooses there.
        memory_bytes: a GPU's memory; 0 for a CPU.
    """

    name: str
    precision: Precision
    memory_bytes: int


def device_facts(device: str) -> DeviceFacts:
    """Return what `device` offers.

    Raises:
        ResourceError: there is no such device.
    """
    chosen = checked_device(device)
    if chosen.type != "cuda":
        return DeviceFacts("the CPU", best_precision(chosen), 0)
    properties = torch.cuda.get_device_properties(chosen)
    return DeviceFacts(properties.name, best_precision(chosen), int(properties.total_memory))


def processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return what the processor calls itself and which of its instructions PyTorch computes with."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    name = next(named, "") or platform.processor() or platform.machine()
    return f"{name} ({torch.backends.cpu.get_cpu_capability()})"


def resolved_precision(choice: str, automatic: Precision) -> Precision:
    """Return the precision chosen: `automatic` for "auto", else what was named."""
    if choice == AUTO:
        return automatic
    return "bfloat16" if choice == "bfloat16" else "float32"


def require_room(needed_bytes: int, facts: DeviceFacts, gpus: float) -> None:
    """Refuse a training that cannot fit into its share of a GPU.

    Args:
        needed_bytes: what the training takes, by estimate.
        facts: of the device; a CPU is not checked here.
        gpus: the share, a fraction of one GPU; from 1 on a whole one.

    Raises:
        ResourceError: it does not fit.
    """
    room = int(facts.memory_bytes * min(gpus, 1.0))
    if facts.memory_bytes and needed_bytes + CUDA_CONTEXT_BYTES > room:
        raise ResourceError(
            f"a trial takes about {(needed_bytes + CUDA_CONTEXT_BYTES) / 2**20:,.0f} MiB and its share of"
            f" {facts.name} ({min(gpus, 1.0):g}) has {room / 2**20:,.0f} MiB;"
            " raise --gpus-per-trial, or lower batch_size or the model's sizes"
        )


def keep_to_share(gpus: float) -> None:
    """Let this process take no more than its share of its GPU: what outgrows it fails alone, not its neighbours.

    The share has room for the process's CUDA context, too, which PyTorch does not count.
    """
    if 0 < gpus < 1:
        total = torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory
        torch.cuda.set_per_process_memory_fraction(max(gpus - CUDA_CONTEXT_BYTES / total, 0.0))


@cache
def set_aside_imports() -> None:
    """Leave what this process holds by now out of every later collection; only the first call does anything.

    PyTorch, pandas and Ray are half a million objects that never become garbage. Looking through them took most of the
    time between two trials.
    """
    gc.collect()
    gc.freeze()


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
        if chosen.type not in ("cpu", "cuda"):
            raise RuntimeError("nothing here is written for it")
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = first_line(error)
        raise ResourceError(
            f"device {str(device)!r} cannot be used ({reason}); use cpu, or cuda where there is a GPU"
        ) from None
    return chosen


def device_kind(device: torch.device | str) -> str:
    """Return the kind of a device, "cpu" or a GPU's name: on one kind random values are the same wherever drawn.

    A GPU's generator gives each of its threads a stream, and how many there are depends on its processors.
    """
    place = torch.device(device)
    return torch.cuda.get_device_name(place) if place.type == "cuda" else place.type


def moved(before: str | None, device: torch.device | str) -> str:
    """Return what it means that what was trained on one kind of device continues on another; empty where it does not.

    Args:
        before: the kind that it was trained on; None where that is not known.
        device: where it continues.
    """
    now = device_kind(device)
    if before in (None, now):
        return ""
    return f"Continues on {now}, was on {before} until now: random values and rounding differ, and so will the scores"


def usable_device(device: str | None) -> str:
    """Return `device` if this machine has it; for None "cuda" where there is a GPU, else "cpu".

    Raises:
        ResourceError: there is no such device.
    """
    return str(checked_device(device or ("cuda" if torch.cuda.is_available() else "cpu")))
