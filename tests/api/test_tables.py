"""`distrecvae.tables` is the command, called: what it makes, where, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

import distrecvae
from distrecvae.api.results import Comparison
from distrecvae.api.tables import SEVERAL, Tables, make_tables, tables
from distrecvae.errors import ConfigError, ResultsError
from distrecvae.layout import COMPARISON_FILE
from distrecvae.search.comparison.kept import write_table
from tests.search.comparison.tables import rows_of, table


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("x", "y", "z")):
        Path(name).mkdir()
        write_table(Path(name), table(name, *rows_of(seed)))
        (Path(name) / COMPARISON_FILE).touch()
    return [Path("x"), Path("y"), Path("z")]


def test_one_comparisons_tables_go_where_it_lies_or_elsewhere() -> None:
    made = distrecvae.tables("x")
    assert isinstance(made, Tables)
    assert {path.parent for path in made.files} == {Path("x")}
    assert "x/comparison.tex" in str(made)
    assert made.text.splitlines()[0].split()[0] == "valid"
    there = tables(Comparison(Path("x"), True, "", {}), out="paper", metrics="recall@20")
    assert {path.parent for path in there.files} == {Path("paper")}
    assert "NDCG@100 &" not in Path("paper/comparison.tex").read_text()
    assert "NDCG@100 &" in Path("x/comparison.tex").read_text()


def test_several_are_one_table_of_their_own() -> None:
    made = tables(["x", "y", Path("z")], metric="recall@20")
    assert {path.parent for path in made.files} == {SEVERAL}
    assert "Mean ranks by test Recall@20 over 3 data sets" in str(made)
    assert (SEVERAL / "ranks.pdf").exists()


def test_what_is_wrong_is_refused_and_nothing_is_written() -> None:
    with pytest.raises(ResultsError, match="absent has no table to make again"):
        tables("absent")
    with pytest.raises(ConfigError, match="no comparison to make a table of"):
        tables([])
    with pytest.raises(ResultsError, match="y is another comparison's folder"):
        tables("x", out="y")
    with pytest.raises(ResultsError, match="x is a comparison's own folder"):
        tables(["x", "y"], out="x")
    with pytest.raises(ConfigError, match="metric='mrr' is not among"):
        make_tables([Path("x")], metric="mrr")
    with pytest.raises(ConfigError, match="do not all have mrr"):
        tables(["x", "y"], metrics="mrr")
    assert not list(Path().glob("*/comparison.*"))
