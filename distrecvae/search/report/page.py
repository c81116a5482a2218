"""Owns a search's report: one page that says what was found, shows why, and needs no network to be read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from plotly.offline import get_plotlyjs

from distrecvae.files import write_text
from distrecvae.layout import REPORT_FILE
from distrecvae.search.core.study import CONFIG_KEY
from distrecvae.search.report import figures as draw
from distrecvae.search.report import parameter_figures as draw_parameters
from distrecvae.search.report import prose
from distrecvae.search.report.axes import axes, triangles
from distrecvae.search.report.data import SearchResults, read_results
from distrecvae.search.report.importance import FEWEST_TRIALS, N_SHUFFLES, Importance, importances
from distrecvae.training import registry

_MOST_LISTED = 10


class _Page:
    """Sections in order, and the figures in them by id."""

    def __init__(self) -> None:
        self.html: list[str] = []
        self.figures: dict[str, Any] = {}

    def add(self, *parts: str) -> None:
        """Add HTML."""
        self.html += parts

    def section(self, title: str, *about: str) -> None:
        """Begin a section, with sentences on what it shows."""
        self.add(f"<h2>{escape(title)}</h2>", *(prose.paragraph(text, "about") for text in about))

    def show(self, figures: Mapping[str, Any], kind: str = "") -> None:
        """Place figures beside each other where there is room: by id."""
        self.add(f'<div class="figures {kind}">')
        for name, figure in figures.items():
            self.figures[name] = json.loads(figure.to_json())
            self.add(f'<div class="figure" id="{escape(name)}"></div>')
        self.add("</div>")


def write_report(folder: Path) -> Path:
    """Write `report.html` into the folder of a search, finished or not, and return its path.

    Raises:
        ResultsError: there is no search in `folder`, it has no trial yet, or a file is damaged.
    """
    path = folder / REPORT_FILE
    write_text(path, report_page(read_results(folder)))
    return path


def report_page(results: SearchResults) -> str:
    """Return the report as HTML; plotly.js, which draws its figures, is in it (4.8 MB)."""
    page = _Page()
    page.add('<div class="verdict">', *map(prose.paragraph, prose.verdict(results)), "</div>")
    page.add(prose.scores_table(results))
    for section in (_configuration, _course, _curves, _parameters, _weights, _trouble, _trials, _made):
        section(page, results)
    title = f"{results.settings['model']}: search in {results.folder.name}"
    template = files("distrecvae.search.report").joinpath("report.html").read_text(encoding="utf-8")
    return Template(template).substitute(
        title=escape(title),
        headline=prose.headline(results),
        body="\n".join(page.html),
        figures=_for_script(page.figures),
        plotly=get_plotlyjs(),
    )


def _for_script(value: Any) -> str:
    # A reason or a file's name may hold "</script>".
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _configuration(page: _Page, results: SearchResults) -> None:
    if found := prose.parameters_table(results):
        page.section("The best configuration")
        page.add(found)


def _course(page: _Page, results: SearchResults) -> None:
    page.section("How the search went", "The best validation score so far; a dot is a new best.")
    if not any(trial.curve for trial in results.trials):
        page.add(prose.paragraph("No trial has reported yet."))
    elif len(results.trials) == 1:
        page.add(prose.paragraph("There is one trial: nothing to improve on."))
    else:
        page.show({"over-time": draw.over_time(results), "over-passes": draw.over_passes(results)})


def _curves(page: _Page, results: SearchResults) -> None:
    if registry.solved_at_once(results.settings["model"]):
        page.section(
            "Learning curves",
            "The model is solved in one pass: there are no curves, and nothing to stop early.",
        )
        return
    rungs, scheduler = results.description["plan"]["rungs"], results.settings["scheduler"]
    about = "A line is a trial, its validation score after each cycle."
    if rungs:
        about += f" At a rung {scheduler} lets the best 1 in {results.settings['reduction_factor']} go on."
    page.section("Learning curves", about)
    if any(trial.curve for trial in results.trials):
        page.show({"curves": draw.curves(results, rungs)}, "one")
    page.add(prose.paragraph(prose.saving(results)))
    unspent = prose.unspent_passes(results)
    if any(unspent):
        page.show({"passes": draw.passes_by_trial(results, unspent)}, "one")


def _parameters(page: _Page, results: SearchResults) -> None:
    listed = axes(results.space)
    if not listed:
        page.section(
            "Parameters", "Nothing is searched: the model has no parameters, or the space fixes them all."
        )
        return
    page.section("Which parameters mattered")
    scored = results.scored
    found = importances(
        results.space.parameters,
        [trial.suggested for trial in scored],
        [trial.score or 0.0 for trial in scored],
        [trial.suggested.user_attrs[CONFIG_KEY] for trial in scored],
    )
    page.add(prose.paragraph(_importance_words(found, len(scored)), "about"))
    if found:
        page.show({"importances": draw_parameters.importance_bars(found)}, "one")
    if len(scored) < 2:
        page.add(prose.paragraph(f"Trials with a score: {len(scored)}. There is nothing to compare yet."))
        return
    page.section(
        "All trials at once",
        "A line is a trial; it meets each row at the trial's value. The darker, the better its score.",
    )
    page.show({"parallel": draw_parameters.parallel_coordinates(results, listed)}, "one")
    page.section(
        "One parameter at a time",
        "A dot is a trial. Hollow: stopped early, with the score it had then, which is not its last word."
        " Star: the best. Diamond: the start. Proposals crowd where scores were good: a full region need not be good.",
    )
    page.show({f"by-{i}": draw_parameters.scatter(results, axis) for i, axis in enumerate(listed)}, "small")


def _importance_words(found: Sequence[Importance], n_scored: int) -> str:
    if not found:
        return f"Too early to say: it takes {FEWEST_TRIALS} trials with a score that differ, and there are {n_scored}."
    clear = ", ".join(each.name for each in found if each.stands_out)
    return (
        "How far the best quarter of the trials (at least five) has other values than all of them: PED-ANOVA, from"
        f" {n_scored} trials. Blue: more than each of {N_SHUFFLES} random shuffles of the scores gave, which chance"
        f" does once in {N_SHUFFLES + 1} times; grey: no more than chance."
        f" Blue here: {clear or 'none'}."
    )


def _weights(page: _Page, results: SearchResults) -> None:
    if len(results.scored) < 2:
        return
    for name, columns in triangles(results.space).items():
        page.section(
            f"{name} on their triangle",
            "The three weights sum to one: a corner is all of one, the middle a third of each. The darker, the better;"
            " star: the best, diamond: the start.",
        )
        page.show({f"triangle-{name}": draw_parameters.triangle(results, columns)}, "narrow")


def _trouble(page: _Page, results: SearchResults) -> None:
    page.section("Failed and diverged trials")
    page.add(prose.trouble_table(results) or prose.paragraph("None."))


def _trials(page: _Page, results: SearchResults) -> None:
    listed = results.scored[:_MOST_LISTED]
    if not listed:
        return
    page.section(f"The best {len(listed)} trials" if len(listed) > 1 else "The trial")
    page.add(prose.trials_table(results, listed))
    if len(results.trials) > len(listed):
        rest = prose.trials_table(results, results.trials)
        page.add(f"<details><summary>All {len(results.trials)} trials</summary>{rest}</details>")


def _made(page: _Page, results: SearchResults) -> None:
    page.section("What made it")
    page.add('<div class="made">', prose.provenance(results), "</div>")
