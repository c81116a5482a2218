"""On PYTHONPATH, it makes the storage of all of a search's processes slow or refuse, as files in $FAULT_SEAM say."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

_FOLDER = os.environ.get("FAULT_SEAM")
_fsync = os.fsync


def _faulty_fsync(file: int) -> None:
    assert _FOLDER is not None
    slow, refuse = Path(_FOLDER) / "slow", Path(_FOLDER) / "refuse"
    if slow.exists():
        time.sleep(float(slow.read_text() or 0))
    if refuse.exists():
        number = getattr(errno, refuse.read_text() or "EIO")
        raise OSError(number, os.strerror(number))
    _fsync(file)


if _FOLDER:
    os.fsync = _faulty_fsync  # type: ignore[assignment]
