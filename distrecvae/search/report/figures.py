"""The figures of a report: each a function from a search's results to a plotly figure; SVG, no WebGL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate

import plotly.graph_objects as go

from distrecvae.metrics import title_of
from distrecvae.search.core.records import Status
from distrecvae.search.report.data import Point, SearchResults, Trial
from distrecvae.search.report.looks import AXIS, BEST, COLOURS, SAVED, SPENT, START, blank_figure

TRIALS = "trials"
"""The `meta` of a trace whose points are trials, to be clicked on: their `customdata` are words and the number."""


def over_time(results: SearchResults) -> go.Figure:
    """Return the best score so far by the clock."""
    unit, seconds = time_unit(results.seconds)
    figure = _best_so_far(results, [p.at_s / seconds for p, _ in in_order(results)], "time")
    return figure.update_xaxes(title_text=f"{unit} since the search began", rangemode="tozero")


def over_passes(results: SearchResults) -> go.Figure:
    """Return the best score so far by the data passes that all trials together had spent."""
    figure = _best_so_far(results, [float(x) for x in passes_spent(results)], "data passes")
    return figure.update_xaxes(
        title_text="data passes of all trials together", rangemode="tozero", tickformat=",d"
    )


def passes_spent(results: SearchResults) -> list[int]:
    """Return, for each report of `in_order`, the passes that all trials together had spent by then."""
    had = {trial.number: 0 for trial in results.trials}
    spent: list[int] = []
    for point, trial in in_order(results):
        spent.append((spent[-1] if spent else 0) + point.passes - had[trial.number])
        had[trial.number] = point.passes
    return spent


def curves(results: SearchResults) -> go.Figure:
    """Return every trial's scores by passes, and the rungs."""
    figure = blank_figure("Validation score by data passes, a line a trial", height=420)
    marked = marked_trials(results)
    for status in (Status.STOPPED, Status.FINISHED, Status.RUNNING, Status.DIVERGED, Status.FAILED):
        trials = [t for t in results.trials if t.status is status and t.curve and t.number not in marked]
        _add_curves(figure, trials, name=str(status), color=COLOURS[status], width=1.2)
    for number, (name, color, dash) in marked.items():
        trial = next(t for t in results.trials if t.number == number)
        _add_curves(figure, [trial], name=name, color=color, width=2.6, dash=dash)
    for rung in results.described.plan.rungs:
        figure.add_vline(
            x=rung, line={"color": AXIS, "width": 1, "dash": "dot"}, annotation_text=f"rung {rung}",
            annotation_font_size=10, annotation_position="bottom right",
        )  # fmt: skip
    figure.update_xaxes(title_text="data passes", rangemode="tozero")
    return figure.update_yaxes(title_text=f"validation {title_of(results.metric)}")


def passes_by_trial(results: SearchResults, unspent: Sequence[int]) -> go.Figure:
    """Return the passes that each trial had and, lighter, those that stopping it saved."""
    figure = blank_figure("Data passes of each trial, and those that stopping it saved", height=240)
    numbers = [t.number for t in results.trials]
    shown = {
        "hovertemplate": "trial %{x}: %{y} passes<extra>%{fullData.name}</extra>",
        "customdata": [["", number] for number in numbers],
        "meta": TRIALS,
        "marker_line_width": 0,
    }
    figure.add_bar(x=numbers, y=[t.passes for t in results.trials], name="spent", marker_color=SPENT, **shown)
    figure.add_bar(x=numbers, y=list(unspent), name="not spent", marker_color=SAVED, **shown)
    figure.update_layout(barmode="stack", bargap=0.15)
    figure.update_xaxes(title_text="trial", range=[-0.5, len(numbers) - 0.5])
    return figure.update_yaxes(title_text="passes")


def in_order(results: SearchResults) -> list[tuple[Point, Trial]]:
    """Return all reports in the order of time; failed and diverged trials cannot be the best and are left out."""
    out = (Status.FAILED, Status.DIVERGED)
    reports = [(p, t) for t in results.trials if t.status not in out for p in t.curve]
    return sorted(reports, key=lambda pair: (pair[0].at_s, pair[1].number, pair[0].passes))


def where_improvements_show(best: Sequence[float], first: float | None) -> tuple[float, float] | None:
    """Return the ends of an axis on which the improvements of a search can be told apart; None for as plotly has it.

    A search starts near nothing and is soon where its first trial ends; what it is for happens above.

    Args:
        best: the best score after each report, increasing.
        first: the first trial's best score; None without one, 0 where it diverged.
    """
    if len(best) < 2 or best[-1] <= best[0]:
        return None
    low = first or best[len(best) // 5]
    span = max(best[-1] - low, 0.02 * abs(best[-1]))
    return max(best[0], low - 0.5 * span) - 0.04 * span, best[-1] + 0.08 * span


def _best_so_far(results: SearchResults, x: Sequence[float], by: str) -> go.Figure:
    figure = blank_figure(f"The best validation score so far, by {by}", height=300)
    reports = in_order(results)
    best = list(accumulate((point.value for point, _ in reports), max))
    figure.add_scatter(
        x=x, y=best, mode="lines", name="best so far", line={"shape": "hv", "color": BEST, "width": 2},
        hoverinfo="skip",
    )  # fmt: skip
    new = [i for i, value in enumerate(best) if i == 0 or value > best[i - 1]]
    figure.add_scatter(
        x=[x[i] for i in new],
        y=[best[i] for i in new],
        mode="markers",
        marker={"color": BEST, "size": 5},
        showlegend=False,
        customdata=[
            (
                f"trial {reports[i][1].number}: {best[i]:.4f} at {reports[i][0].passes} passes",
                reports[i][1].number,
            )
            for i in new
        ],
        meta=TRIALS,
        hovertemplate="%{customdata[0]}<extra></extra>",
    )
    first = results.trials[0]
    if first.score is not None and x:
        figure.add_scatter(
            x=[0, x[-1]], y=[first.score] * 2, mode="lines", name="the first trial's best",
            line={"color": START, "width": 1, "dash": "dash"}, hoverinfo="skip",
        )  # fmt: skip
    figure.update_yaxes(title_text=f"validation {title_of(results.metric)}")
    return figure.update_yaxes(range=where_improvements_show(best, first.score))


def time_unit(seconds: float) -> tuple[str, float]:
    """Return the unit in which so many seconds are told on an axis, and its length in seconds."""
    for name, length in (("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return name, length
    return "seconds", 1.0


def marked_trials(results: SearchResults) -> dict[int, tuple[str, str, str]]:
    """Return the trials that every figure shows on top: (name, colour, dash) by number, the best one last."""
    marked = {0: ("trial 0, the start", START, "dash")}
    if results.best is not None:
        marked.pop(results.best.number, None)
        marked[results.best.number] = (f"trial {results.best.number}, the best", BEST, "solid")
    return {
        number: look for number, look in marked.items() if any(t.number == number for t in results.trials)
    }


def _add_curves(
    figure: go.Figure, trials: Iterable[Trial], *, name: str, color: str, width: float, dash: str = "solid"
) -> None:  # fmt: skip
    x: list[int | None] = []
    y: list[float | None] = []
    hover: list[tuple[str, int | None]] = []
    single = False
    for trial in trials:
        single |= len(trial.curve) == 1
        x += [*(point.passes for point in trial.curve), None]
        y += [*(point.value for point in trial.curve), None]
        hover += [
            (f"trial {trial.number}, {p.passes} passes: {p.value:.4f}", trial.number) for p in trial.curve
        ]
        hover.append(("", None))
    if x:
        figure.add_scatter(
            x=x, y=y, mode="lines+markers" if single else "lines", name=name, customdata=hover,
            line={"color": color, "width": width, "dash": dash}, meta=TRIALS,
            hovertemplate="%{customdata[0]}<extra></extra>",
        )  # fmt: skip
