"""Finds what can be removed from a search's folder: checkpoints that nothing needs, and what killed processes left."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from distrecvae.errors import ConfigError
from distrecvae.files import exclusive, held, size_bytes
from distrecvae.layout import STATE_FILE, trial_folder
from distrecvae.metrics import on_validation
from distrecvae.search.core.ledger import read_records
from distrecvae.search.core.records import Status
from distrecvae.search.folder.search_json import FINISHED, read_description
from distrecvae.words import counted, mib

TEMPORARY = (".*.part", ".ray")
"""What only a running process has a use for, by its name in a folder."""


@dataclass(frozen=True)
class Dispensable:
    """What can be removed from a search's folder.

    Attributes:
        folder: the search's.
        temporary: files and folders that killed processes left.
        checkpoints: state files of trials that ended; a trial of which nothing is left is trained again where it is
            needed: to resume it, or for `best/` where a search that grows keeps its best.
        size_bytes: of all of them.
        removed: whether they are gone.
    """

    folder: Path
    temporary: tuple[Path, ...]
    checkpoints: tuple[Path, ...]
    size_bytes: int
    removed: bool = False

    def __str__(self) -> str:
        """Return it in words."""
        if not (self.temporary or self.checkpoints):
            return f"{self.folder}: nothing to remove."
        if self.removed:
            return f"{self.folder}: removed {self.size_bytes:,} bytes."
        parts = []
        if self.checkpoints:
            what = counted(len(self.checkpoints), "checkpoint", "checkpoints")
            parts.append(f"{what} of ended trials ({mib(sum(map(size_bytes, self.checkpoints)))})")
        if self.temporary:
            what = counted(len(self.temporary), "temporary file", "temporary files")
            parts.append(f"{what} ({mib(sum(map(size_bytes, self.temporary)))})")
        return (
            f"{self.folder}: {' and '.join(parts)}, {self.size_bytes:,} bytes, can be removed; --yes removes them."
            " A trial whose checkpoint is gone is trained again where it is needed."
        )


def dispensable(folder: Path) -> Dispensable:
    """Return what can be removed, and remove nothing. Of a search that runs or is not over, it is little or nothing.

    Raises:
        ResultsError: there is no search in `folder`, or it is damaged.
    """
    return _find(folder, alone=not held(folder))


def require_here(place: Path | str) -> Path:
    """Return the folder whose content may go.

    Raises:
        ConfigError: it is a URI.
    """
    if isinstance(place, str):
        raise ConfigError(
            f"{place}: `clean` removes from a folder of this machine; what may go there of a search that is over are"
            f" the objects trials/*/{STATE_FILE}, with the store's own tool"
        )
    return place


def clean(folder: Path) -> Dispensable:
    """Remove what can be removed from a search that does not run, and return what it was.

    Raises:
        ResultsError: there is no search in `folder`, it is damaged, or it runs.
    """
    _find(folder, alone=False)  # a folder that is not a search's is not touched, not by a lock either
    with exclusive(folder):
        found = _find(folder, alone=True)
        for path in (*found.temporary, *found.checkpoints):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    return replace(found, removed=True)


def _find(folder: Path, *, alone: bool) -> Dispensable:
    described = read_description(folder, remedy="give the results folder of a search")
    records = read_records(folder, on_validation(described.settings.metric))
    temporary: list[Path] = []
    checkpoints: list[Path] = []
    if alone:
        for place in (folder, *sorted((folder / "trials").glob("*"))):
            temporary += [path for pattern in TEMPORARY for path in sorted(place.glob(pattern))]
        if described.status == FINISHED:
            ended = (record.number for record in records.values() if record.status is not Status.RUNNING)
            states = (trial_folder(folder, number) / STATE_FILE for number in ended)
            checkpoints = [path for path in states if path.exists()]
    size = sum(map(size_bytes, [*temporary, *checkpoints]))
    return Dispensable(folder, tuple(temporary), tuple(checkpoints), size)
