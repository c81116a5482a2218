"""What is private to a library is touched in one module a library, where each touch has a test."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.house import MODULES, place_of

INTERNALS = (
    "search/on_ray/ray_internals.py",
    "search/on_ray/google_cloud.py",  # imported where Google's client is, and there alone
    "search/core/optuna_internals.py",
)
OURS = ("self", "cls")
PUBLIC = ("_asdict", "_exit", "_replace")  # of os and of named tuples: documented, underscore and all


def touches(path: Path) -> list[str]:
    """Return the private names that a module takes from others: imported, or of any object but its own."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = (*node.module.split("."), *(alias.name for alias in node.names))
            found += [name for name in names if is_private(name)]
        elif isinstance(node, ast.Import):
            found += [name for alias in node.names for name in alias.name.split(".") if is_private(name)]
        elif isinstance(node, ast.Attribute) and is_private(node.attr):
            owner = node.value.id if isinstance(node.value, ast.Name) else ""
            if owner not in OURS:
                found.append(f"{owner}.{node.attr}")
    return found


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


@pytest.mark.parametrize("path", MODULES, ids=place_of)
def test_nothing_private_is_touched_outside_of_the_internals(path: Path) -> None:
    found = touches(path)
    assert (
        place_of(path) in INTERNALS or [name for name in found if name.rpartition(".")[2] not in PUBLIC] == []
    )
