"""A disk in memory on which a search's ledger lies: what a killed process leaves on it, and what a power loss leaves.

A file has what readers see and what has been synced. A killed process loses nothing that it wrote, but its last write
may be cut off. A power loss keeps what was synced; of the rest any sector may have been written and any other not, and
a sector that was not is zeros where the file grew. A rename that no sync followed may not have happened.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

SECTOR_BYTES = 64
"""Smaller than any real one, so that a line of the ledger spans several."""


class Crash(BaseException):
    """The process that used the disk is gone: no code of it runs any more."""


@dataclass
class File:
    """A file.

    Attributes:
        seen: its content, for whoever reads it.
        synced: the content that a power loss leaves for sure.
        pending: what was written since: offset and bytes, or a new length.
    """

    seen: bytearray = field(default_factory=bytearray)
    synced: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes] | int] = field(default_factory=list)

    def write(self, offset: int, data: bytes) -> None:
        """Write at an offset."""
        _put(self.seen, offset, data)
        self.pending.append((offset, data))

    def truncate(self, length: int) -> None:
        """Set the length."""
        _cut(self.seen, length)
        self.pending.append(length)

    def sync(self) -> None:
        """Make all of it durable."""
        if self.pending:
            self.synced[:] = self.seen
            self.pending.clear()

    def lose_power(self, random: Random) -> None:
        """Keep what was synced, and of what was written since whichever sectors had come to the disk."""
        content = bytearray(self.synced)
        for change in self.pending:
            if isinstance(change, int):
                if random.random() < 0.5:
                    _cut(content, change)
                continue
            offset, data = change
            for begin in range(0, len(data), SECTOR_BYTES):
                if random.random() < 0.5:
                    _put(content, offset + begin, data[begin : begin + SECTOR_BYTES])
        self.seen, self.synced = content, bytearray(content)
        self.pending.clear()


class Stat(NamedTuple):
    """What `os.stat` says of a file, as far as it is asked for."""

    st_ino: int
    st_dev: int
    st_size: int


class Disk:
    """The files by name, and everything that can go wrong with them.

    Args:
        random: decides what a power loss leaves.

    Attributes:
        files: by name.
        operations: how many there were since the process began that uses it.
        crash_at: the operation in which that process is gone; None: never.
        power: whether it goes with the power.
        full_at: the operations that find the disk full.
    """

    def __init__(self, random: Random) -> None:
        self.files: dict[str, File] = {}
        self.operations = 0
        self.crash_at: int | None = None
        self.power = False
        self.full_at = range(0)
        self._random = random
        self._before: dict[str, File | None] = {}
        """Names that were renamed or removed since the last sync: what they were."""

    def operate(self, half: Callable[[], None] | None = None) -> None:
        """Count an operation; crash in it if it is time to, `half` done perhaps."""
        self.operations += 1
        if self.operations == self.crash_at:
            if half is not None and self._random.random() < 0.5:
                half()
            self.crash()
            raise Crash

    def crash(self) -> None:
        """Leave on the disk what a process leaves that is killed now, or whose machine loses its power."""
        self.crash_at = None
        if self.power:
            for name, file in self._before.items():
                if self._random.random() < 0.5:
                    self._restore(name, file)
            for file in self.files.values():
                file.lose_power(self._random)
        self._before.clear()

    def replace(self, name: str, content: bytes) -> None:
        """Put a file in the place of another, as `files.replacing` does: written beside it, synced, renamed."""
        self.operate()
        self._require_room()
        self._before.clear()  # the sync of the file beside it
        self.operate(lambda: self._rename(name, content))
        self._rename(name, content)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        self.operate()
        self._remember(name)
        self.files.pop(name, None)

    def read(self, name: str) -> bytes:
        """Return a file's content."""
        if name not in self.files:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        return bytes(self.files[name].seen)

    def write(self, file: File, offset: int, data: bytes) -> int:
        """Write into a file; a full disk takes a part, and refuses the next."""
        cut = self._random.randrange(len(data))
        self.operate(lambda: file.write(offset, data[:cut]))
        if self.operations in self.full_at and cut:
            file.write(offset, data[:cut])
            return cut
        self._require_room()
        file.write(offset, data)
        return len(data)

    def sync(self, file: File) -> None:
        """Make a file durable, and all renames before."""
        self.operate()
        file.sync()
        self._before.clear()

    def truncate(self, file: File, length: int) -> None:
        """Set a file's length."""
        self.operate()
        file.truncate(length)

    def _require_room(self) -> None:
        if self.operations in self.full_at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _rename(self, name: str, content: bytes) -> None:
        self._remember(name)
        self.files[name] = File(bytearray(content), bytearray(content))

    def _remember(self, name: str) -> None:
        self._before.setdefault(name, self.files.get(name))

    def _restore(self, name: str, file: File | None) -> None:
        if file is None:
            self.files.pop(name, None)
        else:
            self.files[name] = file


class Place:
    """A path on the disk, as far as the ledger uses one."""

    def __init__(self, disk: Disk, name: str = "") -> None:
        self.disk, self.name = disk, name

    def __truediv__(self, name: str) -> Place:
        return Place(self.disk, name)

    def __str__(self) -> str:
        return self.name

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return self.name.rpartition(".")[0]

    @property
    def suffix(self) -> str:
        """The name's end, with its dot."""
        return "." + self.name.rpartition(".")[2]

    def with_name(self, name: str) -> Place:
        """Return another one beside it."""
        return Place(self.disk, name)

    def exists(self) -> bool:
        """Tell whether there is a file."""
        return self.name in self.disk.files

    def touch(self) -> None:
        """Make an empty file."""
        self.disk.operate()
        self.disk.files.setdefault(self.name, File())

    def read_bytes(self) -> bytes:
        """Return the content."""
        return self.disk.read(self.name)

    def stat(self) -> Stat:
        """Return what it is."""
        if self.name not in self.disk.files:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.name)
        return _stat(self.disk.files[self.name])


class Os:
    """Stands for the module `os` where the ledger is written."""

    O_RDWR, O_CREAT, O_TRUNC = os.O_RDWR, os.O_CREAT, os.O_TRUNC
    path = os.path

    def __init__(self) -> None:
        self._open: dict[int, tuple[Disk, File]] = {}

    def open(self, place: Place, flags: int, mode: int = 0o777) -> int:  # noqa: ARG002
        """Return a handle: of the file, whatever happens to its name."""
        handle = len(self._open)
        if flags & os.O_CREAT:
            place.disk.operate()
            place.disk.files[place.name] = File()
        self._open[handle] = place.disk, place.disk.files[place.name]
        return handle

    def close(self, handle: int) -> None:
        """Nothing: a night has few handles."""

    def pwrite(self, handle: int, data: bytes, offset: int) -> int:
        """Write, perhaps not all of it."""
        disk, file = self._open[handle]
        return disk.write(file, offset, data)

    def pread(self, handle: int, length: int, offset: int) -> bytes:
        """Read."""
        return bytes(self._open[handle][1].seen[offset : offset + length])

    def fsync(self, handle: int) -> None:
        """Make it durable."""
        disk, file = self._open[handle]
        disk.sync(file)

    def ftruncate(self, handle: int, length: int) -> None:
        """Set the length."""
        disk, file = self._open[handle]
        if len(file.seen) != length:
            disk.truncate(file, length)

    def fstat(self, handle: int) -> Stat:
        """Return what it is."""
        return _stat(self._open[handle][1])

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"the ledger uses os.{name} now: the simulated disk has to know it")


def _stat(file: File) -> Stat:
    return Stat(id(file), 0, len(file.seen))


def _put(content: bytearray, offset: int, data: bytes) -> None:
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


def _cut(content: bytearray, length: int) -> None:
    if len(content) > length:
        del content[length:]
    else:
        content.extend(bytes(length - len(content)))
