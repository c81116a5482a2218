"""The folders of Ray's sessions that commands of ours started: marked, and removed once their process is gone."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MARK = "distrecvae.lock"
"""Lies in the folder of a session that a command of ours started. The kernel holds it for as long as that lives."""


@contextmanager
def marked(session: Path) -> Iterator[None]:
    """Mark the folder of a session of ours, for as long as the block lasts. It stays after it: its logs may be read."""
    with (session / MARK).open("w", encoding="utf-8") as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)
        yield


def remove_dead(folder: Path) -> None:
    """Remove the folders of sessions that commands of ours started and that are over, however they ended.

    Args:
        folder: where Ray keeps sessions; it need not exist. What others started there is left alone.
    """
    for path in folder.glob(f"session_*/{MARK}"):
        session = path.parent
        if session.is_symlink():
            continue
        with suppress(OSError), path.open("a", encoding="utf-8") as mark:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(session, ignore_errors=True)
