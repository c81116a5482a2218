"""`distrecvae list`, as it is typed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from distrecvae.cli import main
from tests import ROOT


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["list", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_searches_are_listed_in_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one", "another, longer"):
        shutil.copytree(ROOT / "tests" / "kept" / "search-2", tmp_path / "runs" / name)
    (tmp_path / "runs" / "one" / "search.json").write_text("{}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert run() == 0
    said = capsys.readouterr()
    head, *lines = said.out.splitlines()
    assert head.split() == ["folder", "model", "data", "status", "trials", "best", "age", "size"]
    assert sorted(line[: head.index("model")].strip() for line in lines) == [
        "runs/another, longer",
        "runs/one",
    ]
    assert any("finished  6/6" in line and "NDCG@100 0.3198" in line for line in lines)
    assert "search.json" in said.err, "what is wrong with the damaged one"


def test_a_folder_without_one_says_so_and_no_folder_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(str(tmp_path)) == 0
    assert capsys.readouterr().out == f"{tmp_path}: no search in it\n"
    assert run(str(tmp_path / "none")) == 2
    assert "is not a folder" in capsys.readouterr().err
