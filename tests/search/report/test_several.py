"""Several searches beside each other: who leads, what cannot be compared, all of them on one axis."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from distrecvae.search.report.data import SearchResults
from distrecvae.search.report.several import names_of, overview
from tests.search.report.made import best_scores, group_scores, made_results, made_trial


def searched(name: str, *values: float, **more: object) -> SearchResults:
    """Return a search of one trial with these scores after 4, 8, ... passes and 1, 2, ... seconds."""
    curve = [(4 * k, value, float(k)) for k, value in enumerate(values, 1)]
    results = made_results(made_trial(0, max(values, default=None), curve=curve), **more)  # type: ignore[arg-type]
    return replace(results, folder=Path("runs") / name)


def test_a_row_a_search_leads_to_its_part_of_the_page_and_the_leader_is_named() -> None:
    scores = best_scores(0, group_scores(0.3), group_scores(0.25))
    one, two = (
        searched("one", 0.1, 0.3, scores=scores),
        searched("two", 0.2, 0.31, status="running", trials=5),
    )
    said = overview([one, two], ["one", "two"], ["s0-", "s1-"])
    assert said.words == ["On validation users two leads with NDCG@100 0.3100."]
    assert said.table.links == ("s0-search", "s1-search")
    rows = [dict(zip(said.table.head, row, strict=True)) for row in said.table.rows]
    assert [(row["search"], row["status"], row["trials"]) for row in rows] == [
        ("one", "finished", "1 of 1"),
        ("two", "running", "1 of 5"),
    ]
    assert [row["test"] for row in rows] == ["0.2500 ± 0.0100", "-"]
    assert [row["passes"] for row in rows] == ["8", "8"]


def test_scores_of_other_data_and_by_other_metrics_are_not_put_beside_each_other() -> None:
    one, two = searched("one", 0.1, 0.3), searched("two", 0.2, 0.5, metric="recall_20")
    dataset = replace(two.described.dataset, fingerprint="other")
    two = replace(two, described=replace(two.described, dataset=dataset))
    said = overview([one, two], ["one", "two"], ["s0-", "s1-"])
    assert "2 different data sets" in said.words[0]
    assert "different metrics" in said.words[1]
    assert not any("leads" in each for each in said.words)
    assert set(said.by_id()) == {
        f"together-{by}-{metric}" for by in ("time", "passes") for metric in ("ndcg_100", "recall_20")
    }
    assert [line["name"] for line in said.by_id()["together-time-recall_20"]["data"]] == ["two"]


def test_lines_are_the_best_so_far_on_an_axis_that_shows_what_each_gained() -> None:
    one = searched("one", 0.01, 0.3, 0.29, 0.32)
    two = replace(searched("two", 0.02, 0.25), trials=(*searched("two", 0.02, 0.25).trials,))
    said = overview([one, two], ["one", "two"], ["s0-", "s1-"]).by_id()
    lines = {line["name"]: line for line in said["together-passes-ndcg_100"]["data"]}
    assert (lines["one"]["x"], lines["one"]["y"]) == ([4, 8, 12, 16], [0.01, 0.3, 0.3, 0.32])
    low, high = said["together-time-ndcg_100"]["layout"]["yaxis"]["range"]
    assert 0.02 < low < 0.25 < 0.32 < high


def test_many_searches_are_told_apart_by_colour_and_then_by_dashes() -> None:
    many = [searched(f"s{k}", 0.1, 0.2 + k / 100) for k in range(20)]
    names = names_of(many)
    figure = overview(many, names, [f"s{k}-" for k in range(20)]).by_id()["together-time-ndcg_100"]
    assert len({(line["line"]["color"], line["line"]["dash"]) for line in figure["data"]}) == 20


@pytest.mark.parametrize(
    ("folders", "expected"),
    [(["runs/a", "runs/b"], ["a", "b"]), (["x/a", "y/a"], ["x/a", "y/a"]), (["a", "b/a"], ["a", "b/a"])],
)
def test_names_are_as_short_as_tells_them_apart(folders: list[str], expected: list[str]) -> None:
    searches = [replace(searched("x", 0.1, 0.2), folder=Path(folder)) for folder in folders]
    assert names_of(searches) == expected


def test_a_search_without_a_score_is_there_all_the_same() -> None:
    nothing = searched("nothing")
    said = overview([nothing, nothing], ["a", "b"], ["s0-", "s1-"])
    assert said.words == ["No search has a score yet."]
    assert said.table.rows[0][6] == "-"
