"""Owns the command lines that a search writes down and shows: what made it, what goes on with it."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path


def resume_command(command: str, folder: Path) -> str:
    """Return the command line that goes on with what `command` began in `folder`."""
    going_on = {"--resume", "--resume-or-start"} & set(command.split())
    parts = command if going_on else f"{command} --resume"
    named = any(part.split("=")[0] in ("--out", "--name") for part in parts.split())
    return parts if named else f"{parts} --out {folder}"


def command_line() -> str:
    """Return what was typed, for `search.json` and the resume hint."""
    program = Path(sys.argv[0])
    module = {"distrecvae": "python -m distrecvae", "search": "python -m distrecvae.search"}
    start = module.get(program.parent.name, "distrecvae") if program.name == "__main__.py" else "distrecvae"
    return shlex.join([*start.split(), *sys.argv[1:]])
