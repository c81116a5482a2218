"""A search's report: one page that says what was found, shows why, and needs no network to be read.

The page is `templates/report.html`; the words that depend on the search come from `prose`, its figures from `drawn`,
what is shown of a trial from `cards`. Several searches share a page: `several` has what they have beside each other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from plotly.offline import get_plotlyjs

from distrecvae.metrics import title_of
from distrecvae.search.report import prose, tables
from distrecvae.search.report.axes import axes, stretched
from distrecvae.search.report.blended import blend_command, blended
from distrecvae.search.report.cards import cards
from distrecvae.search.report.data import SearchResults
from distrecvae.search.report.drawn import drawn, how_much_they_mattered
from distrecvae.search.report.looks import AXIS, BEST, DARK, SEARCHES, SPENT, START, blank_figure
from distrecvae.search.report.several import names_of, overview

READ_AGAIN_S = 20
"""How often the page of a search that runs reads itself again; less often while nothing in it changes."""
_MOST_LISTED = 10


def report_page(*searches: SearchResults) -> str:
    """Return the report of one search, or of several, as HTML; plotly.js, which draws figures, is in it (4.8 MB)."""
    first, alone = searches[0], len(searches) == 1
    running = any(results.runs for results in searches)
    prefixes = [""] if alone else [f"s{place}-" for place in range(len(searches))]
    names = [""] if alone else names_of(searches)
    parts = [_one(results, at, name) for results, at, name in zip(searches, prefixes, names, strict=True)]
    together = None if alone else overview(searches, names, prefixes)
    figures = {id_: figure for part in parts for id_, figure in part["drawn"].by_id(part["at"]).items()}
    return _template().render(
        title=f"{first.settings.model}: search in {first.folder.name}"
        if alone
        else f"{len(searches)} searches: {', '.join(names)}",
        # A page on what is over is a function of its folders.
        made="" if not running else f"{max(results.read_at for results in searches):%Y-%m-%d %H:%M:%S} UTC",
        every_s=READ_AGAIN_S if running else 0,
        overview=together,
        searches=parts,
        by_id=figures if together is None else {**together.by_id(), **figures},
        cards={
            part["at"]: _clicked(results, part["name"]) for part, results in zip(parts, searches, strict=True)
        },
        dark=DARK,
        plotly=get_plotlyjs(),
    )


def _one(results: SearchResults, at: str, name: str) -> dict[str, Any]:
    """Return what `templates/search.html` says of a search."""
    scored = results.scored
    listed = [stretched(each, [t.values[each.name] for t in scored]) for each in axes(results.space)]
    found = how_much_they_mattered(results) if listed else []
    leading = scored[:_MOST_LISTED]
    return {
        "at": at,
        "name": name,
        "headline": prose.headline(results),
        "verdict": prose.verdict(results),
        "scores": prose.scores_table(results),
        "scores_note": prose.scores_note(results),
        "configuration": tables.parameters_table(results),
        "limits": [
            *results.widened,
            *([] if results.limits is None else results.limits.sentences(widens=results.settings.widen)),
            *([] if results.further is None else [results.further.sentence(title_of(results.metric))]),
        ],
        "any_report": any(trial.curve for trial in results.trials),
        "n_trials": len(results.trials),
        "n_scored": len(scored),
        "curves_about": prose.curves_about(results),
        "saving": prose.saving(results),
        "asked": tables.asked_table(results),
        "any_parameter": bool(listed),
        "importance": prose.importance_words(found, len(scored)),
        "drawn": drawn(results, listed, found),
        "trouble": tables.trouble_table(results),
        "leading": tables.trials_table(results, leading) if leading else None,
        "all_trials": tables.trials_table(results, results.trials)
        if len(results.trials) > len(leading)
        else None,
        "provenance": tables.provenance(results),
        "again": prose.train_again(results),
        "blended": blended(results),
        "blend_it": blend_command(results),
    }


def _clicked(results: SearchResults, name: str) -> Mapping[str, Any]:
    """Return what the page needs to show a trial that is clicked on."""
    figure = blank_figure("The curve of a trial", height=340)
    for rung in results.described.plan.rungs:
        figure.add_vline(x=rung, line={"color": AXIS, "width": 1, "dash": "dot"})
    figure.update_xaxes(title_text="data passes", rangemode="tozero")
    figure.update_yaxes(title_text=f"validation {title_of(results.metric)}")
    return {
        "name": f"{name}: " if name else "",
        "cards": cards(results),
        "layout": json.loads(figure.to_json())["layout"],
        "looks": {
            "own": SPENT,
            "the best": {"color": BEST},
            "the start": {"color": START, "dash": "dash"},
            "other": {"color": SEARCHES[3]},
        },
    }


def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("distrecvae.search.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # A reason or a file's name may hold "</script>": `tojson` writes its "<" so that no browser reads it as one.
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    return environment.get_template("report.html")
