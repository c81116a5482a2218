"""`distrecvae report`: the page lies in the search's folder, and its path is what is printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from distrecvae.cli import main, report
from distrecvae.search.folder.search_json import Status
from distrecvae.search.space.space import SearchSpace
from tests.search.reported import make_search


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(["report", *arguments])
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


@pytest.mark.parametrize("status", ["finished", "interrupted", "running"])
def test_a_searchs_page_is_written_whether_it_is_over_or_not(
    status: Status, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    space = SearchSpace.load("recvae")
    make_search(tmp_path / "mine", space=space, status=status, trials=2, max_passes=12, min_passes=4)
    monkeypatch.chdir(tmp_path)
    assert run("mine") == 0
    # A path as the folder was typed, alone in its line: `xdg-open $(distrecvae report mine)`.
    assert capsys.readouterr().out == "mine/report.html\n"
    assert Path("mine/report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_folder_that_holds_no_search_is_refused_and_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        assert run(str(folder)) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith(f"error: {folder} holds no search")
        assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_folder_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 2
    assert "RESULTS" in capsys.readouterr().err
    assert [parameter.name for parameter in report.command.params] == ["results", "out"]


def test_several_searches_go_to_one_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("one", "two"):
        make_search(tmp_path / name, space=SearchSpace.load("recvae-demo"), trials=2, max_passes=8)
    assert run(str(tmp_path / "one"), str(tmp_path / "two"), "--out", str(tmp_path / "both.html")) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'both.html'}\n"
    assert "2 searches: one, two" in (tmp_path / "both.html").read_text(encoding="utf-8")
