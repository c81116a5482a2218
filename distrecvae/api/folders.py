"""Decides where results go: the folder that was named, the next one under runs/, or a URI's working copy."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import NamedTuple

from distrecvae.errors import ConfigError, ResultsError
from distrecvae.storage.store import Store
from distrecvae.storage.uri import default_copy, is_uri, require_place
from distrecvae.storage.working_copy import settle

RUNS = Path("runs")
_PATH_OF_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
PATIENCE_S = 120.0
"""How long a run that is resumed waits for a store that does not answer."""


class Place(NamedTuple):
    """Where results go.

    Attributes:
        folder: on this machine.
        uri: where that is mirrored; None for nowhere.
    """

    folder: Path
    uri: str | None = None


def results_place(
    out: Path | str | None,
    name: str | None,
    default: str,
    *,
    resume: bool,
    must_exist: bool | None = None,
    working_copy: Path | None = None,
    tell: Callable[[str], object] = lambda _: None,
) -> Place:
    """Return where results go: a folder, as `results_folder` finds it, or a URI and its working copy.

    When a run is resumed, the working copy is brought up to date with the URI, or fetched from it where it is gone.

    Args:
        out: a folder, or a URI as text.
        name: of a folder below runs/.
        default: the name where neither is given.
        resume: whether the run continues with an earlier one, where there is one.
        must_exist: whether there has to be an earlier one; None for `resume`.
        working_copy: of a URI; None for the usual place.
        tell: is told what is fetched.

    Raises:
        ConfigError: both are given, or a working copy of none.
        ResultsError: there is nothing to resume, or the working copy and the mirror have diverged.
        StorageError: what lies at the URI cannot be read.
    """
    if isinstance(out, str) and is_uri(out):
        _only_one(out, name)
        require_place(out)
        place = Place(default_copy(out) if working_copy is None else working_copy, out.rstrip("/"))
        if resume:
            settle(place.folder, Store(out), tell, PATIENCE_S)
        return place
    if working_copy is not None:
        raise ConfigError(
            f"--working-copy {working_copy} without a URI in --out: a folder is no copy of anything; leave it out"
        )
    folder = None if out is None else Path(out)
    return Place(results_folder(folder, name, default, resume=resume, must_exist=must_exist))


def results_folder(
    out: Path | None, name: str | None, default: str, *, resume: bool, must_exist: bool | None = None
) -> Path:
    """Return `out`, or runs/NAME; without either a new run gets the next number, a resumed one is the latest.

    Args:
        out: the folder itself.
        name: of a folder below runs/.
        default: the name where neither is given.
        resume: whether the run continues with an earlier one.
        must_exist: whether there has to be an earlier one; None for `resume`.

    Raises:
        ConfigError: both are given, or a URI as a path.
        ResultsError: there is nothing to resume.
    """
    _only_one(out, name)
    if out is not None and _PATH_OF_URI.match(str(out)):
        raise ConfigError(
            f"--out {out} was a URI before it became a path; give it as text, such as s3://bucket/runs/mine"
        )
    if out is not None:
        return out
    if name is not None:
        return RUNS / name
    pattern = re.compile(re.escape(default) + r"(?:-(\d+))?")
    taken = {}
    for path in RUNS.glob(f"{glob.escape(default)}*"):
        match = pattern.fullmatch(path.name)
        if match and path.is_dir() and any(path.iterdir()):
            taken[int(match[1] or 1)] = path
    if resume and (taken or must_exist is not False):
        if not taken:
            raise ResultsError(
                f"there is no {RUNS / default} to resume; leave out --resume, or say where with --out"
            )
        return taken[max(taken)]
    number = max(taken, default=0) + 1
    return RUNS / (default if number == 1 else f"{default}-{number}")


def require_folder(out: str | PathLike[str] | None, command: str) -> Path | None:
    """Return the results folder of a command that mirrors nothing.

    Raises:
        ConfigError: at a URI.
    """
    if out is not None and is_uri(out):
        raise ConfigError(
            f"--out {out}: `{command}` writes into a folder of this machine, only `search` mirrors it at a URI; give a"
            " folder, and copy it there at the end"
        )
    return None if out is None else Path(out)


def _only_one(out: Path | str | None, name: str | None) -> None:
    if out is not None and name is not None:
        raise ConfigError(
            f"--out {out} and --name {name}: only one of them can say where results go; leave one out"
        )
