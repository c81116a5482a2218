"""What the docs say of files is so: a module that moved takes its mentions along."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import ROOT
from tests.house import PACKAGE

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
MENTION = re.compile(r"`((?:[a-z_]+/)+(?:test_)?[a-z_]+\.py)")
NAMED_TEST = re.compile(r"`(tests/[a-z_/]+\.py)::(test_[a-z0-9_]+)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_module_that_a_page_mentions_is_there(page: Path) -> None:
    for mention in MENTION.findall(page.read_text(encoding="utf-8")):
        assert (PACKAGE / mention).is_file() or (ROOT / mention).is_file(), mention


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_that_a_page_names_is_there(page: Path) -> None:
    for path, name in NAMED_TEST.findall(page.read_text(encoding="utf-8")):
        assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), f"{path}::{name}"


def test_mentions_are_found() -> None:
    assert NAMED_TEST.findall("held by `tests/data/test_split.py::test_x`.") == [
        ("tests/data/test_split.py", "test_x")
    ]
    assert MENTION.findall("see `search/core/ledger.py`, `tests/data/test_split.py::x`") == [
        "search/core/ledger.py", "tests/data/test_split.py"
    ]  # fmt: skip
