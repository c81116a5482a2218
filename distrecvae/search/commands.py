"""Owns the command lines that a search writes down and shows: what made it, what goes on with it."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path


def resume_command(command: str, folder: Path) -> str:
    """Return the command line that goes on with what `command` began in `folder`."""
    parts = command if "--resume" in command.split() else f"{command} --resume"
    named = any(part.split("=")[0] in ("--out", "--name") for part in parts.split())
    return parts if named else f"{parts} --out {folder}"


def command_line() -> str:
    """Return what was typed, for `search.json` and the resume hint."""
    program = Path(sys.argv[0]).name
    # `python -m distrecvae search` runs distrecvae/__main__.py, `python -m distrecvae.search` the package's own.
    package = "distrecvae.search" if Path(sys.argv[0]).parent.name == "search" else "distrecvae"
    start = f"python -m {package}" if program == "__main__.py" else "distrecvae"
    return shlex.join([*start.split(), *sys.argv[1:]])
