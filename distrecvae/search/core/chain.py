"""Keeps an append-only file of JSON lines in which nothing can be missing, edited or doubled without being noticed.

Each line ends with a check: BLAKE2b over the check of the line before and this line's own bytes. So a line vouches for
itself and for all before it. What no chain can know is that lines are missing at its end: a `Mark`, written elsewhere
after the line was on disk, says how long it was. A line counts once it ends in a newline. A last one that was cut off
is what a killed writer leaves, and one with zeros in it what a power loss leaves, which may keep the end of a write and
not its middle: such a line was never synced, nobody acted on it, and it is cut.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import weakref
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distrecvae.checks import is_whole
from distrecvae.errors import ResultsError

_ROOT = b"distrecvae"
_CHECK = re.compile(rb',"check":"([0-9a-f]{32})"}$')
_HEX = re.compile("[0-9a-f]{32}")
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
REMEDY = "restore it from a backup, or start over in another folder"


@dataclass(frozen=True)
class Mark:
    """How long a chain was at some moment.

    Attributes:
        lines: whole lines in it.
        check: that of the last one; empty where there is none.
    """

    lines: int = 0
    check: str = ""

    def __post_init__(self) -> None:
        if self.lines < 0 or not (_HEX.fullmatch(self.check) if self.lines else self.check == ""):
            raise ValueError(f"{self.lines!r} lines with the check {self.check!r} are not a mark of a ledger")

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-able form."""
        return {"lines": self.lines, "check": self.check}

    @classmethod
    def from_dict(cls, form: object) -> Mark:
        """Return what `to_dict` gave.

        Raises:
            ValueError: something else gave it.
        """
        if isinstance(form, Mapping) and form.keys() == {"lines", "check"}:
            lines, check = form["lines"], form["check"]
            if is_whole(lines) and isinstance(check, str):
                return cls(lines, check)
        raise ValueError(f"{form!r} is not a mark of a ledger")


@dataclass(frozen=True)
class Content:
    """What a chain holds.

    Attributes:
        records: the lines, parsed, without their checks.
        checks: theirs, one a line.
        whole_bytes: length of the file up to its last whole line.
        torn_bytes: what lies behind: a line that was cut off while it was written.
    """

    records: tuple[dict[str, Any], ...]
    checks: tuple[str, ...]
    whole_bytes: int
    torn_bytes: int

    @property
    def mark(self) -> Mark:
        """Its length."""
        return Mark(len(self.checks), self.checks[-1] if self.checks else "")


def read_chain(path: Path) -> Content:
    """Return what a chain holds; nothing is written, so another process may be at work in it.

    Raises:
        ResultsError: the file is missing or cannot be read, or a line is damaged, edited, doubled or missing.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ResultsError(f"{path} is missing; {REMEDY}") from None
    except OSError as error:
        raise ResultsError(f"{path} cannot be read ({error.strerror}); {REMEDY}") from None
    whole = data.rfind(b"\n") + 1
    if b"\0" in (last := data[data.rfind(b"\n", 0, max(0, whole - 1)) + 1 : whole]):
        whole -= len(last)  # JSON has no zeros: sectors that had not come to the disk
    tail = data[whole:]
    records, checks, before = [], [], ""
    for number, line in enumerate(data[:whole].split(b"\n")[:-1], 1):
        record, before = _checked(line, before, path, number)
        records.append(record)
        checks.append(before)
    end = tail.rfind(b'"}') + 2
    if 2 <= end < len(tail) and _is_whole(tail[:end], before):
        # Not a line that was cut off: all of it is there, and its newline has become something else.
        raise ResultsError(f"{path}: the end of line {len(checks) + 1} is damaged; {REMEDY}")
    return Content(tuple(records), tuple(checks), whole, len(tail))


def require_reaches(content: Content, mark: Mark, path: Path, said_by: Path) -> None:
    """Refuse a chain that is shorter than it was, or is another one.

    Args:
        content: the chain's.
        mark: how long it was at least.
        path: the chain's file.
        said_by: the file that holds the mark.

    Raises:
        ResultsError: it does not reach so far.
    """
    if mark.lines > len(content.checks):
        raise ResultsError(
            f"{path} has {len(content.checks)} lines, and had {mark.lines} when {said_by} was written: lines at its end"
            f" are missing; {REMEDY}"
        )
    if mark.lines and content.checks[mark.lines - 1] != mark.check:
        raise ResultsError(f"{path} is not the one that {said_by} was written with; {REMEDY}")


class Chain:
    """A chain that this process writes; it is made where there is none. One writer at a time, by the folder's lock.

    Attributes:
        found: what it held when it was opened; a line that was cut off is cut away by then.
        mark: its length now.

    Raises:
        ResultsError: as `read_chain`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.exists():
            path.touch()
        self.found = read_chain(path)
        self.mark, self._bytes = self.found.mark, self.found.whole_bytes
        self._file = os.open(path, os.O_RDWR)
        weakref.finalize(self, os.close, self._file)
        os.ftruncate(self._file, self._bytes)
        os.fsync(self._file)  # else a power loss mixes what was cut with what is written there

    def append(self, record: Mapping[str, Any]) -> None:
        """Append a record, and return when it is on disk; NaN is refused, it is not JSON.

        Raises:
            OSError: it could not be written; of what was, nothing counts.
            ResultsError: as `require_in_place`; nobody is to act on a line that whoever comes next will not find.
        """
        self.require_in_place()
        text = _ENCODER.encode(record)[:-1].encode()
        check = _check(self.mark.check, text)
        line = b'%s,"check":"%s"}\n' % (text, check.encode())
        self.write(line)
        self._bytes += len(line)
        self.mark = Mark(self.mark.lines + 1, check)

    def write(self, line: bytes) -> None:
        """Write these bytes behind the last line, and wait until they are on disk."""
        done = 0
        try:
            while done < len(line):
                done += os.pwrite(self._file, line[done:], self._bytes + done)
            os.fsync(self._file)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file, self._bytes)
            raise

    def require_in_place(self) -> None:
        """Refuse to continue when the file at its path is no longer the one that is written to.

        What was written to it is kept beside it.

        Raises:
            ResultsError: it was removed, replaced, or its length was changed.
        """
        try:
            there = self._path.stat()
        except OSError:
            there = None
        own = os.fstat(self._file)
        if there is not None and os.path.samestat(own, there) and there.st_size == self._bytes:
            return
        rescued = self._path.with_name(f"{self._path.stem}-rescued{self._path.suffix}")
        _write_synced(rescued, os.pread(self._file, self._bytes, 0))  # and nothing that another program added
        raise ResultsError(
            f"{self._path} was {'removed' if there is None else 'changed'} by another program while the search ran;"
            f" what was written to it is in {rescued.name}: move that in its place, then continue with --resume"
        )


def _write_synced(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        done = 0
        while done < len(content):
            done += os.pwrite(handle, content[done:], done)
        os.fsync(handle)
    finally:
        os.close(handle)


def _check(before: str, text: bytes) -> str:
    return hashlib.blake2b(_ROOT + before.encode() + text, digest_size=16).hexdigest()


def _is_whole(line: bytes, before: str) -> bool:
    found = _CHECK.search(line)
    return found is not None and _check(before, line[: found.start()]) == found[1].decode()


def _checked(line: bytes, before: str, path: Path, number: int) -> tuple[dict[str, Any], str]:
    if not _is_whole(line, before):
        raise ResultsError(
            f"{path}: line {number} is damaged, or one before it is missing, edited or doubled; {REMEDY}"
        )
    record = json.loads(line)
    return record, record.pop("check")
