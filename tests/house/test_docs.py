"""What the docs say of files is so: a module that moved takes its mentions along."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import ROOT
from tests.house import PACKAGE

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
MENTION = re.compile(r"`((?:[a-z_]+/)+(?:test_)?[a-z_]+\.py)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_module_that_a_page_mentions_is_there(page: Path) -> None:
    for mention in MENTION.findall(page.read_text(encoding="utf-8")):
        assert (PACKAGE / mention).is_file() or (ROOT / mention).is_file(), mention


def test_mentions_are_found() -> None:
    assert MENTION.findall("see `search/core/ledger.py`, `tests/data/test_split.py::x`") == [
        "search/core/ledger.py", "tests/data/test_split.py"
    ]  # fmt: skip
