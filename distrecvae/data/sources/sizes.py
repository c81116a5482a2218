"""Limits how large a source may be: what it declares is compared with the memory before anything is read."""

from __future__ import annotations

from distrecvae.errors import DataError
from distrecvae.words import gib

ROW_BYTES = 48
"""What a row takes while it is read and split: ids twice, a rating, an order, and what sorting them needs."""


def memory_left() -> int | None:
    """Return how much memory a process may still take: bytes; None where nobody knows."""
    try:
        import psutil
    except ImportError:
        return None
    return int(psutil.virtual_memory().available)


def require_room(n_rows: int, what: object, max_rows: int | None, *, estimated: bool = False) -> None:
    """Refuse a source that declares more rows than were allowed, or than the memory has room for.

    Args:
        n_rows: as its metadata declares.
        what: the source, in messages.
        max_rows: as told; None lets the memory decide.
        estimated: the number is one.

    Raises:
        DataError: it does.
    """
    if max_rows is not None:
        if n_rows > max_rows:
            raise DataError(
                f"{what} has {n_rows:,} rows, more than {max_rows:,}; raise --max-rows, or give a part of it"
            )
        return
    left = memory_left()
    if left is not None and n_rows * ROW_BYTES > left:
        about = "about " if estimated else ""
        raise DataError(
            f"{what} has {about}{n_rows:,} rows, which take about {gib(n_rows * ROW_BYTES)}, and {gib(left)} of memory"
            " are left; take a larger machine, or a part of it (--max-rows overrides this)"
        )
