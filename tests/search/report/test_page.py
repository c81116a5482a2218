"""The report says what the folder holds, for every kind of search; tests/whole/test_browser.py has it drawn."""

from __future__ import annotations

import json
import math
import os
import re
import time
from dataclasses import replace
from html import escape, unescape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jinja2 import UndefinedError

from distrecvae.search.report import current, prose
from distrecvae.search.report.axes import axes
from distrecvae.search.report.data import GIVEN_UP_S, SearchResults, read_results
from distrecvae.search.report.page import report_page
from distrecvae.search.report.writing import write_report
from distrecvae.search.space.space import SearchSpace
from tests.search.described import TYPED
from tests.search.report.made import RECVAE
from tests.search.reported import make_search, publish


def level(_config: dict[str, Any], _passes: int) -> float:
    return 0.2


def lost(_config: dict[str, Any], _passes: int) -> float:
    return math.nan


def figures_of(page: str) -> dict[str, Any]:
    """Return the figures that a page hands to plotly.js, by the id of their place."""
    found = re.search(r"^const figures = (.*);$", page, re.M)
    assert found is not None
    figures: dict[str, Any] = json.loads(found[1])
    assert set(figures) == set(re.findall(r'<div class="figure" id="([^"]+)"', page))
    return figures


def body_of(page: str) -> str:
    """Return a page's body without scripts: plotly.js is one of them."""
    return re.sub(r"<script>.*?</script>", " ", page[page.index("<body>") :], flags=re.S)


def words_of(page: str) -> str:
    """Return a page's text without plotly.js, tags and entities."""
    return unescape(re.sub(r"<[^>]+>", " ", body_of(page)))


def test_the_page_has_every_section_and_its_figures(folder: Path, results: SearchResults) -> None:
    page = report_page(results)
    figures = figures_of(page)
    n_columns = len(axes(RECVAE))
    assert {"over-time", "over-passes", "curves", "passes", "parallel", "triangle-mixture_weights"} < set(
        figures
    )
    assert sum(name.startswith("by-") for name in figures) == n_columns
    words = words_of(page)
    for expected in (
        TYPED,
        "optuna",
        "fingerprint abc",
        "loss is nan",
        "All 20 trials",
    ):
        assert expected in words
    assert results.limits is not None
    assert results.limits.sentences()
    assert all(sentence in words for sentence in results.limits.sentences())
    assert "src=" not in body_of(page), "the page loads nothing"
    assert len(page) - len(body_of(page)) > 4_000_000, "plotly.js is in the page, whole"
    assert write_report(folder).read_text(encoding="utf-8") == page


def test_what_others_wrote_is_text_in_the_page_and_never_markup(results: SearchResults) -> None:
    page = report_page(results)
    body = body_of(page)
    assert "no memory &lt;/script&gt;&lt;b&gt;left&lt;/b&gt;" in body
    assert "<b>left" not in body


def test_what_looks_like_a_template_or_like_markup_is_text_wherever_it_stands(tmp_path: Path) -> None:
    odd = "{{ 7 * 7 }}{% if %}${x} <b>'&amp;\""
    folder = tmp_path / odd
    make_search(folder, space=RECVAE, trials=4, max_passes=12)
    described = json.loads((folder / "search.json").read_text(encoding="utf-8"))
    hostile = described | {"command": f"distrecvae {odd}", "data": f"data/{odd}</script>"}
    (folder / "search.json").write_text(json.dumps(hostile), encoding="utf-8")
    page = report_page(read_results(folder))
    words = words_of(page)
    assert f"recvae: search in {odd}" in words
    assert f"distrecvae {odd}" in words
    assert f"data/{odd}</script> (fingerprint abc)" in words
    assert "<b>" not in body_of(page)
    assert page.count("</script>") == 3
    assert f"<title>{escape(f'recvae: search in {odd}', quote=False)}</title>" in unquoted(page)


def unquoted(page: str) -> str:
    """Return a page with its quotes as they are: inside text they need no entity, and may have one."""
    return page.replace("&#39;", "'").replace("&#34;", '"')


def test_no_name_of_the_template_is_left_to_chance(
    results: SearchResults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        prose,
        "scores_table",
        lambda _: SimpleNamespace(head=[], rows=[["<i>"]], trials=None, links=(), about=""),
    )
    assert "<td>&lt;i&gt;</td>" in report_page(results)
    monkeypatch.setattr(prose, "scores_table", lambda _: SimpleNamespace(head=[], about=""))
    with pytest.raises(UndefinedError, match="rows"):
        report_page(results)


@pytest.mark.parametrize(
    ("space", "settings", "expected"),
    [
        (
            "popularity",
            {"trials": 1, "max_passes": 1},
            ["Nothing is searched", "solved in one pass", "one trial"],
        ),
        ("ease", {"trials": 6, "max_passes": 1}, ["solved in one pass", "Too early to say"]),
        ("recvae-demo", {"trials": 1, "max_passes": 20}, ["There is nothing to compare yet"]),
        (
            "recvae-demo",
            {"trials": 3, "max_passes": 20, "scheduler": "none"},
            ["No trial was stopped by a rule"],
        ),
    ],
)
def test_searches_with_little_to_show_say_so(
    tmp_path: Path, space: str, settings: dict[str, Any], expected: list[str]
) -> None:
    make_search(tmp_path, space=SearchSpace.load(space), curve=level, **settings)
    publish(tmp_path, 0, 0, 0, 0)
    words = words_of(report_page(read_results(tmp_path)))
    for sentence in expected:
        assert sentence in words
    assert "(trial 0) was not beaten" in words


def test_a_figure_of_several_trials_waits_for_a_second_score(tmp_path: Path) -> None:
    def second_is_lost(config: dict[str, Any], _passes: int) -> float:
        return 0.2 if config["learning_rate"] == RECVAE.default_config()["learning_rate"] else math.nan

    make_search(tmp_path, space=RECVAE, curve=second_is_lost, trials=2, max_passes=8, sampler="random")
    results = read_results(tmp_path)
    assert len(results.scored) == 2, "a diverged trial's score is 0"
    alone = replace(results, trials=results.trials[:1])
    several = {"parallel", "by-0", "triangle-mixture_weights"}
    assert several <= set(figures_of(report_page(results)))
    assert not several & set(figures_of(report_page(alone)))


def test_a_search_whose_every_trial_failed_has_a_report(tmp_path: Path) -> None:
    make_search(tmp_path, space=RECVAE, curve=lost, trials=3, status="interrupted")
    words = words_of(report_page(read_results(tmp_path)))
    assert "Every trial diverged: there is no model to publish." in words
    assert words.count("loss is nan") == 3


def test_a_running_search_is_read_without_being_touched(tmp_path: Path) -> None:
    make_search(tmp_path, space=RECVAE, trials=9, max_passes=40, status="running", stop_after=25)
    with (tmp_path / "ledger.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"kind":"report","tri')  # a line that is just being written
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    results = read_results(tmp_path)
    words = words_of(report_page(results))
    assert "The search is running: test users have not been looked at." in words
    assert results.best is not None
    assert f"Best so far is trial {results.best.number}" in words
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_report_that_cannot_be_written_does_not_lose_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(folder: Path) -> Path:
        raise ValueError("no such colour\nmore")

    monkeypatch.setattr("distrecvae.search.report.writing.write_report", broken)
    line = current.written_report(tmp_path)
    assert (
        line == f"The report was not written (ValueError: no such colour); try: distrecvae report {tmp_path}"
    )


def test_only_the_page_of_a_running_search_reads_itself_again(tmp_path: Path) -> None:
    make_search(tmp_path / "runs", space=RECVAE, trials=9, max_passes=40, status="running", stop_after=25)
    make_search(tmp_path / "over", space=RECVAE, trials=3, max_passes=8)
    running, over = read_results(tmp_path / "runs"), read_results(tmp_path / "over")
    assert (running.runs, over.runs) == (True, False)
    assert "This page reads itself again" in words_of(report_page(running))
    assert "This page reads itself again" in words_of(report_page(over, running)), "one of them runs"
    assert "This page reads itself again" not in words_of(report_page(over))
    assert "http-equiv" not in report_page(running), "people can hold it, which a header cannot be"
    # Killed some time ago: nobody holds its folder, nothing was heard of it.
    long_ago = time.time() - GIVEN_UP_S - 60
    os.utime(tmp_path / "runs" / "ledger.jsonl", (long_ago, long_ago))
    killed = read_results(tmp_path / "runs")
    assert not killed.runs
    assert "was killed, or runs where it cannot be seen" in words_of(report_page(killed))


def test_several_searches_have_ids_of_their_own(tmp_path: Path) -> None:
    for name in ("one", "two"):
        make_search(tmp_path / name, space=RECVAE, trials=4, max_passes=12)
    page = report_page(read_results(tmp_path / "one"), read_results(tmp_path / "two"))
    ids = re.findall(r' id="([^"]+)"', body_of(page))
    assert len(ids) == len(set(ids))
    assert {"s0-curves", "s1-curves"} < set(figures_of(page))
    assert set(re.findall(r'href="#([^"]+-search)"', page)) == {"s0-search", "s1-search"} <= set(ids)
    links = set(re.findall(r'href="#(s\d-)trial-(\d+)"', page))
    assert links == {(prefix, str(number)) for prefix in ("s0-", "s1-") for number in range(4)}
