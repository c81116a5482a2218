"""Every trial with a score is drawn at its values, the better the darker, and each axis reaches as far as its range."""

from __future__ import annotations

import math
from typing import Any

import plotly.graph_objects as go
import pytest

from distrecvae.search.core.records import Status
from distrecvae.search.report import parameter_figures
from distrecvae.search.report.axes import Axis, axes, label_of
from distrecvae.search.report.data import SearchResults
from distrecvae.search.report.importance import N_SHUFFLES, Importance
from distrecvae.search.report.parameter_figures import log_ticks
from tests.search.report.made import SPACE, made_results, made_trial


def drawn(figure: go.Figure) -> list[dict[str, Any]]:
    traces: list[dict[str, Any]] = figure.to_dict()["data"]
    return traces


def lightness(color: str) -> int:
    """Return how light a colour is: #rrggbb, the sum of the three."""
    return sum(int(color[place : place + 2], 16) for place in (1, 3, 5))


def graded(n: int) -> SearchResults:
    """`n` trials after the start; trial k has the score k / 100, the last one is the best."""
    trials = [made_trial(k, k / 100, rate=1e-4 * 1.01**k) for k in range(1, n + 1)]
    return made_results(made_trial(0, 0.001), *trials)


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
        low = parameter_figures.scatter(results, axis).to_dict()["layout"]["yaxis"]["range"][0]
        expected = [
            (t.values[axis.name], low if t.status is Status.DIVERGED else t.score)
            for t in results.scored
            if t.values[axis.name] is not None
        ]
        assert points == sorted((str(x), y) for x, y in expected)


def test_the_ticks_of_a_logarithmic_axis_are_round_numbers_within_it() -> None:
    assert log_ticks(2e-4, 2e-3) == [2e-4, 5e-4, 1e-3, 2e-3]
    assert log_ticks(1e-3, 10) == [1e-3, 1e-2, 0.1, 1, 10]
    assert log_ticks(1, 100) == [1, 5, 10, 50, 100], "three a decade would not fit beside each other"
    assert log_ticks(1, 101) == [1, 10, 100]


def test_a_range_without_a_round_number_has_its_ends() -> None:
    assert log_ticks(6.0, 8.0) == [6.0, 8.0]


def test_the_largest_importance_is_on_top_and_grey_where_chance_does_as_well() -> None:
    found = [Importance("rate", 0.7, N_SHUFFLES, 30), Importance("width", 0.3, N_SHUFFLES - 1, 20)]
    figure = parameter_figures.importance_bars(found)
    (bars,) = drawn(figure)
    assert list(bars["y"]) == ["width", "rate"], "plotly draws the first one lowest"
    assert list(bars["x"]) == [0.3, 0.7]
    assert [list(data) for data in bars["customdata"]] == [[18, 20, 19], [19, 30, 19]]
    grey, blue = bars["marker"]["color"]
    assert (grey, blue) == ("#c9ced6", "#1f5fa8")


def test_a_line_a_trial_runs_through_its_values_from_row_to_row(results: SearchResults) -> None:
    listed = axes(results.space)
    found: list[list[tuple[str, float]]] = []
    for trace in drawn(parameter_figures.parallel_coordinates(results, listed)):
        line: list[tuple[str, float]] = []
        for x, y in zip(trace["x"], trace["y"], strict=True):
            if x is None:  # a gap ends a trial's line
                found.append(line)
                line = []
            else:
                line.append((y, x))
        assert line == []
        assert len(trace["customdata"]) == len(trace["x"])
    expected = [
        [(axis.name, place) for axis in listed if (place := axis.place(trial.values[axis.name])) is not None]
        for trial in results.scored
    ]
    assert sorted(found) == sorted(expected)
    assert any(len(line) < len(listed) for line in expected), "what a trial lacks is passed over"


@pytest.mark.parametrize("n", [1, 2, 7, 20])
def test_better_lines_are_darker_and_on_top(n: int) -> None:
    results = graded(n)
    traces = drawn(parameter_figures.parallel_coordinates(results, axes(SPACE)))
    *plain, start, best = traces
    assert (start["name"], best["name"]) == ("trial 0, the start", f"trial {n}, the best")
    numbers = [[number for text, number in t["customdata"] if text][::3] for t in plain]
    assert [number for group in numbers for number in group] == list(range(1, n)), (
        "the better, the later drawn"
    )
    shades = [lightness(trace["line"]["color"]) for trace in plain]
    assert shades == sorted(shades, reverse=True)
    assert len(set(shades)) == len(shades) == min(7, n - 1)
    assert [bool(trace["showlegend"]) for trace in traces] == [False] * len(plain) + [True, True]


def test_the_rows_are_in_the_order_of_the_space_and_name_both_ends() -> None:
    listed = axes(SPACE)
    layout = parameter_figures.parallel_coordinates(graded(3), listed).to_dict()["layout"]
    assert list(layout["yaxis"]["categoryarray"]) == ["kind", "width", "rate"], (
        "plotly draws the first one lowest"
    )
    notes = [(note["y"], note["x"], note["text"], note["xanchor"]) for note in layout["annotations"]]
    assert notes == [
        ("rate", 0, "0.0001", "left"), ("rate", 1, "0.01", "right"),
        ("width", 0, "1", "left"), ("width", 1, "5", "right"),
        ("kind", 0, "a", "left"), ("kind", 1, "true", "right"),
    ]  # fmt: skip


def test_no_scores_draw_nothing() -> None:
    nothing = made_results(made_trial(0, None, status=Status.FAILED))
    assert drawn(parameter_figures.parallel_coordinates(nothing, axes(SPACE))) == []
    for axis in axes(SPACE):
        assert all(not trace["x"] for trace in drawn(parameter_figures.scatter(nothing, axis)))


def test_a_scatter_tells_the_outcomes_apart_and_marks_the_best_and_the_start() -> None:
    results = made_results(
        made_trial(0, 0.1, width=1),
        made_trial(1, 0.2, width=2, status=Status.STOPPED),
        made_trial(2, 0.0, width=3, status=Status.DIVERGED),
        made_trial(3, 0.3, width=4),
        made_trial(4, 0.2, width=5, status=Status.RUNNING),
        made_trial(5, 0.15, width=5),
        made_trial(6, None, width=5, status=Status.FAILED),
    )
    traces = drawn(parameter_figures.scatter(results, axes(SPACE)[1]))
    found = {t["name"]: (t["marker"]["symbol"], list(zip(t["x"], t["y"], strict=True))) for t in traces}
    assert found == {
        "stopped": ("circle-open", [(2, 0.2)]),
        "finished": ("circle", [(5, 0.15)]),
        "running": ("circle", [(5, 0.2)]),
        "diverged": ("x", [(3, pytest.approx(0.084))]),  # on the axis: 0 would press the others together
        "trial 0, the start": ("diamond", [(1, 0.1)]),
        "trial 3, the best": ("star", [(4, 0.3)]),
    }
    assert [trace["name"] for trace in traces][-2:] == ["trial 0, the start", "trial 3, the best"]
    assert list(traces[0]["customdata"][0]) == ["trial 1: NDCG@100 0.2000, stopped", 1]


def test_a_choice_of_nothing_is_drawn_and_a_branch_that_was_not_chosen_is_not() -> None:
    results = made_results(made_trial(0, 0.1, kind=None), made_trial(1, 0.2, kind=True))
    rate, _, kind = axes(SPACE)
    traces = drawn(parameter_figures.scatter(results, kind))
    chosen = {(x, y) for t in traces for x, y in zip(t["x"], t["y"], strict=True)}
    assert chosen == {("none", 0.1), ("true", 0.2)}
    missing = made_results(made_trial(0, 0.1, rate=None), made_trial(1, 0.2))
    assert [list(t["x"]) for t in drawn(parameter_figures.scatter(missing, rate)) if t["x"]] == [[1e-3]]


def x_axis(axis: Axis) -> dict[str, Any]:
    values: dict[str, Any] = dict.fromkeys((axis.name,))
    layout = parameter_figures.scatter(made_results(made_trial(0, 0.1, **values)), axis).to_dict()["layout"]
    found: dict[str, Any] = layout["xaxis"]
    return found


def test_a_logarithmic_axis_reaches_a_little_beyond_its_range_and_has_round_ticks() -> None:
    found = x_axis(Axis("rate", "rate", 1e-4, 1e-2, log=True))
    assert found["type"] == "log"
    assert list(found["range"]) == pytest.approx([-4.08, -1.92]), "plotly takes powers of ten"
    assert list(found["tickvals"]) == log_ticks(1e-4, 1e-2)
    assert math.isclose(10 ** found["range"][0], 1e-4, rel_tol=0.2)


def test_a_linear_axis_reaches_a_little_beyond_its_range_and_a_short_one_ticks_every_whole_number() -> None:
    found = x_axis(Axis("width", "width", 1, 5))
    assert (found["type"], found["dtick"]) == ("linear", 1)
    assert list(found["range"]) == pytest.approx([0.84, 5.16])
    for axis in (
        Axis("width", "width", 1, 64),
        Axis("dropout", "dropout", 0.0, 1.0),
        Axis("dropout", "d", 0.0, 5.0),
    ):
        assert "dtick" not in x_axis(axis)
        assert "tickvals" not in x_axis(axis)
    assert x_axis(Axis("width", "width", 1, 7))["dtick"] == 1
    assert "dtick" not in x_axis(Axis("width", "width", 1, 8))


def test_choices_have_their_places_whether_or_not_a_trial_took_them() -> None:
    found = x_axis(axes(SPACE)[2])
    assert (found["type"], list(found["categoryarray"])) == ("category", ["a", "none", "true"])
    assert list(found["range"]) == [-0.5, 2.5]


def test_a_range_of_one_value_is_left_to_plotly() -> None:
    assert "range" not in x_axis(Axis("fixed", "fixed", 3, 3))


def test_on_the_triangle_better_trials_are_darker() -> None:
    n = 20
    shares = [k / (n + 1) for k in range(n + 1)]
    trials = [
        made_trial(k, (k + 1) / 100, values={"w.a": s, "w.b": 1 - s, "w.c": 0.0})
        for k, s in enumerate(shares)
    ]
    lost = made_trial(n + 1, None, status=Status.FAILED, values={"w.a": 0.5, "w.b": 0.5, "w.c": 0.0})
    other_branch = made_trial(n + 2, 0.001, values={"w.a": None, "w.b": None, "w.c": None})
    figure = parameter_figures.triangle(made_results(*trials, lost, other_branch), ["w.a", "w.b", "w.c"])
    finished = next(trace for trace in drawn(figure) if trace["name"] == "finished")
    assert list(finished["a"]) == shares[1:-1], "the start and the best are drawn apart"
    shades = [lightness(color) for color in finished["marker"]["color"]][-len(finished["a"]) :]
    assert shades == sorted(shades, reverse=True)
    assert len(set(shades)) == 7
    layout = figure.to_dict()["layout"]["ternary"]
    assert [layout[side]["title"]["text"] for side in ("aaxis", "baxis", "caxis")] == ["a", "b", "c"]


def test_a_point_says_its_trial_and_its_value_in_words() -> None:
    results = made_results(made_trial(0, 0.1, kind=None), made_trial(1, 0.23456, width=3))
    lines = drawn(parameter_figures.parallel_coordinates(results, axes(SPACE)))
    said = [text for trace in lines for text, _ in trace["customdata"]]
    assert f"width {label_of(3)}<br>trial 1: NDCG@100 0.2346, finished" in said
    assert "kind none<br>trial 0: NDCG@100 0.1000, finished" in said
