"""Several searches on one page: a table of them, and their best so far on one axis."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from plotly.graph_objects import Figure

from distrecvae.metrics import title_of
from distrecvae.search.core.records import Status
from distrecvae.search.report import figures as draw
from distrecvae.search.report.data import SearchResults
from distrecvae.search.report.looks import SEARCHES, blank_figure
from distrecvae.search.report.tables import Table
from distrecvae.words import duration, with_error

_DASHES = ("solid", "dash", "dot", "dashdot")


@dataclass(frozen=True)
class Together:
    """Figures that belong together, and what is said of them.

    Attributes:
        title: of their section.
        about: how they are to be read.
        drawn: by the ids of their places.
    """

    title: str
    about: str
    drawn: Mapping[str, Figure]


@dataclass(frozen=True)
class Overview:
    """What several searches have beside each other.

    Attributes:
        words: sentences: who leads, and what cannot be compared.
        table: a row a search.
        note: what the table's numbers are.
        figures: how the searches went, by metric.
    """

    words: Sequence[str]
    table: Table
    note: str
    figures: Sequence[Together]

    def by_id(self) -> dict[str, Any]:
        """Return the figures, as plotly.js takes them."""
        return {
            id_: json.loads(figure.to_json()) for group in self.figures for id_, figure in group.drawn.items()
        }


def names_of(searches: Sequence[SearchResults]) -> list[str]:
    """Return a short name for each search: its folder's, or, where two have the same, the end of its path."""
    paths = [results.folder.absolute() for results in searches]
    names = [path.name for path in paths]
    if len(set(names)) == len(names):
        return names
    common = os.path.commonpath([path.parent for path in paths])
    return [os.path.relpath(path, common) for path in paths]


def overview(searches: Sequence[SearchResults], names: Sequence[str], prefixes: Sequence[str]) -> Overview:
    """Return what searches have beside each other.

    Args:
        searches: two or more.
        names: what each is called.
        prefixes: of the ids of each one's part of the page.
    """
    metrics = list(dict.fromkeys(results.metric for results in searches))
    groups = []
    for metric in metrics:
        of_it = [
            (results, name) for results, name in zip(searches, names, strict=True) if results.metric == metric
        ]
        drawn = {
            f"together-{by}-{metric}": figure(of_it, metric)
            for by, figure in (("time", _over_time), ("passes", _over_passes))
        }
        title = (
            "How the searches went" if len(metrics) == 1 else f"How the searches went, by {title_of(metric)}"
        )
        groups.append(Together(title, _ABOUT, drawn))
    links = tuple(f"{prefix}search" for prefix in prefixes)
    return Overview(_words(searches, names), _table(searches, names, links), _NOTE, groups)


_ABOUT = (
    "The best validation score so far, a line a search. The axis begins where first trials had settled; a double click"
    " shows all of it."
)
_NOTE = (
    "Validation: the best trial's score on the users that chose it. Test: the chosen model on users that chose nothing,"
    " mean ± standard error; a search that is not over has none."
)


def _words(searches: Sequence[SearchResults], names: Sequence[str]) -> list[str]:
    said = []
    fingerprints = {results.described.dataset.fingerprint for results in searches}
    metrics = {results.metric for results in searches}
    if len(fingerprints) > 1:
        said.append(
            f"They ran on {len(fingerprints)} different data sets: scores of different data cannot be compared."
        )
    if len(metrics) > 1:
        said.append("They chose by different metrics; each metric has its own figures.")
    if said:
        return said
    led = max(
        (
            (results.best.score or 0.0, -place, name)
            for place, (results, name) in enumerate(zip(searches, names, strict=True))
            if results.best is not None
        ),
        default=None,
    )
    if led is None:
        return ["No search has a score yet."]
    return [f"On validation users {led[2]} leads with {title_of(searches[0].metric)} {led[0]:.4f}."]


def _table(searches: Sequence[SearchResults], names: Sequence[str], links: Sequence[str]) -> Table:
    rows = []
    for results, name in zip(searches, names, strict=True):
        best, scores = results.best, results.scores
        ended = sum(trial.status is not Status.RUNNING for trial in results.trials)
        test = "-"
        if scores is not None:
            test = with_error(scores.test.mean[results.metric], scores.test.standard_error[results.metric])
        state = "running" if results.runs else results.described.status
        rows.append(
            [
                name, results.settings.model, state, f"{ended} of {results.settings.trials}",
                "-" if best is None else str(best.number), title_of(results.metric),
                "-" if best is None else f"{best.score:.4f}", test,
                f"{sum(trial.passes for trial in results.trials):,}", duration(results.described.elapsed_s),
            ]
        )  # fmt: skip
    head = [
        "search",
        "model",
        "status",
        "trials",
        "best trial",
        "metric",
        "validation",
        "test",
        "passes",
        "time",
    ]
    return Table(head, rows, about="Searches", links=links)


def _over_time(searches: Sequence[tuple[SearchResults, str]], metric: str) -> Figure:
    unit, seconds = draw.time_unit(max(results.seconds for results, _ in searches))
    lines = [[point.at_s / seconds for point, _ in draw.in_order(results)] for results, _ in searches]
    figure = _best_so_far(searches, lines, metric, "time")
    return figure.update_xaxes(title_text=f"{unit} since each began", rangemode="tozero")


def _over_passes(searches: Sequence[tuple[SearchResults, str]], metric: str) -> Figure:
    lines = [[float(spent) for spent in draw.passes_spent(results)] for results, _ in searches]
    figure = _best_so_far(searches, lines, metric, "data passes")
    return figure.update_xaxes(
        title_text="data passes of all trials together", rangemode="tozero", tickformat=",d"
    )


def _best_so_far(
    searches: Sequence[tuple[SearchResults, str]], lines: Sequence[Sequence[float]], metric: str, by: str
) -> Figure:
    figure = blank_figure(f"The best validation score so far of each search, by {by}", height=340)
    ranges = []
    for place, ((results, name), x) in enumerate(zip(searches, lines, strict=True)):
        reports = draw.in_order(results)
        best = list(accumulate((point.value for point, _ in reports), max))
        figure.add_scatter(
            x=x,
            y=best,
            mode="lines" if len(best) > 1 else "markers",
            name=name,
            line={
                "shape": "hv",
                "color": SEARCHES[place % len(SEARCHES)],
                "width": 2,
                "dash": _DASHES[place // len(SEARCHES) % len(_DASHES)],
            },
            hovertemplate="%{y:.4f}",
        )
        ends = draw.where_improvements_show(best, results.trials[0].score) if best else None
        # A model that is solved at once has no rise: its scores are all of it.
        ranges += [ends] if ends is not None else [(value, value) for value in best[:1]]
    if ranges:
        low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
        pad = 0.05 * (high - low or abs(high) or 1.0)
        figure.update_yaxes(range=(low - pad, high + pad))
    return figure.update_yaxes(title_text=f"validation {title_of(metric)}")
