"""The state of the soft device: its memory, its waits, its captures, and whether it still works."""

from __future__ import annotations

import linecache
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import Any
from weakref import WeakValueDictionary

import torch

GRANULE_BYTES = 512
"""CUDA's allocator rounds sizes up to this."""
_MACHINERY = ("device.py", "runtime.py", "tensors.py")
DEVICE_ASSERT = "CUDA error: device-side assert triggered"
"""What PyTorch says from a failed assertion in a kernel on: the process can do nothing more on the device."""


class MixedDevicesError(RuntimeError):
    """A call was given tensors of the CPU and of the device."""


class ForbiddenWaitError(RuntimeError):
    """The host waited for the device where it must not: in a capture, or under the sync debug mode "error"."""


class Block:
    """A piece of device memory; it is given back when the last tensor in it is gone."""

    def __init__(self, device: SoftDevice, n_bytes: int, pool: Capture | None) -> None:
        self._device, self._n_bytes, self._pool = device, n_bytes, pool
        device.take(n_bytes, pool)

    def __del__(self) -> None:
        self._device.give_back(self._n_bytes, self._pool)


@dataclass(eq=False)
class Capture:
    """A recorded CUDA graph: its calls in order, and the memory they take while they run.

    Attributes:
        calls: what is called again at a replay: function, arguments, and the tensors its results go to (or None).
        names: of the calls.
        pool: handle of the memory pool; graphs with one handle share their memory.
        live_bytes: of it now, while capturing.
        peak_bytes: of it at most.
    """

    pool: object
    calls: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], Any]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    live_bytes: int = 0
    peak_bytes: int = 0


@dataclass(eq=False)
class SoftDevice:
    """What a test asks of the device.

    Attributes:
        waits: how often the host waited, by place in the package and kind.
        uploads: of these, copies from the host that is not pinned.
        calls: ATen operators that ran outside graphs, by name.
        captures: all graphs that were recorded.
        replays: graphs launched.
        longest_bag: interactions that one thread of an `embedding_bag` walked at most.
        total_bytes: of the device; what goes beyond is out of memory.
        fraction: of `total_bytes` that this process may take.
        live_bytes: of tensors now.
        forbids_waits: whether a wait is an error.
        warns_of_waits: whether a wait is warned of.
        capturing: the graph that is being recorded; None for none.
        broken: whether a kernel has failed: nothing works from then on.
        blocks: memory that is held, by the identity of its storage.
        pinned: tensors of the host that the device copies without the host's waiting.
    """

    total_bytes: int = 80 << 30
    fraction: float = 1.0
    waits: Counter[str] = field(default_factory=Counter)
    uploads: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    captures: list[Capture] = field(default_factory=list)
    replays: int = 0
    longest_bag: int = 0
    live_bytes: int = 0
    forbids_waits: bool = False
    warns_of_waits: bool = False
    capturing: Capture | None = None
    broken: bool = False
    blocks: WeakValueDictionary[int, Block] = field(default_factory=WeakValueDictionary)
    pinned: WeakValueDictionary[int, torch.Tensor] = field(default_factory=WeakValueDictionary)
    _peak_live_bytes: int = 0

    def reset_counts(self) -> None:
        """Begin counting again; memory that is taken stays taken."""
        for counter in (self.waits, self.uploads, self.calls):
            counter.clear()
        self.captures.clear()
        self.replays = self.longest_bag = 0
        self._peak_live_bytes = self.live_bytes

    @property
    def n_waits(self) -> int:
        """How often the host waited."""
        return self.waits.total()

    @property
    def pool_bytes(self) -> int:
        """Memory of all graphs: those of one pool run in turn and share it."""
        pools: dict[int, int] = {}
        for capture in self.captures:
            pools[id(capture.pool)] = max(pools.get(id(capture.pool), 0), capture.peak_bytes)
        return sum(pools.values())

    @property
    def peak_bytes(self) -> int:
        """Memory of tensors and graphs at most, since counting began."""
        return self._peak_live_bytes + self.pool_bytes

    def take(self, n_bytes: int, pool: Capture | None) -> None:
        """Take memory; in a capture, of its pool.

        Raises:
            torch.OutOfMemoryError: there is not that much left of this process's share.
        """
        if pool is not None:
            pool.live_bytes += n_bytes
            pool.peak_bytes = max(pool.peak_bytes, pool.live_bytes)
        else:
            self.live_bytes += n_bytes
            self._peak_live_bytes = max(self._peak_live_bytes, self.live_bytes)
        if self.live_bytes + self.pool_bytes > self.fraction * self.total_bytes:
            raise torch.OutOfMemoryError(
                f"CUDA out of memory. Tried to allocate {n_bytes} bytes (soft device)"
            )

    def give_back(self, n_bytes: int, pool: Capture | None) -> None:
        """Give memory back."""
        if pool is not None:
            pool.live_bytes -= n_bytes
        else:
            self.live_bytes -= n_bytes

    def block(self, value: torch.Tensor) -> Block:
        """Return the block that the tensor `value` lies in, which is made where it is new."""
        storage = value.untyped_storage()
        found = self.blocks.get(storage._cdata)
        if found is None:
            n_bytes = -(-storage.nbytes() // GRANULE_BYTES) * GRANULE_BYTES
            found = self.blocks[storage._cdata] = Block(self, n_bytes, self.capturing)
        return found

    def wait(self, kind: str) -> None:
        """Count a wait of the host for the device.

        Raises:
            ForbiddenWaitError: in a capture, or where waits are forbidden.
        """
        self.check()
        place = f"{caller()} [{kind}]"
        self.waits[place] += 1
        if self.capturing is not None:
            raise ForbiddenWaitError(f"operation not permitted when stream is capturing: {place}")
        if self.forbids_waits:
            raise ForbiddenWaitError(f"called a synchronizing CUDA operation: {place}")
        if self.warns_of_waits and kind != "synchronize":  # of a wait that is asked for PyTorch says nothing
            warnings.warn("called a synchronizing CUDA operation", UserWarning, stacklevel=2)

    def upload(self) -> None:
        """Count a copy to the device from memory that is not pinned, for which the host waits."""
        self.uploads[caller()] += 1
        self.wait("upload")

    def check(self) -> None:
        """Refuse to work once a kernel has failed, as CUDA does for the rest of a process.

        Raises:
            torch.AcceleratorError: a kernel failed before.
        """
        if self.broken:
            raise torch.AcceleratorError(DEVICE_ASSERT)

    def break_down(self) -> None:
        """Fail as a kernel's assertion does.

        Raises:
            torch.AcceleratorError: always.
        """
        self.broken = True
        self.check()


def caller() -> str:
    """Return the innermost line of the package, or of a test, that led here."""
    frame: FrameType | None = sys._getframe(1)
    at: str | None = None
    while frame is not None:
        name = frame.f_code.co_filename
        if "/distrecvae/" in name and "/tests/" not in name:
            line = linecache.getline(name, frame.f_lineno).strip()
            return f"{name.rsplit('/distrecvae/', 1)[1]}:{frame.f_lineno} {line}"
        if at is None and "/tests/" in name and name.rsplit("/", 1)[1] not in _MACHINERY:
            at = f"{name.rsplit('/', 1)[1]}:{frame.f_lineno}"
        frame = frame.f_back
    return at or "?"
