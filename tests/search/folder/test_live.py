"""What is known of a running search beside its ledger is written whole, read if it is sound, and gone at the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from distrecvae.layout import LIVE_FILE
from distrecvae.search.folder.live import Live, read_live, remove_live, write_live


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read_live(tmp_path) is None
    live = Live(elapsed_s=5.0, to_go=(1.0, 2.0, 3.0), paused=True, doing={"3": "training"})
    write_live(tmp_path, live)
    assert read_live(tmp_path) == live
    assert 0 <= live.age_s < 60
    remove_live(tmp_path)
    remove_live(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "[]", '{"elapsed_s": "a"}', '{"elapsed_s": 1.0, "at": "yesterday"}'])
def test_what_is_damaged_tells_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / LIVE_FILE).write_text(text, encoding="utf-8")
    assert read_live(tmp_path) is None
