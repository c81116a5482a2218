"""The documentation site has every page; `.ci/run` builds it, strictly, where its extra is installed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests import ROOT

EXAMPLE = ROOT / "docs" / "example"


@pytest.fixture(scope="module")
def settings() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    return loaded


def listed(nav: Any) -> Iterator[str]:
    """Yield the pages that a navigation names."""
    if isinstance(nav, str):
        yield nav
    else:
        for part in nav.values() if isinstance(nav, dict) else nav:
            yield from listed(part)


def test_every_page_of_docs_is_in_the_navigation(settings: dict[str, Any]) -> None:
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    pages = {page for page in pages if not page.startswith("example/")}
    assert "search.md" in pages
    assert pages <= set(listed(settings["nav"]))


def test_no_page_is_in_the_navigation_twice(settings: dict[str, Any]) -> None:
    pages = list(listed(settings["nav"]))
    assert len(pages) == len(set(pages))


def test_warnings_are_errors_and_nothing_is_fetched(settings: dict[str, Any]) -> None:
    assert settings["strict"] is True
    assert settings["theme"]["font"] is False


def test_the_recorded_search_is_small() -> None:
    # It is committed, and what its report is made of: not a place for models or states.
    sizes = {path.name: path.stat().st_size for path in EXAMPLE.rglob("*") if path.is_file()}
    assert {"ledger.jsonl", "search.json"} <= sizes.keys()
    assert sum(sizes.values()) < 300_000
