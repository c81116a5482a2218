"""`distrecvae tables` takes one comparison or several, and what is wrong is one line and status 2."""

from __future__ import annotations

from pathlib import Path

import pytest

from distrecvae.cli import main
from distrecvae.search.comparison.kept import write_table
from tests.search.comparison.tables import rows_of, table


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("x", "y")):
        Path(name).mkdir()
        write_table(Path(name), table(name, *rows_of(seed)))


def run(*options: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(["tables", *options])
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


def test_one_and_several(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("x", "--metrics", "ndcg@100,recall@20") == 0
    assert "x/comparison.tex" in capsys.readouterr().out
    assert run("x", "y", "--out", "paper", "--metric", "recall@50") == 0
    out = capsys.readouterr().out
    assert "Mean ranks by test Recall@50 over 2 data sets" in out
    assert sorted(path.name for path in Path("paper").iterdir()) == [
        "comparison.csv", "comparison.md", "comparison.tex", "ranks.pdf", "ranks.png",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["absent"], "error: absent has no table to make again (rows.json is missing)"),
        (["x", "x"], "error: x and x are of the same data"),
        (["x", "--metric", "ndgc@100"], "did you mean 'ndcg'"),
        (["x", "--metrics", "mrr"], "do not all have mrr"),
    ],
)
def test_what_is_wrong_is_one_line(
    options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*options) == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1


def test_without_a_folder_it_says_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 2
    assert "Missing argument 'DIR...'" in capsys.readouterr().err
