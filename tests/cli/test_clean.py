"""`distrecvae clean`, as it is typed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from distrecvae.cli import main
from tests import ROOT


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["clean", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_it_says_what_may_go_and_removes_it_only_with_yes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine"
    shutil.copytree(ROOT / "tests" / "kept" / "search-2", mine)
    states = list(mine.glob("trials/*/state.safetensors"))
    assert run(str(mine)) == 0
    assert "2 checkpoints of ended trials" in capsys.readouterr().out
    assert all(state.exists() for state in states)
    assert run(str(mine), "--yes") == 0
    assert "removed" in capsys.readouterr().out
    assert not any(state.exists() for state in states)
    assert run(str(tmp_path)) == 2
    assert "holds no search" in capsys.readouterr().err


def test_at_a_uri_it_says_what_may_go_there(capsys: pytest.CaptureFixture[str]) -> None:
    # It took s3://bucket/runs/mine for a folder s3:/bucket/runs/mine.
    assert run("s3://bucket/runs/mine", "--yes") == 2
    said = capsys.readouterr().err
    assert "s3://bucket/runs/mine: `clean` removes from a folder of this machine" in said
    assert "trials/*/state.safetensors" in said
