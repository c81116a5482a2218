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

import numpy as np
import pytest
from jinja2 import UndefinedError

from distrecvae.errors import ResultsError
from distrecvae.search import course
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.report import figures, parameter_figures, prose
from distrecvae.search.report.axes import Axis, axes
from distrecvae.search.report.data import SearchResults, read_results
from distrecvae.search.report.page import report_page, write_report
from distrecvae.search.report.parameter_figures import log_ticks
from distrecvae.search.space.space import SearchSpace
from tests.search.reported import make_search, publish, rising

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
RECVAE = SearchSpace.load("recvae-demo")


def troubled(config: dict[str, Any], passes: int) -> float:
    if config["learning_rate"] > 2.2e-3:
        return math.nan
    if config["dropout"] > 0.6:
        raise RuntimeError("no memory </script><b>left</b>")
    return rising(config, passes)


def level(_config: dict[str, Any], _passes: int) -> float:
    return 0.2


def lost(_config: dict[str, Any], _passes: int) -> float:
    return math.nan


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished search of 20 trials, some stopped, one diverged or failed at least."""
    folder = tmp_path_factory.mktemp("searches") / "toy"
    make_search(folder, space=RECVAE, curve=troubled, trials=20, max_passes=40, sampler="random")
    publish(folder, 3, gain_valid=0.05, gain_test=0.04, error=0.01)
    return folder


@pytest.fixture(scope="module")
def results(folder: Path) -> SearchResults:
    return read_results(folder)


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


def test_the_verdict_gives_the_gain_with_its_error_and_what_remains_of_it_on_test(
    results: SearchResults,
) -> None:
    first, second = prose.verdict(results)
    assert "Trial 3 is the best of 20: NDCG@100 0.3000 ± 0.0100 on 59 test users" in first
    assert "+0.0400 ± 0.0100 against the starting configuration" in first
    assert "users, more than twice" in first
    assert "+0.0500 ± 0.0100; on the test users it is the same within two standard errors" in second


@pytest.mark.parametrize(
    ("gain_valid", "gain_test", "expected"),
    [
        (
            0.06,
            0.015,
            "not more than twice the standard error. The starting configuration is as good a choice.",
        ),
        (0.06, 0.015, "clearly less: part of the gain on validation was luck of the choice"),
        (0.03, 0.03, "the same within two standard errors"),
        (0.03, 0.08, "clearly more"),
    ],
)
def test_the_verdict_tells_luck_from_gain(
    tmp_path: Path, gain_valid: float, gain_test: float, expected: str
) -> None:
    make_search(tmp_path, space=RECVAE, trials=4, max_passes=12)
    publish(tmp_path, 3, gain_valid, gain_test, error=0.01)
    assert expected in " ".join(prose.verdict(read_results(tmp_path)))


def test_passes_not_spent_are_those_of_stopped_trials_to_the_end_of_their_budget(
    results: SearchResults,
) -> None:
    unspent = prose.unspent_passes(results)
    stopped = 0
    for trial, saved in zip(results.trials, unspent, strict=True):
        cycle = trial.curve[0].passes if trial.curve else 0
        if trial.status == "stopped":
            whole = max(n for n in range(0, 41) if n % cycle == 0)
            assert saved == whole - trial.curve[-1].passes
            stopped += 1
        else:
            assert saved == 0
    assert stopped >= 5
    share = sum(unspent) / (sum(unspent) + sum(t.passes for t in results.trials))
    assert f"stopped {stopped} of 20 trials" in prose.saving(results)
    assert f"{sum(unspent)}, {100 * share:.0f}% of" in prose.saving(results)


def test_a_trial_ended_by_the_time_budget_is_no_saving_of_the_scheduler(results: SearchResults) -> None:
    trials = tuple(replace(trial, reason="time budget of 60 s") for trial in results.trials)
    assert sum(prose.unspent_passes(replace(results, trials=trials))) == 0
    assert "No trial was stopped by a rule" in prose.saving(replace(results, trials=trials))


def test_the_best_so_far_is_the_running_maximum_over_all_passes(results: SearchResults) -> None:
    figure = figures.over_passes(results).to_dict()
    line = figure["data"][0]
    counted = [t for t in results.trials if t.status not in ("diverged", "failed")]
    values = sorted((p.at_s, t.number, p.passes, p.value) for t in counted for p in t.curve)
    np.testing.assert_allclose(line["y"], np.maximum.accumulate([value for *_, value in values]))
    assert line["x"][-1] == sum(t.passes for t in counted)
    assert (np.diff(line["x"]) > 0).all()
    assert np.diff([p.at_s for p in results.trials[0].curve]) == pytest.approx(1.5)


def test_the_triangle_shows_the_weights_of_every_trial_with_a_score(results: SearchResults) -> None:
    columns = [f"mixture_weights.{name}" for name in ("standard", "previous", "wide")]
    drawn = parameter_figures.triangle(results, columns).to_dict()["data"]
    points = {tuple(p) for trace in drawn for p in zip(trace["a"], trace["b"], trace["c"], strict=True)}
    assert points == {tuple(trial.values[column] for column in columns) for trial in results.scored}
    assert all(sum(p) == pytest.approx(1) for p in points)


def test_each_parameter_has_a_scatter_of_score_by_value(results: SearchResults) -> None:
    for axis in axes(results.space):
        drawn = parameter_figures.scatter(results, axis).to_dict()["data"]
        points = sorted((str(x), y) for trace in drawn for x, y in zip(trace["x"], trace["y"], strict=True))
        expected = [(t.values[axis.name], t.score) for t in results.scored if t.values[axis.name] is not None]
        assert points == sorted((str(x), y) for x, y in expected)


def test_values_lie_on_their_axis_as_they_are_searched() -> None:
    log = Axis("rate", "rate", 1e-4, 1e-2, log=True)
    assert [log.place(v) for v in (1e-4, 1e-3, 1e-2, None)] == pytest.approx([0, 0.5, 1, None])
    kinds = Axis("kind", "kind", 0, 2, choices=("a", "none", "true"))
    assert [kinds.place(v) for v in ("a", None, True, "other")] == [0, 0.5, 1, None]
    assert Axis("fixed", "fixed", 3, 3).place(3) == 0.5
    assert log_ticks(2e-4, 2e-3) == [2e-4, 5e-4, 1e-3, 2e-3]
    assert log_ticks(1e-3, 10) == [1e-3, 1e-2, 0.1, 1, 10]


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
        "distrecvae search --data data/toy",
        "optuna",
        "fingerprint abc",
        "loss is nan",
        "All 20 trials",
    ):
        assert expected in words
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


def test_a_search_whose_every_trial_failed_has_a_report(tmp_path: Path) -> None:
    make_search(tmp_path, space=RECVAE, curve=lost, trials=3, status="interrupted")
    words = words_of(report_page(read_results(tmp_path)))
    assert "No trial has a score." in words
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


def test_scores_of_an_earlier_end_are_not_taken_for_a_search_that_goes_on(tmp_path: Path) -> None:
    make_search(tmp_path, space=RECVAE, trials=6, max_passes=12, status="running", stop_after=10)
    publish(tmp_path, 2, 0.1, 0.1, 0.01)
    assert read_results(tmp_path).published is None


def test_folders_without_a_search_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"holds no search .* give the results folder of a search"):
        read_results(tmp_path)
    (tmp_path / "compare.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ResultsError, match="holds a comparison; give the folder of one of its searches"):
        read_results(tmp_path)
    (tmp_path / "compare.json").unlink()
    make_search(tmp_path, space=RECVAE, trials=2, max_passes=8)
    (tmp_path / "ledger.jsonl").unlink()
    with pytest.raises(ResultsError, match=r"ledger\.jsonl is missing"):
        read_results(tmp_path)
    Ledger(tmp_path, "valid/ndcg_100")
    with pytest.raises(ResultsError, match="has no trial yet"):
        read_results(tmp_path)


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
        timeout=120,
    )
    complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert complaints == []
    assert f'data-drawn="{n_figures}"' in done.stdout
    assert done.stdout.count('class="plot-container plotly"') == n_figures
