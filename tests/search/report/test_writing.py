"""Where pages are written, of one search, of several, of a comparison."""

from __future__ import annotations

from pathlib import Path

import pytest

from distrecvae.errors import ResultsError
from distrecvae.search.report.writing import write_report, write_reports
from tests.search.report.made import RECVAE
from tests.search.reported import make_search


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("written") / "runs"
    for name in ("one", "two", "apart/three"):
        (runs / name).parent.mkdir(parents=True, exist_ok=True)
        make_search(runs / name, space=RECVAE, trials=2, max_passes=8)
    return runs


def test_one_search_has_its_page_in_its_folder(runs: Path) -> None:
    assert write_report(runs / "one") == runs / "one" / "report.html"
    assert "search in one" in (runs / "one" / "report.html").read_text(encoding="utf-8")


def test_several_have_theirs_in_the_folder_around_them(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(runs.parent)
    written = write_reports([Path("runs/one"), Path("runs/two")])
    assert str(written) == "runs/report.html", "as relative as what was asked for"
    assert "2 searches: one, two" in Path(written).read_text(encoding="utf-8")
    assert str(write_reports([Path("runs/one"), Path("runs/apart/three")])) == "runs/report.html"
    assert not (runs / "two" / "report.html").exists()


def test_it_goes_where_it_is_told_to(runs: Path, tmp_path: Path) -> None:
    assert write_reports([runs / "one"], tmp_path / "mine.html") == tmp_path / "mine.html"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.html"]
    for out, said in ((tmp_path, "is a folder"), (tmp_path / "no" / "x.html", "has no folder")):
        with pytest.raises(ResultsError, match=f"{said}.*name a file"):
            write_reports([runs / "one"], out)


def test_a_comparisons_page_has_its_searches_that_have_begun(tmp_path: Path) -> None:
    (tmp_path / "compare.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ResultsError, match="none of whose searches has started; wait for one"):
        write_reports([tmp_path])
    for name in ("recvae", "again"):
        make_search(tmp_path / name, space=RECVAE, trials=2, max_passes=8)
    make_search(tmp_path / "waits", space=RECVAE, trials=2, max_passes=8)
    (tmp_path / "waits" / "ledger.jsonl").unlink()
    page = Path(write_reports([tmp_path]))
    assert page == tmp_path / "report.html"
    assert "2 searches: again, recvae" in page.read_text(encoding="utf-8")


def test_a_place_without_a_search_is_named(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=f"{tmp_path} holds no search"):
        write_reports([runs / "one", tmp_path])
