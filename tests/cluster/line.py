"""A network cable in user space: it delays, loses and cuts what goes over it, where the kernel has no `tc netem`, too.

Its two ends are TAP devices, one here and one in a network namespace; frames go from one to the other by way of this
process, which keeps each as long as the line is said to take.
"""

from __future__ import annotations

import fcntl
import os
import random
import struct
import subprocess
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

TUN = Path("/dev/net/tun")
FRAME_BYTES = 65536

_TUNSETIFF = 0x400454CA
_IFF_TAP_NO_PI = 0x0002 | 0x1000


@dataclass
class Line:
    """A cable from device `near`, here, to `eth0` in a namespace; up from its making to `close`.

    Attributes:
        near: the device's name on this side.
        namespace: the network namespace on the other.
        delay_s: how long a frame is under way, one direction.
        jitter_s: how much longer it may be, at most; frames stay in order.
        loss: the share of frames that are lost.
        cut: the directions in which none arrives: of "here" and "there", where it would.
    """

    near: str
    namespace: str
    delay_s: float = 0.0
    jitter_s: float = 0.0
    loss: float = 0.0
    cut: frozenset[str] = frozenset()
    _ends: list[int] = field(default_factory=list)
    _closed: bool = False

    def __post_init__(self) -> None:
        far = f"{self.near}f"
        self._ends = [_tap(self.near), _tap(far)]
        subprocess.run(
            ["ip", "link", "set", far, "netns", self.namespace, "name", "eth0"],
            check=True,
            capture_output=True,
        )
        here, there = self._ends
        for way in (_Way(self, here, there, "there"), _Way(self, there, here, "here")):
            for work in (way.read, way.write):
                threading.Thread(target=work, daemon=True).start()

    def mend(self) -> None:
        """Be as a new one."""
        self.delay_s, self.jitter_s, self.loss, self.cut = 0.0, 0.0, 0.0, frozenset()

    def close(self) -> None:
        """Take both devices away."""
        self._closed = True
        for name, inside in ((self.near, []), ("eth0", ["-n", self.namespace])):
            subprocess.run(["ip", *inside, "link", "del", name], capture_output=True, check=False)
        for end in self._ends:
            with suppress(OSError):
                os.close(end)

    @property
    def closed(self) -> bool:
        return self._closed


class _Way:
    """One direction: a thread that reads, and one that writes what is due."""

    def __init__(self, line: Line, source: int, target: int, where: str) -> None:
        self._line, self._source, self._target, self._where = line, source, target, where
        self._draw = random.Random(where)  # noqa: S311
        self._frames: deque[tuple[float, bytes]] = deque()
        self._there_is = threading.Semaphore(0)

    def read(self) -> None:
        due, line = 0.0, self._line
        while not line.closed:
            try:
                frame = os.read(self._source, FRAME_BYTES)
            except OSError:  # the device is down, or gone
                time.sleep(0.01)
                continue
            if self._where in line.cut or self._draw.random() < line.loss:
                continue
            due = max(due, time.monotonic() + line.delay_s + self._draw.uniform(0, line.jitter_s))
            self._frames.append((due, frame))
            self._there_is.release()

    def write(self) -> None:
        while not self._line.closed:
            if not self._there_is.acquire(timeout=1.0):
                continue
            due, frame = self._frames.popleft()
            time.sleep(max(0.0, due - time.monotonic()))
            with suppress(OSError):  # the other end is down: a frame less
                os.write(self._target, frame)


def _tap(name: str) -> int:
    end = os.open(TUN, os.O_RDWR | os.O_CLOEXEC)
    fcntl.ioctl(end, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP_NO_PI))
    return end
