"""The figures of a report that show the searched parameters against the score: plotly figures; SVG, no WebGL."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import plotly.graph_objects as go

from distrecvae.metrics import title_of
from distrecvae.search.core.records import BAD, Status
from distrecvae.search.report.axes import Axis, label_of
from distrecvae.search.report.data import SearchResults, Trial
from distrecvae.search.report.figures import TRIALS, marked_trials
from distrecvae.search.report.importance import N_SHUFFLES, Importance
from distrecvae.search.report.looks import (
    CHANCE,
    COLOURS,
    FAINT,
    GRID,
    NOTHING,
    SHADED_EDGE,
    SHADES,
    SPENT,
    blank_figure,
)


def importance_bars(found: Sequence[Importance]) -> go.Figure:
    """Return the importances, the largest on top; grey where chance does as well."""
    figure = blank_figure("How much each parameter mattered", height=60 + 26 * len(found), top=8)
    shown = list(reversed(found))
    figure.add_bar(
        x=[each.share for each in shown],
        y=[each.name for each in shown],
        orientation="h",
        marker_color=[SPENT if each.stands_out else CHANCE for each in shown],
        customdata=[[each.beaten, each.n_trials, N_SHUFFLES] for each in shown],
        hovertemplate="%{y}: %{x:.0%}<br>more than %{customdata[0]} of %{customdata[2]} shuffles gave"
        "<br>%{customdata[1]} trials<extra></extra>",
    )
    figure.update_xaxes(tickformat=".0%", rangemode="tozero", title_text="share of the sum")
    return figure.update_yaxes(automargin=True, ticksuffix=" ")


def parallel_coordinates(results: SearchResults, axes: Sequence[Axis]) -> go.Figure:
    """Return a line a trial through its values, a row a parameter: rows fit on a phone, columns would not.

    Lines are shaded by the trial's rank, the best ones darkest and on top.
    """
    figure = blank_figure("All trials through their values", height=50 + 38 * len(axes), bottom=8)
    marked = marked_trials(results)
    plain = [trial for trial in reversed(results.scored) if trial.number not in marked]
    for shade, color in enumerate(SHADES):
        first, last = (len(plain) * s // len(SHADES) for s in (shade, shade + 1))
        _add_lines(figure, results, plain[first:last], axes, color=color, width=1.3, dash="solid", name="")
    for number, (name, color, dash) in marked.items():
        trials = [t for t in results.scored if t.number == number]
        _add_lines(figure, results, trials, axes, color=color, width=3, dash=dash, name=name)
    for axis in axes:
        for x, text, anchor in zip((0, 1), axis.end_labels(), ("left", "right"), strict=True):
            figure.add_annotation(
                x=x, y=axis.name, text=text, showarrow=False, xanchor=anchor, yshift=11, font_size=10,
                font_color=FAINT, borderpad=0,
            )  # fmt: skip
    names = [axis.name for axis in axes]
    figure.update_xaxes(range=[-0.03, 1.03], showticklabels=False, showgrid=False, zeroline=False)
    return figure.update_yaxes(
        categoryorder="array", categoryarray=names[::-1], automargin=True, ticksuffix=" ",
        range=[-0.5, len(names) - 0.3],
    )  # fmt: skip


def scatter(results: SearchResults, axis: Axis) -> go.Figure:
    """Return the trials' scores by one searched value."""
    figure = blank_figure(f"Score by {axis.name}, a dot a trial", height=260, top=8, bottom=40)
    figure.update_layout(showlegend=False)
    low, high = _ends_of_scores(results)
    for trials, look in _looks(results):
        shown = [t for t in trials if t.values[axis.name] is not None or axis.place(None) is not None]
        values = [t.values[axis.name] for t in shown]
        figure.add_scatter(
            x=[label_of(v) for v in values] if axis.choices else values,
            # What diverged has score 0, which would press the others together: it lies on the axis.
            y=[low if t.status in BAD else t.score for t in shown],
            mode="markers",
            cliponaxis=False,
            customdata=[(_hover(results, t), t.number) for t in shown],
            hovertemplate=f"{axis.name} %{{x}}<br>%{{customdata[0]}}<extra></extra>",
            meta=TRIALS,
            **look,
        )
    if axis.choices:
        figure.update_xaxes(type="category", categoryorder="array", categoryarray=list(axis.choices))
        figure.update_xaxes(range=[-0.5, len(axis.choices) - 0.5])
    elif axis.high > axis.low:
        left, right = (math.log10(end) if axis.log else end for end in (axis.low, axis.high))
        pad = 0.04 * (right - left)
        ticks = {"tickvals": log_ticks(axis.low, axis.high), "tickformat": "~r"} if axis.log else {}
        whole = all(isinstance(value, int) for value in (axis.low, axis.high)) and right - left <= 6
        figure.update_xaxes(
            type="log" if axis.log else "linear", range=[left - pad, right + pad], zeroline=False,
            **({"dtick": 1} if whole and not axis.log else ticks),
        )  # fmt: skip
    figure.update_xaxes(title_text=axis.name)
    return figure.update_yaxes(title_text=title_of(results.metric), range=(low, high), zeroline=False)


def triangle(results: SearchResults, columns: Sequence[str]) -> go.Figure:
    """Return the trials on the triangle of three weights that sum to one, shaded by score."""
    name = columns[0].rsplit(".", 1)[0]
    figure = blank_figure(f"The weights of {name} on a triangle, a dot a trial", height=420)
    figure.update_layout(showlegend=False)
    for trials, look in _looks(results, shaded=True):
        shown = [t for t in trials if t.values[columns[0]] is not None]
        a, b, c = ([t.values[column] for t in shown] for column in columns)
        names = [column.rsplit(".", 1)[-1] for column in columns]
        figure.add_scatterternary(
            a=a, b=b, c=c, mode="markers",
            customdata=[(_hover(results, t), t.number) for t in shown],
            hovertemplate=f"{names[0]} %{{a:.3f}}<br>{names[1]} %{{b:.3f}}<br>{names[2]} %{{c:.3f}}"
            "<br>%{customdata[0]}<extra></extra>",
            meta=TRIALS, **look,
        )  # fmt: skip
    sides = {
        side: {
            "title": {"text": column.rsplit(".", 1)[-1]},
            "tickformat": ".1f",
            "gridcolor": GRID,
            "nticks": 5,
        }
        for side, column in zip(("aaxis", "baxis", "caxis"), columns, strict=True)
    }
    return figure.update_layout(
        ternary={"sum": 1, "bgcolor": NOTHING, **sides}, margin={"l": 50, "r": 50, "t": 50, "b": 50}
    )


def log_ticks(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times powers of ten from `low` to `high`; of more than a decade 1 and 5, of two the powers."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if high / low <= 20 else (1, 5) if high / low <= 100 else (1,)
    ticks = [float(f"{step}e{decade}") for decade in decades for step in steps]
    return [tick for tick in ticks if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)] or [low, high]


def _ends_of_scores(results: SearchResults) -> tuple[float, float]:
    """Return the ends of an axis for the scores of all trials that have a model."""
    scores = [trial.score or 0.0 for trial in results.scored if trial.status not in BAD] or [0.0, 1.0]
    low, high = min(scores), max(scores)
    pad = 0.08 * (high - low or abs(high) or 1.0)
    return low - pad, high + pad


def _looks(results: SearchResults, *, shaded: bool = False) -> Iterator[tuple[list[Trial], dict[str, Any]]]:
    """Yield groups of trials with a score and how their markers look; those marked last."""
    marked = marked_trials(results)
    plain = [trial for trial in reversed(results.scored) if trial.number not in marked]
    for status, symbol in ((Status.STOPPED, "circle-open"), (Status.FINISHED, "circle"), (Status.RUNNING, "circle"),
                           (Status.DIVERGED, "x")):  # fmt: skip
        trials = [trial for trial in plain if trial.status is status]
        color: Any = COLOURS[status]
        if shaded and status is not Status.DIVERGED:
            color, symbol = [SHADES[plain.index(t) * len(SHADES) // len(plain)] for t in trials], "circle"
        line = {"width": 1, "color": SHADED_EDGE} if shaded else {}
        yield (
            trials,
            {"name": str(status), "marker": {"color": color, "symbol": symbol, "size": 8, "line": line}},
        )
    for number, (name, color, _) in marked.items():
        symbol = "diamond" if number == 0 else "star"
        trials = [trial for trial in results.scored if trial.number == number]
        yield trials, {"name": name, "marker": {"color": color, "symbol": symbol, "size": 12}}


def _hover(results: SearchResults, trial: Trial) -> str:
    return f"trial {trial.number}: {title_of(results.metric)} {trial.score or 0.0:.4f}, {trial.status}"


def _add_lines(
    figure: go.Figure, results: SearchResults, trials: Iterable[Trial], axes: Sequence[Axis], *, color: str,
    width: float, dash: str, name: str,
) -> None:  # fmt: skip
    x: list[float | None] = []
    y: list[str | None] = []
    hover: list[tuple[str, int | None]] = []
    for trial in trials:
        for axis in axes:
            place = axis.place(trial.values[axis.name])
            if place is not None:
                x.append(place)
                y.append(axis.name)
                value = label_of(trial.values[axis.name])
                hover.append((f"{axis.name} {value}<br>{_hover(results, trial)}", trial.number))
        x, y, hover = [*x, None], [*y, axes[0].name], [*hover, ("", None)]
    if x:
        figure.add_scatter(
            x=x, y=y, mode="lines+markers", name=name, showlegend=bool(name), customdata=hover,
            line={"color": color, "width": width, "dash": dash}, marker={"color": color, "size": 4},
            hovertemplate="%{customdata[0]}<extra></extra>", meta=TRIALS,
        )  # fmt: skip
