"""`distrecvae.compare` is the command, called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import distrecvae
from distrecvae.api.comparing import compare, scores_in
from distrecvae.api.results import Comparison
from distrecvae.data.prepared import prepare_data
from distrecvae.errors import ConfigError, ResultsError
from distrecvae.search.comparison import files
from tests.sites import ray_folder

DATA = prepare_data(None, users=100, items=60)


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAY_TMPDIR", str(ray_folder()))


@pytest.mark.ray
@pytest.mark.usefixtures("cluster")
def test_models_are_compared_in_a_table_and_more_can_come() -> None:
    first = compare(DATA, models=["popularity"], trials=1)
    assert first.folder == Path("runs/compare-synthetic")
    assert first.complete
    assert list(first.table["name"]) == ["popularity"]
    second = compare(DATA, models="popularity, ease", trials=1, resume=True)
    assert set(second.table["name"]) == {"popularity", "ease"}
    assert set(second.searches) == {"popularity", "ease"}
    ease = second.searches["ease"]
    assert ease.best is not None
    row = second.table.set_index("name").loc["ease"]
    assert row["test_ndcg_100"] == pytest.approx(ease.best.scores["test"]["ndcg_100"])
    assert distrecvae.evaluate(ease, DATA).mean("ndcg_100") == pytest.approx(row["test_ndcg_100"])
    assert "ease" in second._repr_html_()
    assert "popularity" in repr(second)
    assert str(second) == (second.folder / "summary.txt").read_text(encoding="utf-8").rstrip()

    # What was written down as the call that continues can be pasted.
    namespace: dict[str, Any] = {}
    command = files.read_description(second.folder).command
    exec(command.replace("; ", "; result = ", 1), namespace)  # noqa: S102
    assert isinstance(namespace["result"], Comparison)
    assert namespace["result"].table.equals(first.table)


def test_what_is_wrong_is_refused_before_anything_is_written() -> None:
    with pytest.raises(ConfigError, match="models: 'eease' is not a model"):
        compare(DATA, models=["eease"])
    with pytest.raises(ConfigError, match="models names nothing"):
        compare(DATA, models=[])
    with pytest.raises(ResultsError, match="no runs/compare-synthetic to resume"):
        compare(DATA, resume=True)
    assert list(Path().iterdir()) == []


def test_systems_of_others_are_named_by_a_mapping_or_as_typed() -> None:
    mapping = {"knn": "a.parquet", "bpr": [Path("b.csv"), "c.csv"]}
    assert scores_in(mapping) == ("knn=a.parquet", "bpr=b.csv", "bpr=c.csv")
    assert scores_in(["knn=a.parquet"]) == ("knn=a.parquet",)
    assert scores_in("knn=a.parquet") == ("knn=a.parquet",)
    with pytest.raises(ConfigError, match=r"'a\.parquet' is not NAME=PATH"):
        compare(DATA, models=["ease"], scores=["a.parquet"])
    with pytest.raises(ConfigError, match=r"^seeds 1: one seed tells nothing"):
        compare(DATA, models=["ease"], seeds=1)


def test_there_is_no_table_before_a_search_is_over() -> None:
    nothing = Comparison(Path("runs/x"), False, "Interrupted <here>", {})
    with pytest.raises(ResultsError, match="resume=True"):
        _ = nothing.table
    assert "&lt;here&gt;" in nothing._repr_html_()
    assert "not over" in repr(nothing)
