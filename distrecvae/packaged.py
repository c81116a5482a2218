"""Where the files that ship with the package lie, and what is meant as one's name rather than as a path."""

from __future__ import annotations

import importlib.resources
from importlib.resources.abc import Traversable
from pathlib import Path

import distrecvae

PACKAGED_FOLDERS = ("search_spaces", "configs", "cluster")
"""Folders that ship with the package: inside it where it is installed, beside it in a checkout."""
PROJECT_FILES = ("pyproject.toml", "constraints.txt", "README.md", "LICENSE")
"""Files that the package is built by: in `project_files` of an installed one, beside it in a checkout."""

_SUFFIXES = (".yaml", ".yml", ".json")


def is_path(source: str) -> bool:
    """Tell whether `source` is meant as a path, not as a name: a separator, or the end .yaml, .yml or .json."""
    return source.endswith(_SUFFIXES) or "/" in source or "\\" in source


def packaged_names(kind: str) -> tuple[str, ...]:
    """Return the names of the files of a folder that ships with the package, sorted, without their suffix."""
    names = {entry.name for folder in _folders(kind) for entry in folder.iterdir()}
    return tuple(sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml")))


def packaged_file(kind: str, name: str) -> Traversable | None:
    """Return the file of that name in a folder that ships with the package, or None."""
    for folder in _folders(kind):
        entry = folder / f"{name}.yaml"
        if entry.is_file():
            return entry
    return None


def built_from(part: str) -> Path:
    """Return where a part that the package is built from lies on this machine.

    Args:
        part: one of `PROJECT_FILES` or `PACKAGED_FOLDERS`, or "distrecvae", the package itself.
    """
    package = Path(distrecvae.__file__).resolve().parent
    checkout = _checkout()
    if checkout is not None:
        return checkout / part
    if part == package.name:
        return package
    return package / part if part in PACKAGED_FOLDERS else package / "project_files" / part


def _folders(kind: str) -> list[Traversable]:
    # A wheel carries the folders inside the package; in a checkout they lie beside it.
    folders: list[Traversable] = [importlib.resources.files("distrecvae") / kind]
    checkout = _checkout()
    if checkout is not None:
        folders.append(checkout / kind)
    return [folder for folder in folders if folder.is_dir()]


def _checkout() -> Path | None:
    """Return the checkout that the package is in, or None where it is installed."""
    above = Path(distrecvae.__file__).resolve().parents[1]
    return above if (above / "pyproject.toml").is_file() else None
