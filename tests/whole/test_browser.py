"""What people see, in a real browser: the report, and what notebooks show of searches; nothing asks for a network."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

import distrecvae
from distrecvae.api.results import SearchResult
from distrecvae.search.report import page as page_of_reports
from distrecvae.search.report.looks import DARK
from distrecvae.search.report.writing import write_report, write_reports
from tests.browser import NARROW, WIDE, View, chromium, window
from tests.search.report.made import RECVAE, troubled
from tests.search.reported import make_search, publish

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished search of 20 trials, some stopped, some diverged or failed; its report is written."""
    folder = tmp_path_factory.mktemp("seen") / "toy"
    make_search(folder, space=RECVAE, curve=troubled, trials=20, max_passes=40, sampler="random")
    publish(folder, 3, gain_valid=0.05, gain_test=0.04, error=0.01)
    write_report(folder)
    return folder


def drawn(view: View) -> int:
    """Wait until every figure that is to be seen is drawn, and return how many there are."""
    view.page.wait_for_function(
        "[...document.querySelectorAll('main .figure')].every(each => (each.closest('details') || {open: true}).open"
        " === false || each.classList.contains('js-plotly-plot'))"
    )
    return int(view.page.locator("main .js-plotly-plot").count())


@pytest.mark.parametrize(
    ("size", "scheme", "place"), [(WIDE, "light", ""), (NARROW, "dark", "#trial-3"), (WIDE, "dark", "#all-trials")]
)  # fmt: skip
def test_every_figure_is_drawn_nothing_complains_nothing_hinders(
    browser: Browser,
    folder: Path,
    size: tuple[int, int],
    scheme: Literal["light", "dark"],
    place: str,
) -> None:
    with window(browser, folder / "report.html", size=size, scheme=scheme, place=place) as view:
        assert drawn(view) == view.page.evaluate("Object.keys(figures).length") > 10
        view.page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
        assert view.hindrances() == []
        assert (view.complaints, view.asked) == ([], [])
        # Nothing but tables and figures, which scroll in their own places, is wider than the window.
        assert view.page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_in_the_dark_each_colour_of_a_figure_is_its_counterpart(browser: Browser, folder: Path) -> None:
    figures = "[...document.querySelectorAll('main .js-plotly-plot')]"
    used = f"{figures}.map(each => JSON.stringify([each.data, each.layout]))"
    with window(browser, folder / "report.html", scheme="dark") as view:
        drawn(view)
        colours = set(re.findall(r'"(#[0-9a-f]{6})"', " ".join(view.page.evaluate(used))))
        assert colours <= set(DARK.values())
        assert not colours & (set(DARK) - set(DARK.values()))
        view.page.emulate_media(color_scheme="light")
        view.page.wait_for_function(
            "JSON.stringify(document.getElementById('curves').layout).includes('#222222')"
        )
        view.page.emulate_media(color_scheme="dark", media="print")
        view.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        view.page.wait_for_function(
            "JSON.stringify(document.getElementById('curves').layout).includes('#222222')"
        )


def test_a_trial_that_is_clicked_on_says_why(browser: Browser, folder: Path) -> None:
    said = str(distrecvae.why(folder, trial=3))
    with window(browser, folder / "report.html") as view:
        drawn(view)
        page, panel = view.page, view.page.locator("#trial")
        assert panel.is_hidden()
        page.locator("#best-trials ~ .wide a", has_text=re.compile("^3$")).first.click()
        panel.wait_for(state="visible")
        assert page.locator("#trial-title").inner_text() == "Trial 3"
        shown = " ".join(panel.inner_text().split())
        for sentence in re.split(r"(?<=[.:;]) ", " ".join(said.split("Asked again")[0].split()))[2:]:
            assert sentence in shown
        assert (
            page.evaluate("document.getElementById('trial-curve').data.map(line => line.name)")[-1]
            == "trial 3"
        )
        page.keyboard.press("Escape")
        panel.wait_for(state="hidden")
        assert page.evaluate("document.activeElement.textContent") == "3", "back to where the reader was"
        # A point of a figure is the same as a link.
        page.locator("#over-time .scatterlayer .points path").last.click(force=True)
        panel.wait_for(state="visible")
        assert page.evaluate("location.hash").startswith("#trial-")
        page.locator("#trial-worse").click()
        page.wait_for_function("document.getElementById('trial-better').disabled === false")
        assert view.hindrances() == []
        assert view.complaints == []


def test_several_searches_unfold_and_their_figures_are_drawn_then(
    browser: Browser, folder: Path, tmp_path: Path
) -> None:
    make_search(tmp_path / "other", space=RECVAE, trials=3, max_passes=20)
    page = write_reports([folder, tmp_path / "other"], tmp_path / "both.html")
    with window(browser, Path(page)) as view:
        assert drawn(view) == 2
        view.page.locator("a", has_text="other").click()
        view.page.wait_for_function(
            "document.getElementById('s1-curves').classList.contains('js-plotly-plot')"
        )
        view.page.locator("#s1-search a", has_text=re.compile("^2$")).first.click()
        view.page.locator("#trial").wait_for(state="visible")
        assert view.page.locator("#trial-title").inner_text() == "other: Trial 2"
        assert view.hindrances() == []
        assert view.complaints == []


def test_the_page_of_a_running_search_reads_itself_again_where_the_reader_is_until_the_search_is_over(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The pace is set down for the test; how the page goes about it is the same.
    monkeypatch.setattr(page_of_reports, "READ_AGAIN_S", 1)
    folder = tmp_path / "running"
    make_search(folder, space=RECVAE, trials=9, max_passes=40, status="running", stop_after=25)
    path = write_report(folder)
    with window(browser, path) as view:
        drawn(view)
        page = view.page
        page.evaluate("document.getElementById('best-trials').scrollIntoView(); location.hash = 'trial-1'")
        page.evaluate("document.querySelector('#best-trials ~ .wide').scrollLeft = 60")
        page.evaluate("Plotly.relayout('curves', {'yaxis.range[0]': 0.1, 'yaxis.range[1]': 0.2})")
        where = "document.getElementById('best-trials').getBoundingClientRect().top"
        top = page.evaluate(where)
        shutil.rmtree(folder)
        make_search(folder, space=RECVAE, trials=9, max_passes=40, status="running", stop_after=60)
        made = page.evaluate("live.made")
        time.sleep(1.0)  # a second is what its time is written in
        write_report(folder)
        page.wait_for_function(f"live.made !== {json.dumps(made)}")
        drawn(view)
        assert page.evaluate(where) == pytest.approx(top, abs=2), "pixels: figures keep their heights"
        assert page.locator("#trial-title").inner_text() == "Trial 1"
        assert page.evaluate("document.querySelector('#best-trials ~ .wide').scrollLeft") == 60
        assert page.evaluate("document.getElementById('curves').layout.yaxis.range") == [0.1, 0.2]
        # Held, it stays as it is.
        page.locator("#hold").evaluate("button => button.click()")
        page.evaluate("window.marked = true")
        shutil.rmtree(folder)
        make_search(folder, space=RECVAE, trials=9, max_passes=40)
        write_report(folder)
        time.sleep(2.5)
        assert page.evaluate("window.marked") is True
        page.locator("#hold").evaluate("button => button.click()")
        page.wait_for_function("live.every_s === 0")
        assert page.locator("#live").count() == 0
        page.evaluate("window.marked = true")
        time.sleep(2.5)
        assert page.evaluate("window.marked") is True, "the search is over"
        assert view.complaints == []


def _cells(folder: Path) -> dict[str, Callable[[], Any]]:
    return {
        "result": lambda: SearchResult(folder, True, "summary <b>", "ndcg_100"),
        "top": lambda: distrecvae.top(folder),
        "searches": lambda: distrecvae.searches(folder.parent),
    }


def test_what_a_notebook_shows_of_a_search_hinders_nobody(
    browser: Browser, folder: Path, tmp_path: Path
) -> None:
    shown = {name: cell()._repr_html_() for name, cell in _cells(folder).items()}
    body = "".join(f"<section id={name}><h2>{name}</h2>{html}</section>" for name, html in shown.items())
    path = tmp_path / "notebook.html"
    path.write_text(
        f"<!doctype html><html lang=en><meta charset=utf-8><title>n</title><main><h1>n</h1>{body}</main></html>",
        encoding="utf-8",
    )
    with window(browser, path) as view:
        assert view.page.locator("#result table").count() >= 1
        assert "trial" in view.page.locator("#top").inner_text()
        assert view.page.locator("b", has_text="summary").count() == 0
        assert view.hindrances() == []
        assert (view.complaints, view.asked) == ([], [])
