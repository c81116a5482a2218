"""`distrecvae.report` writes the page that the command writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from distrecvae.api.reporting import report
from distrecvae.errors import ConfigError
from distrecvae.search.space.space import SearchSpace
from tests.search.reported import make_search


def test_one_page_on_one_search_or_on_several(tmp_path: Path) -> None:
    for name in ("one", "two"):
        make_search(tmp_path / name, space=SearchSpace.load("recvae-demo"), trials=2, max_passes=8)
    assert report(tmp_path / "one") == tmp_path / "one" / "report.html"
    both = report(str(tmp_path / "one"), tmp_path / "two", out=tmp_path / "both.html")
    assert both == tmp_path / "both.html"
    assert "2 searches: one, two" in Path(both).read_text(encoding="utf-8")
    with pytest.raises(ConfigError, match="needs the results folder"):
        report()
