"""Holds a results folder for the one process that writes it: a new run's has to be empty."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distrecvae.errors import ResultsError
from distrecvae.files import claimed, exclusive


@contextmanager
def own(what: str, folder: Path, *, resume: bool) -> Iterator[None]:
    """Hold a results folder before anything slow is done; a new run's has to be empty, and is removed if none begins.

    Raises:
        ResultsError: something else lies there, or another process holds it.
    """
    if resume:
        with exclusive(folder):
            yield
        return
    _require_empty(what, folder)
    with claimed(folder):
        _require_empty(what, folder)  # another process may have come and gone since
        yield


def _require_empty(what: str, folder: Path) -> None:
    if in_use(folder):
        raise ResultsError(
            f"{folder} is not empty; pass --resume to resume the {what} in it, or choose another --out"
        )


def in_use(folder: Path) -> bool:
    """Tell whether something lies in the folder; hidden files are what a killed start leaves."""
    return folder.exists() and any(not path.name.startswith(".") for path in folder.iterdir())
