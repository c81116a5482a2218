"""Owns where results go: the folder that was named, or the next one under runs/."""

from __future__ import annotations

import glob
import re
from pathlib import Path

from distrecvae.errors import ConfigError, ResultsError

RUNS = Path("runs")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


def results_folder(
    out: Path | None, name: str | None, default: str, *, resume: bool, must_exist: bool | None = None
) -> Path:
    """Return `out`, or runs/NAME; without either a new run gets the next number, a resumed one is the latest.

    Args:
        out: the folder itself.
        name: of a folder below runs/.
        default: the name where neither is given.
        resume: whether the run goes on with an earlier one.
        must_exist: whether there has to be an earlier one; None for `resume`.

    Raises:
        ConfigError: both are given, or a URI.
        ResultsError: there is nothing to resume.
    """
    if out is not None and name is not None:
        raise ConfigError(
            f"--out {out} and --name {name}: only one of them can say where results go; leave one out"
        )
    if out is not None and _URI.match(str(out)):
        raise ConfigError(
            f"--out {out}: results are added to as the search runs, which object storage cannot do; give a folder on"
            " storage that all nodes mount, and copy it there at the end"
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
