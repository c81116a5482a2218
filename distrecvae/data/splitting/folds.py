"""Folds of users: where the data sets of all of them lie."""

from __future__ import annotations

from pathlib import Path


def fold_name(number: int) -> str:
    """Return the folder of a fold, counted from 1, in the folder of all of them."""
    return f"fold-{number}"


def fold_folders(folder: Path) -> list[Path]:
    """Return the folders of folds in a folder, in their order; empty where there are none."""
    found: list[Path] = []
    while (following := folder / fold_name(len(found) + 1)).is_dir():
        found.append(following)
    return found
