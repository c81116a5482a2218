"""The tests mirror the package: what a module promises stands in the one file that bears its name."""

from __future__ import annotations

import ast
from pathlib import Path

from tests import ROOT
from tests.house import MODULES, place_of

TESTS = ROOT / "tests"
SPANNING = ("simulation", "whole", "faults", "cluster", "house", "soft_cuda")
"""Folders of tests that span rooms: the program as users meet it, faults, clusters, the structure, the soft device."""


def mirrored() -> dict[str, str]:
    """Return, for each module that promises anything, where its tests belong."""
    named = (place_of(path) for path in MODULES if path.name not in ("__init__.py", "__main__.py"))
    return {place: str(Path(place).with_name(f"test_{Path(place).name}")) for place in named}


def test_every_module_has_its_tests() -> None:
    assert [place for place, wanted in mirrored().items() if not (TESTS / wanted).is_file()] == []


def test_every_test_file_is_a_modules_or_lies_where_tests_span_rooms() -> None:
    files = {path.relative_to(TESTS) for path in TESTS.rglob("test_*.py")}
    strays = [
        path for path in files if path.parts[0] not in SPANNING and str(path) not in mirrored().values()
    ]
    assert strays == []


def test_a_modules_tests_import_it() -> None:
    # A file of the right name that tests something else would satisfy the two above. Commands may be run as typed.
    for place, wanted in mirrored().items():
        module = "distrecvae." + place.removesuffix(".py").replace("/", ".")
        text = (TESTS / wanted).read_text(encoding="utf-8")
        names = {
            f"{node.module}.{alias.name}"
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.ImportFrom) and node.module
            for alias in node.names
        }
        typed = place.startswith("cli/") and "distrecvae.cli.main" in names
        assert typed or any(name == module or name.startswith(f"{module}.") for name in names), wanted


def test_every_test_file_has_tests() -> None:
    for path in TESTS.rglob("test_*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name.startswith("test_")]
        assert found, path
