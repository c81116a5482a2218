"""Switches the soft device on: the functions of `torch.cuda` that the package calls, and where calls go."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
import torch._dynamo  # imported now: under the device its import would run on it
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from tests.soft_cuda import tensors
from tests.soft_cuda.device import Capture, SoftDevice
from tests.soft_cuda.tensors import CUDA, SoftTensor, call, device, is_soft, leaves

CAPABILITY = (9, 0)
NAME = "a soft CUDA device"


class _Calls(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sends calls without a tensor of the device, such as factories, to it."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return call(func, args, kwargs or {})


class _Functions(TorchFunctionMode):
    """Answers what names the device before PyTorch, built for CPUs, refuses it."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if name in ("to", "cpu", "cuda") and args and isinstance(args[0], torch.Tensor):
            return _moved(func, name, args, kwargs)
        if name == "pin_memory" and args:
            return pinned(args[0])
        if kwargs.pop("pin_memory", False):
            return pinned(func(*args, **kwargs))
        if not is_soft(kwargs.get("device")):
            return func(*args, **kwargs)
        return _made(func, args, kwargs | {"device": "cpu"})


def _moved(func: Any, name: str, args: Any, kwargs: Any) -> torch.Tensor:
    """Return what `Tensor.to`, `cpu` or `cuda` do; a copy between devices is counted."""
    tensor, place, dtype, gpu = args[0], None, kwargs.get("dtype"), device()
    asked = list(args[1:]) if name == "to" else []
    flags = [part for part in asked if isinstance(part, bool)]
    patient = not (kwargs.get("non_blocking") or (flags and flags[0]))
    for part in [*asked, kwargs.get("device")]:
        if isinstance(part, torch.Tensor):
            place, dtype = part.device, part.dtype
        elif isinstance(part, torch.dtype):
            dtype = part
        elif isinstance(part, str | torch.device):
            place = torch.device(part)
    place = {"cpu": torch.device("cpu"), "cuda": CUDA}.get(name, place)
    if place is not None and place.type == "meta":
        return func(*args, **kwargs)  # type: ignore[no-any-return]
    if place is not None and is_soft(place) and place.index not in (None, 0):
        raise torch.AcceleratorError("CUDA error: invalid device ordinal")
    copy = bool(kwargs.get("copy"))
    soft = isinstance(tensor, SoftTensor)
    if place is None or is_soft(place) == soft:
        form = {"memory_format": kwargs["memory_format"]} if "memory_format" in kwargs else {}
        same: torch.Tensor = torch.Tensor.to(
            tensor, tensor.dtype if dtype is None else dtype, copy=copy, **form
        )
        return same
    if soft:
        gpu.wait("copy to the host")
        value: torch.Tensor = tensor.value.detach().clone()
        return value if dtype is None else value.to(dtype)
    if patient or tensor.untyped_storage()._cdata not in gpu.pinned:
        gpu.upload()
    gpu.check()
    value = tensor.detach() if dtype is None else tensor.detach().to(dtype)
    return SoftTensor(value.clone())


def pinned(tensor: torch.Tensor) -> torch.Tensor:
    """Return a copy of a host tensor in memory that the device reads and writes without the host's waiting."""
    made = tensor.clone()
    device().pinned[made.untyped_storage()._cdata] = made
    return made


def _made(func: Any, args: Any, kwargs: Any) -> Any:
    """Return what a factory makes, on the device."""
    gpu = device()
    gpu.check()
    with torch._C.DisableTorchFunctionSubclass():
        made = func(*args, **kwargs)
    if isinstance(made, SoftTensor):
        return made
    name = getattr(func, "__name__", "")
    if gpu.capturing is None:
        gpu.calls[name] += 1
    elif isinstance(made, torch.Tensor):
        gpu.capturing.calls.append((func, args, kwargs, made))
        gpu.capturing.names.append(name)
    return SoftTensor(made)


class CUDAGraph:
    """Stands for `torch.cuda.CUDAGraph`."""

    def __init__(self) -> None:
        self.capture: Capture | None = None
        self._pool = object()

    def pool(self) -> object:
        """Return the handle of its memory."""
        return self._pool if self.capture is None else self.capture.pool

    def replay(self) -> None:
        """Run the recorded calls again, on the memory they were recorded with."""
        gpu = device()
        gpu.check()
        gpu.replays += 1
        assert self.capture is not None, "replay of a graph that was not recorded"
        # What was recorded are calls on the memory itself: the modes, which would look at each argument, have no say.
        with _disable_current_modes(), torch._C.DisableTorchFunction(), torch.no_grad():
            for run, args, kwargs, out in self.capture.calls:
                again = run(*args, **kwargs)
                if out is None:
                    continue
                for place, value in zip(leaves(out), leaves(again), strict=True):
                    if (
                        isinstance(place, torch.Tensor)
                        and place.untyped_storage()._cdata != value.untyped_storage()._cdata
                    ):
                        place.copy_(value)


@contextlib.contextmanager
def _graph(graph: CUDAGraph, pool: object = None, stream: Any = None, **_: Any) -> Iterator[None]:
    """Stands for `torch.cuda.graph`, which synchronizes before it captures."""
    gpu = device()
    gpu.wait("capture begins")
    graph.capture = gpu.capturing = Capture(pool if pool is not None else graph.pool())
    try:
        yield
    finally:
        gpu.capturing = None
        gpu.captures.append(graph.capture)


class Stream:
    """Stands for `torch.cuda.Stream`; there is one, in truth."""

    device = CUDA

    def __init__(self, device: Any = None, **_: Any) -> None:
        pass

    def wait_stream(self, other: Stream) -> None:
        """Order this stream after the other."""

    def synchronize(self) -> None:
        """Wait."""
        device().wait("synchronize")


def _generator(place: Any = "cpu") -> torch.Generator:
    return _REAL_GENERATOR("cpu" if is_soft(place) else place)


_REAL_GENERATOR = torch.Generator


def _forbid(mode: str | int) -> None:
    device().forbids_waits = mode in ("error", 2)
    device().warns_of_waits = mode in ("warn", 1)


def _properties(place: Any = None) -> SimpleNamespace:
    return SimpleNamespace(
        name=NAME, total_memory=device().total_bytes, major=CAPABILITY[0], minor=CAPABILITY[1]
    )


def _share(fraction: float, place: Any = None) -> None:
    device().fraction = fraction


def _free_memory(place: Any = None) -> tuple[int, int]:
    gpu = device()
    return gpu.total_bytes - gpu.live_bytes - gpu.pool_bytes, gpu.total_bytes


def _stand_ins() -> dict[str, Any]:
    """Return what stands for the functions of `torch.cuda`."""
    return {
        "_lazy_init": lambda: None,
        "init": lambda: None,
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "Stream": Stream,
        "current_stream": lambda *_: Stream(),
        "stream": lambda *_: contextlib.nullcontext(),
        "CUDAGraph": CUDAGraph,
        "graph": _graph,
        "graph_pool_handle": object,
        "get_device_capability": lambda *_: CAPABILITY,
        "get_device_name": lambda *_: NAME,
        "get_device_properties": _properties,
        "empty_cache": lambda: device().check(),
        "synchronize": lambda *_: device().wait("synchronize"),
        "set_sync_debug_mode": _forbid,
        "set_per_process_memory_fraction": _share,
        "get_per_process_memory_fraction": lambda *_: device().fraction,
        "memory_allocated": lambda *_: device().live_bytes,
        "memory_reserved": lambda *_: device().live_bytes + device().pool_bytes,
        "max_memory_allocated": lambda *_: device().peak_bytes,
        "max_memory_reserved": lambda *_: device().peak_bytes,
        "reset_peak_memory_stats": lambda *_: device().reset_counts(),
        "mem_get_info": _free_memory,
    }


@contextlib.contextmanager
def soft_cuda(total_bytes: int = 80 << 30) -> Iterator[SoftDevice]:
    """Let `cuda` be a soft device of that much memory, in this thread and those it starts."""
    gpu = SoftDevice(total_bytes)
    before = tensors.current
    overwrite = torch.__future__.get_overwrite_module_params_on_conversion()
    with contextlib.ExitStack() as stack:
        for name, value in _stand_ins().items():
            stack.enter_context(mock.patch.object(torch.cuda, name, value))
        stack.enter_context(mock.patch.object(torch, "Generator", _generator))
        # As a build for CPUs answers. One for CUDA would have optimizers ask a driver that is not there.
        stack.enter_context(mock.patch.object(torch.accelerator, "current_accelerator", return_value=None))
        stack.enter_context(
            mock.patch.object(threading.Thread, _BEGIN, _run_on_the_device(getattr(threading.Thread, _BEGIN)))
        )
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        tensors.current = gpu
        try:
            with _Functions(), _Calls():  # type: ignore[no-untyped-call]
                yield gpu
        finally:
            tensors.current = before
            torch.__future__.set_overwrite_module_params_on_conversion(overwrite)


_BEGIN = "_bootstrap_inner"
"""What every thread runs first: `run` itself may be a subclass's own, as that of Tune's threads is."""


def _run_on_the_device(run: Any) -> Any:
    """Modes belong to a thread: let each new one enter them."""

    def entered(thread: threading.Thread) -> None:
        with _Functions(), _Calls():  # type: ignore[no-untyped-call]
            run(thread)

    return entered
