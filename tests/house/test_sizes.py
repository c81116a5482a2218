"""Small rooms: a module that nobody can read at once is split."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.house import MODULES, PACKAGE, place_of

MOST_LINES, MOST_FILES = 300, 20


@pytest.mark.parametrize("path", MODULES, ids=place_of)
def test_a_module_has_at_most_300_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_a_room_has_at_most_20_files() -> None:
    folders = {path.parent for path in MODULES} - {PACKAGE}
    assert [str(folder) for folder in folders if len(list(folder.glob("*.py"))) > MOST_FILES] == []


def test_models_are_models() -> None:
    from distrecvae.training import registry

    files = {path.stem for path in (PACKAGE / "models").glob("*.py")} - {"__init__"}
    assert files == {name.replace("-", "_") for name in registry.models()}
