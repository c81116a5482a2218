"""The command lines that a search writes down and shows: what made it, what resumes it."""

from __future__ import annotations

import shlex
import sys
from os import PathLike
from pathlib import Path
from typing import Any

from distrecvae.layout import BEST_FOLDER, CONFIG_FILE
from distrecvae.storage.uri import below, default_copy, is_uri, parted

BLEND_IT = "blend its trials"
"""The label of the command that makes one model of a search's best trials; other searches' may be added to it."""

_PYTHON = "import distrecvae; "


def resume_command(command: str, folder: Path | str) -> str:
    """Return the command line that resumes what `command` began in `folder`, which may be a URI."""
    if command.startswith(_PYTHON):
        return command  # it resumes what it began, as it is
    options = {part.split("=")[0] for part in command.split()}
    if "--extend" in options:
        return command
    parts = command if options & {"--resume", "--resume-or-start"} else f"{command} --resume"
    return parts if options & {"--out", "--name"} else f"{parts} --out {shlex.quote(str(folder))}"


def model_commands(command: str, folder: Path | str, data: str, here: Path | None = None) -> dict[str, str]:
    """Return what can be done with the model of the search in `folder`, typed or called as the search was.

    Args:
        command: the command line, or the call, of the search.
        folder: its results folder, or the URI that it is mirrored at.
        data: its data set's.
        here: the working copy of a URI: `train` and `blend` are for folders of this machine.
    """
    data = _shown(data)
    again = (
        f"runs/{parted(folder)[1]}-train" if isinstance(folder, str) and is_uri(folder) else f"{folder}-train"
    )
    trials = folder if here is None else here
    best = below(str(folder), BEST_FOLDER)
    config = below(best, CONFIG_FILE)
    if command.startswith(_PYTHON):
        return {
            "score it again": python_call("evaluate", model=best, data=data),
            "train it again": python_call("train", data=data, config=config, out=again),
            BLEND_IT: python_call("blend", runs=trials, data=data),
        }
    return {
        "score it again": shlex.join(["distrecvae", "evaluate", "--model", best, "--data", data]),
        "train it again": shlex.join(
            ["distrecvae", "train", "--data", data, "--config", config, "--out", again]
        ),
        BLEND_IT: shlex.join(["distrecvae", "blend", str(trials), "--data", data]),
    }


def _shown(place: str) -> str:
    """Return a path as short as it can be typed here: relative, where it lies below this folder."""
    path, here = Path(place), Path.cwd()
    return str(path.relative_to(here)) if path.is_absolute() and path.is_relative_to(here) else place


def command_line() -> str:
    """Return what was typed, for `search.json` and the resume hint."""
    program = Path(sys.argv[0])
    module = {"distrecvae": "python -m distrecvae", "search": "python -m distrecvae.search"}
    start = module.get(program.parent.name, "distrecvae") if program.name == "__main__.py" else "distrecvae"
    return shlex.join([*start.split(), *sys.argv[1:]])


def python_extend(folder: Path, uri: str | None = None) -> str:
    """Return the call that resumes the search in `folder`, which may be a URI's working copy."""
    if uri is None:
        return python_call("search", extend=folder)
    elsewhere = {} if folder == default_copy(uri) else {"working_copy": folder}
    return python_call("search", extend=uri, **elsewhere)


def python_call(function: str, **arguments: Any) -> str:
    """Return a call of one of our public functions that can be pasted into any Python."""
    values = {name: str(value) if isinstance(value, PathLike) else value for name, value in arguments.items()}
    written = ", ".join(f"{name}={value!r}" for name, value in values.items())
    return f"{_PYTHON}distrecvae.{function}({written})"
