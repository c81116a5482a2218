"""What the docs say of files is so: a module that moved takes its mentions along."""

from __future__ import annotations

import re
from collections.abc import Iterable
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


def rows_of(page: str) -> set[str]:
    """Return the names that stand in the first cell of a table's row, a metric's without its cut-off."""
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    cells = [line.split("|")[1] for line in lines if line.startswith("|")]
    return {name.removesuffix("@k") for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def what_has_a_name() -> Iterable[tuple[str, tuple[str, ...]]]:
    """Yield each page and the names that must have a row there."""
    from distrecvae.metrics import KINDS
    from distrecvae.search.core.config import SAMPLERS
    from distrecvae.search.core.rules import RULES
    from distrecvae.training import registry

    yield "docs/models.md", registry.models()
    yield "docs/protocol.md", KINDS
    yield "docs/spaces.md", (*registry.models(), *SAMPLERS, *RULES)
    yield "docs/search.md", (*SAMPLERS, *RULES)


def test_what_can_be_named_has_a_row_where_users_look_it_up() -> None:
    # A model once had its row in one table and was in neither of the others: whoever adds one cannot know of them all.
    lack = {
        page: missing
        for page, names in what_has_a_name()
        if (missing := [name for name in names if name not in rows_of(page)])
    }
    assert not lack, f"each needs a row that begins with | `its name` |, of a metric | `its name@k` |: {lack}"


def test_the_readme_names_every_model() -> None:
    from distrecvae.training import registry

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    lack = [name for name in registry.models() if f"`{name}`" not in text]
    assert not lack, f"README.md's list of what --model takes lacks {lack}"


def test_mentions_are_found() -> None:
    assert NAMED_TEST.findall("held by `tests/data/test_split.py::test_x`.") == [
        ("tests/data/test_split.py", "test_x")
    ]
    assert MENTION.findall("see `search/core/ledger.py`, `tests/data/test_split.py::x`") == [
        "search/core/ledger.py", "tests/data/test_split.py"
    ]  # fmt: skip
