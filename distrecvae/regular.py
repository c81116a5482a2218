"""Reads files that are files: a folder from anywhere may have pipes and devices in it, and files without end."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

MOST_BYTES = 64 << 20
"""Of a file of settings or scores, which has a few thousand: what is longer is none."""


def read_regular(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """Return a file's bytes; a pipe or a device, which may never end, is refused, and what is too long to be meant.

    Raises:
        OSError: it is none of the kind, too long, or cannot be read.
    """
    # Opening a pipe would wait for its writer.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        status = os.fstat(file.fileno())
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is a pipe or a device, not a file", str(path))
        if status.st_size > most_bytes:
            raise OSError(
                errno.EFBIG, f"it has {status.st_size:,} bytes, at most {most_bytes:,} are read", str(path)
            )
        return file.read(most_bytes)


def require_regular(path: Path) -> None:
    """Refuse a pipe or a device where a library is to read a file by its path.

    Raises:
        OSError: it is one, or it is not there.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "it is a pipe, a device or a folder, not a file", str(path))
