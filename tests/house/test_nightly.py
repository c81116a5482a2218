"""A test waits for the night only where another one, which does not, holds the same: its mark says which."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests import ROOT
from tests.conftest import pytest_collection_modifyitems

NAMED = re.compile(r"(?:(tests/[\w/]+\.py)::)?\b(test_\w+)(?!\w*\.py)")


def marks_in(path: Path) -> dict[str, ast.Call | None]:
    """Return a file's tests by name, each with its mark, where it has one."""
    found: dict[str, ast.Call | None] = {}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            marks = [
                mark
                for mark in node.decorator_list
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.nightly"
            ]
            found[node.name] = marks[0] if marks else None
    return found


def nightly() -> Iterator[tuple[Path, str, str]]:
    """Yield each such test's file, its name, and its mark's reason."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for name, mark in marks_in(path).items():
            if mark is not None:
                (reason,) = (ast.literal_eval(given) for given in mark.args)
                yield path, name, str(reason)


def test_its_reason_names_tests_that_stay() -> None:
    seen = 0
    for path, name, reason in nightly():
        names = NAMED.findall(reason)
        assert names, f"{name}: which test holds the same by day?"
        for place, other in names:
            marks = marks_in(ROOT / place if place else path)
            assert other in marks, f"{name}: there is no {other}"
            assert marks[other] is None, f"{name}: {other} is nightly, too"
        seen += 1
    assert seen > 0
    text = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert text.count("@pytest.mark.nightly(") == seen + 1, "one of these is not a function's decorator"


@pytest.mark.parametrize(
    ("typed", "named", "left"),
    [("", ["tests"], ["day"]), ("not ray", ["tests"], ["day"]), ("nightly", ["tests"], ["day", "night"]),
     ("", ["tests/whole/test_x.py::night"], ["day", "night"])],
)  # fmt: skip
def test_it_waits_unless_it_is_asked_for(typed: str, named: list[str], left: list[str]) -> None:
    # `-m nightly` itself leaves out the other.
    def item(name: str) -> Any:
        return SimpleNamespace(
            name=name, path=Path("tests/x.py"), get_closest_marker=lambda mark: mark if name == "night" else None
        )  # fmt: skip

    deselected: list[Any] = []
    hook = SimpleNamespace(pytest_deselected=lambda items: deselected.extend(items))
    config: Any = SimpleNamespace(option=SimpleNamespace(markexpr=typed), args=named, hook=hook)
    items = [item("day"), item("night")]
    pytest_collection_modifyitems(config, items)
    assert [each.name for each in items] == left
    assert [each.name for each in deselected] == ([] if "night" in left else ["night"])
