"""The files of a table, made again from a folder, and those of several data sets as one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from distrecvae.errors import ConfigError, ResultsError
from distrecvae.search.comparison import views
from distrecvae.search.comparison.kept import write_table
from tests.search.comparison.rows import row
from tests.search.comparison.tables import rows_of, table


def folder(place: Path, data: str, seed: int, names: str = "abc", metric: str = "ndcg_100") -> Path:
    place.mkdir()
    write_table(place, table(data, *rows_of(seed, names), metric=metric))
    return place


def test_the_views_of_one_are_made_from_its_folder_alone_and_the_same_each_time(tmp_path: Path) -> None:
    where = folder(tmp_path / "one", "ml-1m", 0)
    (found,) = views.tables_of([where])
    written = views.write_views(where, found)
    first = {path.name: path.read_bytes() for path in written}
    assert set(first) == {
        "comparison.csv", "comparison.md", "comparison.tex", "comparison.png", "comparison_tests.csv",
    }  # fmt: skip
    views.write_views(tmp_path / "other", views.tables_of([where])[0])
    for name, content in first.items():
        assert (tmp_path / "other" / name).read_bytes() == content, name


def test_another_metric_may_decide_and_an_unknown_one_is_refused(tmp_path: Path) -> None:
    where = folder(tmp_path / "one", "ml-1m", 0)
    (found,) = views.tables_of([where], "recall@20")
    assert found.metric == "recall_20"
    with pytest.raises(ConfigError, match=r"metric='mrr' is not among what .* has of users: ndcg_100"):
        views.tables_of([where], "mrr")
    with pytest.raises(ConfigError, match="do not all have mrr"):
        views.columns_of([found], "ndcg@100,mrr")
    assert views.columns_of([found], "recall@20,ndcg@100") == ("recall_20", "ndcg_100")
    assert views.columns_of([found], None) == ("ndcg_100", "recall_20", "recall_50")


def test_several_become_one_table_with_ranks_and_a_diagram(tmp_path: Path) -> None:
    folders = [
        folder(tmp_path / name, name, seed, names)
        for seed, (name, names) in enumerate([("x", "abcd"), ("y", "abc"), ("z", "acb")])
    ]
    tables = views.tables_of(folders)
    written = views.write_several(tmp_path / "out", tables, views.columns_of(tables, "ndcg@100"))
    assert {path.name for path in written} == {
        "comparison.csv", "comparison.md", "comparison.tex", "ranks.png", "ranks.pdf",
    }  # fmt: skip
    ranks = views.ranks_of(tables)
    assert ranks is not None
    assert set(ranks.names) == {"a", "b", "c"}, "d is not in every comparison"
    means = np.array(
        [[each.test.mean("ndcg_100") for each in sorted(t.rows, key=lambda r: r.name)[:3]] for t in tables]
    )
    wanted = (means[:, :, None] <= means[:, None, :]).sum(axis=2).mean(axis=0)
    assert dict(zip(ranks.names, ranks.mean, strict=True)) == pytest.approx(
        dict(zip("abc", wanted, strict=True))
    )
    frame = pd.read_csv(tmp_path / "out" / "comparison.csv")
    assert len(frame) == 4 + 3 + 3
    line = frame[(frame["data"] == "y") & (frame["name"] == "c")].iloc[0]
    own = rows_of(1)
    assert line["behind"] == pytest.approx(own[0].test.mean("ndcg_100") - own[2].test.mean("ndcg_100"))
    markdown = (tmp_path / "out" / "comparison.md").read_text()
    assert "| d |" in markdown
    assert views.several_text(tables) in markdown


def test_the_same_data_twice_and_different_choices_are_refused(tmp_path: Path) -> None:
    one, two = (folder(tmp_path / name, "ml-1m", seed) for seed, name in enumerate(("one", "two")))
    with pytest.raises(ResultsError, match=r"two and .*one are of the same data"):
        views.tables_of([one, two])
    other = folder(tmp_path / "other", "netflix", 0, metric="recall_20")
    with pytest.raises(ConfigError, match="chosen by ndcg_100 and recall_20; say with --metric"):
        views.tables_of([one, other])
    assert [each.metric for each in views.tables_of([one, other], "ndcg@100")] == ["ndcg_100"] * 2


def test_data_sets_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_table(tmp_path / name, table("data", *rows_of(0), fingerprint=name))
    found = views.tables_of([tmp_path / "one", tmp_path / "two"])
    assert [each.data for each in found] == ["one", "two"]


def test_fewer_than_two_models_in_common_are_not_ranked(tmp_path: Path) -> None:
    tables = [table("x", *rows_of(0, "ab")), table("y", *rows_of(1, "bc"))]
    assert views.ranks_of(tables) is None
    assert "nothing to rank" in views.several_text(tables)
    written = views.write_several(tmp_path, tables, ["ndcg_100"])
    assert not any("ranks" in path.name for path in written)


def test_nothing_in_common_is_refused() -> None:
    bare = replace(row("a", 0.1, np.ones(3)))
    other = replace(bare, test=replace(bare.test, per_user={"hit_5": np.ones(3)}))
    with pytest.raises(ConfigError, match="no metric in common"):
        views.columns_of([table("x", bare), table("y", other)], None)


def test_one_is_shown_as_the_comparison_showed_it() -> None:
    text = views.one_text(table("x", *rows_of(0)))
    assert text.splitlines()[0].split()[:2] == ["valid", "test"]
