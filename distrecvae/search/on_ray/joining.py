"""Refuses, in a line, what would fail before and while Ray is started or joined."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from distrecvae.errors import ResourceError

ANSWER_S = 10.0
"""How long a cluster's address may take to accept a connection."""

LONGEST_SOCKET = 107
"""Bytes that the path of a Unix socket may have."""

_REFUSED = ("InvalidAuthToken", "Unauthenticated")


def named(address: str | None, where: str) -> str:
    """Return how an address was given: by the option, or by the environment."""
    return f"--address {where}" if address else f"RAY_ADDRESS={where}"


def require_listener(where: str, name: str) -> None:
    """Refuse an address at which nothing listens; Ray itself would try for minutes.

    Args:
        where: the address; "auto" and "local" are not looked at.
        name: what to call it, see `named`.

    Raises:
        ResourceError: nothing listens there.
    """
    host, _, port = where.rpartition("://")[2].rpartition(":")
    if not host:
        return
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER_S).close()
    except (OSError, ValueError, OverflowError) as error:
        raise ResourceError(
            f"{name}: nothing listens there ({error}); start Ray, or leave it out to run here"
        ) from error


def ray_folder() -> str:
    """Return the folder in which a Ray that is started here keeps its sockets and logs, in a folder `ray`."""
    return os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()


def require_room_for_sockets() -> None:
    """Refuse a folder for Ray's files in which its sockets would have paths that are too long.

    Raises:
        ResourceError: it is too long.
    """
    folder, name = ray_folder(), "RAY_TMPDIR" if os.environ.get("RAY_TMPDIR") else "TMPDIR"
    beyond = len(f"/ray/session_2026-01-31_23-59-59_123456_{os.getpid()}/sockets/plasma_store")
    length = len(os.fsencode(folder))
    if length + beyond > LONGEST_SOCKET:
        raise ResourceError(
            f"{name}={folder} has {length} bytes, too many for the sockets that Ray makes in it; name a folder of"
            f" at most {LONGEST_SOCKET - beyond} in RAY_TMPDIR"
        )


def refused_token(said: str) -> bool:
    """Tell whether what Ray wrote to stderr while it joined a cluster means that the token was refused."""
    return any(word in said for word in _REFUSED)


@contextmanager
def stderr_kept() -> Iterator[Callable[[], str]]:
    """Keep what is written to stderr in the block, by libraries too; yield what reads it.

    It is shown after the block, unless the block raised: whoever hears of the error says it better.
    """
    sys.stderr.flush()
    before = os.dup(2)
    with tempfile.TemporaryFile() as kept:

        def read() -> str:
            kept.seek(0)
            return kept.read().decode(errors="replace")

        os.dup2(kept.fileno(), 2)
        try:
            yield read
            sys.stderr.flush()
        finally:
            os.dup2(before, 2)
            os.close(before)
        os.write(2, read().encode())
