"""Where the YAML files that ship with the package lie, and what is meant as one's name rather than as a path."""

from __future__ import annotations

import importlib.resources
from importlib.resources.abc import Traversable
from pathlib import Path

import distrecvae

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


def _folders(kind: str) -> list[Traversable]:
    # A wheel carries the folders inside the package; in a checkout they lie beside it.
    checkout = Path(distrecvae.__file__).resolve().parents[1]
    folders: list[Traversable] = [importlib.resources.files("distrecvae") / kind]
    if (checkout / "pyproject.toml").is_file():
        folders.append(checkout / kind)
    return [folder for folder in folders if folder.is_dir()]
