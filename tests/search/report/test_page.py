"""The report says what the folder holds, for every kind of search; a browser draws it without a complaint."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from dataclasses import replace
from html import escape, unescape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jinja2 import UndefinedError

from distrecvae.search import course
from distrecvae.search.report import prose
from distrecvae.search.report.axes import axes
from distrecvae.search.report.data import SearchResults, read_results
from distrecvae.search.report.page import report_page, write_report
from distrecvae.search.space.space import SearchSpace
from tests import HANGS_AFTER_S
from tests.search.described import TYPED
from tests.search.report.made import RECVAE
from tests.search.reported import make_search, publish

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def level(_config: dict[str, Any], _passes: int) -> float:
    return 0.2


def lost(_config: dict[str, Any], _passes: int) -> float:
    return math.nan


def figures_of(page: str) -> dict[str, Any]:
    """Return the figures that a page hands to plotly.js, by the id of their place."""
    found = re.search(r"^const figures = (.*);$", page, re.M)
    assert found is not None
    figures: dict[str, Any] = json.loads(found[1])
    assert set(figures) == set(re.findall(r'<div class="figure" id="([^"]+)">', page))
    return figures


def words_of(page: str) -> str:
    """Return a page's text without plotly.js, tags and entities."""
    body = page[page.index("<body>") :]
    return unescape(re.sub(r"<script>.*?</script>|<[^>]+>", " ", body, flags=re.S))


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
    assert "src=" not in page[page.index("<body>") :], "the page loads nothing"
    assert page.index("</script>") > 4_000_000, "plotly.js is in the page, whole"
    assert write_report(folder).read_text(encoding="utf-8") == page


def test_what_others_wrote_is_text_in_the_page_and_never_markup(results: SearchResults) -> None:
    page = report_page(results)
    body = page[page.index("<body>") :]
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
    assert "<b>" not in page[page.index("<body>") :]
    assert page.count("</script>") == 2
    assert f"<title>{escape(f'recvae: search in {odd}', quote=False)}</title>" in unquoted(page)


def unquoted(page: str) -> str:
    """Return a page with its quotes as they are: inside text they need no entity, and may have one."""
    return page.replace("&#39;", "'").replace("&#34;", '"')


def test_no_name_of_the_template_is_left_to_chance(
    results: SearchResults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prose, "scores_table", lambda _: SimpleNamespace(head=[], rows=[["<i>"]]))
    assert "<td>&lt;i&gt;</td>" in report_page(results)
    monkeypatch.setattr(prose, "scores_table", lambda _: SimpleNamespace(head=[]))
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

    monkeypatch.setattr("distrecvae.search.report.page.write_report", broken)
    line = course._report(tmp_path)
    assert (
        line == f"The report was not written (ValueError: no such colour); try: distrecvae report {tmp_path}"
    )


@pytest.fixture
def browser(tmp_path: Path) -> list[str]:
    if CHROMIUM is None:
        pytest.skip("needs chromium")
    quiet = [
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
    ]
    return [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", *quiet, "--disable-sync",
        f"--user-data-dir={tmp_path / 'chromium'}", "--enable-logging=stderr", "--virtual-time-budget=20000",
    ]  # fmt: skip


@pytest.mark.slow
def test_a_browser_draws_every_figure_without_a_complaint(folder: Path, browser: list[str]) -> None:
    page = write_report(folder)
    n_figures = len(figures_of(page.read_text(encoding="utf-8")))
    done = subprocess.run(
        [*browser, "--dump-dom", page.resolve().as_uri()],
        capture_output=True,
        text=True,
        check=True,
        timeout=HANGS_AFTER_S,
    )
    complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert complaints == []
    assert f'data-drawn="{n_figures}"' in done.stdout
    assert done.stdout.count('class="plot-container plotly"') == n_figures
