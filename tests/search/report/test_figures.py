"""The figures of a search's course draw what its trials reported, no more, no less; the best and the start on top."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from distrecvae.search.core.records import Status
from distrecvae.search.report import figures
from distrecvae.search.report.data import SearchResults
from tests.search.report.made import made_results, made_trial


def traces(figure: go.Figure) -> dict[str, Any]:
    """Return a figure's named traces; those without a name have their position for one."""
    drawn = figure.to_dict()["data"]
    return {trace.get("name", str(position)): trace for position, trace in enumerate(drawn)}


def interleaved(**more: Any) -> SearchResults:
    """Two trials that report in turn, and two that do not count: (passes, value, seconds)."""
    return made_results(
        made_trial(0, 0.3, curve=[(4, 0.1, 10.0), (8, 0.3, 30.0)]),
        made_trial(1, 0.4, curve=[(2, 0.2, 20.0), (4, 0.25, 40.0), (6, 0.4, 50.0)], status=Status.STOPPED),
        made_trial(2, 0.0, curve=[(4, 0.9, 15.0)], status=Status.DIVERGED),
        made_trial(3, None, curve=[(4, 0.8, 25.0)], status=Status.FAILED),
        made_trial(4, None, status=Status.RUNNING),
        **more,
    )


def test_the_best_so_far_is_the_running_maximum_over_all_passes(results: SearchResults) -> None:
    figure = figures.over_passes(results).to_dict()
    line = figure["data"][0]
    counted = [t for t in results.trials if t.status not in ("diverged", "failed")]
    values = sorted((p.at_s, t.number, p.passes, p.value) for t in counted for p in t.curve)
    np.testing.assert_allclose(line["y"], np.maximum.accumulate([value for *_, value in values]))
    assert line["x"][-1] == sum(t.passes for t in counted)
    assert (np.diff(line["x"]) > 0).all()
    assert np.diff([p.at_s for p in results.trials[0].curve]) == pytest.approx(1.5)


def test_trials_that_ran_at_once_are_drawn_in_the_order_of_their_reports() -> None:
    by_time, by_passes = figures.over_time(interleaved()), figures.over_passes(interleaved())
    for figure, x in ((by_time, [10, 20, 30, 40, 50]), (by_passes, [4, 6, 10, 12, 14])):
        line = traces(figure)["best so far"]
        assert list(line["x"]) == x
        assert list(line["y"]) == [0.1, 0.2, 0.3, 0.3, 0.4]
        assert line["line"]["shape"] == "hv", "the best lasts until it is beaten"


def test_each_new_best_has_a_dot_that_says_whose_it_is() -> None:
    dots = traces(figures.over_time(interleaved()))["1"]
    assert list(zip(dots["x"], dots["y"], strict=True)) == [(10, 0.1), (20, 0.2), (30, 0.3), (50, 0.4)]
    assert [tuple(each) for each in dots["customdata"]][1:3] == [
        ("trial 1: 0.2000 at 2 passes", 1),
        ("trial 0: 0.3000 at 8 passes", 0),
    ]


def test_an_equal_score_is_no_new_best() -> None:
    same = made_results(made_trial(0, 0.2, curve=[(4, 0.2, 1.0), (8, 0.2, 2.0)]))
    assert list(traces(figures.over_time(same))["1"]["x"]) == [1.0]


def test_the_first_trials_best_is_a_level_line_to_the_end() -> None:
    level = traces(figures.over_passes(interleaved()))["the first trial's best"]
    assert (list(level["x"]), list(level["y"])) == ([0, 14], [0.3, 0.3])


def test_a_first_trial_without_a_score_has_no_line() -> None:
    failed = made_trial(0, None, curve=[(4, 0.1, 1.0)], status=Status.FAILED)
    other = made_trial(1, 0.2, curve=[(4, 0.2, 2.0)])
    for draw in (figures.over_time, figures.over_passes):
        assert "the first trial's best" not in traces(draw(made_results(failed, other)))


def test_a_search_without_reports_is_drawn_empty() -> None:
    nothing = made_results(
        made_trial(0, None, status=Status.RUNNING), made_trial(1, 0.0, status=Status.DIVERGED)
    )
    for figure in (figures.over_time(nothing), figures.over_passes(nothing), figures.curves(nothing)):
        assert [x for trace in traces(figure).values() for x in trace["x"] if x is not None] == []


@pytest.mark.parametrize(
    ("seconds", "unit", "last"),
    [
        (119.0, "seconds", 119.0),
        (120.0, "minutes", 2.0),
        (7199.0, "minutes", 7199 / 60),
        (7200.0, "hours", 2.0),
        (36000.0, "hours", 10.0),
    ],
)
def test_time_is_in_the_unit_that_gives_two_or_more(seconds: float, unit: str, last: float) -> None:
    trials = [made_trial(0, 0.2, curve=[(4, 0.1, 0.0), (8, 0.2, seconds)])]
    figure = figures.over_time(made_results(*trials))
    assert figure.to_dict()["layout"]["xaxis"]["title"]["text"] == f"{unit} since the search began"
    assert traces(figure)["best so far"]["x"][-1] == pytest.approx(last)


def test_every_trials_curve_is_drawn_once_by_its_outcome_and_the_best_and_the_start_on_top(
    results: SearchResults,
) -> None:
    assert results.best is not None
    drawn = traces(figures.curves(results))
    expected: dict[str, list[tuple[int, float] | None]] = {}
    for trial in results.trials:
        name = str(trial.status)
        if trial.number == 0:
            name = "trial 0, the start"
        elif trial is results.best:
            name = f"trial {trial.number}, the best"
        if trial.curve:
            points = [(point.passes, point.value) for point in trial.curve]
            expected[name] = [*expected.get(name, []), *points, None]  # a gap between two trials
    found = {
        name: [None if x is None else (x, y) for x, y in zip(trace["x"], trace["y"], strict=True)]
        for name, trace in drawn.items()
    }
    assert found == expected
    assert list(drawn)[-2:] == ["trial 0, the start", f"trial {results.best.number}, the best"]
    assert drawn["trial 0, the start"]["line"]["dash"] == "dash"
    assert all(len(trace["customdata"]) == len(trace["x"]) for trace in drawn.values())


def test_a_curve_of_one_report_is_a_point_that_can_be_seen() -> None:
    one, two = [(4, 0.1, 1.0)], [(4, 0.1, 1.0), (8, 0.2, 2.0)]
    stopped = made_trial(1, 0.1, curve=one, status=Status.STOPPED)
    drawn = traces(figures.curves(made_results(made_trial(0, 0.2, curve=two), stopped)))
    assert drawn["stopped"]["mode"] == "lines+markers"
    assert drawn["trial 0, the best"]["mode"] == "lines"


def test_each_rung_is_a_line_across_the_curves() -> None:
    layout = figures.curves(interleaved()).to_dict()["layout"]
    assert [(line["x0"], line["x1"]) for line in layout["shapes"]] == [(4, 4), (12, 12)]
    assert [note["text"] for note in layout["annotations"]] == ["rung 4", "rung 12"]
    assert not figures.curves(interleaved(rungs=())).to_dict()["layout"].get("shapes")


def test_passes_that_were_not_spent_lie_on_those_that_were() -> None:
    figure = figures.passes_by_trial(interleaved(), [0, 34, 0, 0, 0])
    drawn, layout = traces(figure), figure.to_dict()["layout"]
    assert (list(drawn["spent"]["x"]), list(drawn["spent"]["y"])) == ([0, 1, 2, 3, 4], [8, 6, 4, 4, 0])
    assert (list(drawn["not spent"]["x"]), list(drawn["not spent"]["y"])) == (
        [0, 1, 2, 3, 4],
        [0, 34, 0, 0, 0],
    )
    assert layout["barmode"] == "stack"
    assert list(layout["xaxis"]["range"]) == [-0.5, 4.5]


def test_the_start_and_the_best_are_marked_and_one_trial_that_is_both_is_the_best() -> None:
    def marked(*scores: float | None) -> list[tuple[int, str]]:
        ends = [Status.FAILED if score is None else Status.FINISHED for score in scores]
        trials = (
            made_trial(n, score, status=end) for n, (score, end) in enumerate(zip(scores, ends, strict=True))
        )
        results = made_results(*trials)
        return [(number, look[0]) for number, look in figures.marked_trials(results).items()]

    assert marked(0.1, 0.2) == [(0, "trial 0, the start"), (1, "trial 1, the best")]
    assert marked(0.2, 0.1) == [(0, "trial 0, the best")]
    assert marked(None, 0.0) == [(0, "trial 0, the start"), (1, "trial 1, the best")]
    assert marked(None, None) == [(0, "trial 0, the start")]


def test_a_trial_that_is_not_among_the_results_is_not_marked() -> None:
    # The tables of a running search follow its study by seconds.
    results = made_results(made_trial(3, 0.2), made_trial(4, 0.1))
    assert list(figures.marked_trials(results)) == [3]


def test_nothing_is_drawn_by_webgl() -> None:
    drawn = [
        figures.over_time(interleaved()),
        figures.over_passes(interleaved()),
        figures.curves(interleaved()),
    ]
    assert {trace["type"] for figure in drawn for trace in figure.to_dict()["data"]} == {"scatter"}


def test_the_axis_begins_where_the_first_trial_had_settled_so_that_gains_can_be_told_apart() -> None:
    # It rose from 0.05 to 0.30; what the search gained is 0.02 more: a twelfth of an axis from the lowest, or from 0.
    rise = [(4 * k, 0.05 * k, float(k)) for k in range(1, 7)]
    results = made_results(
        made_trial(0, 0.3, curve=rise), made_trial(1, 0.32, curve=[(4, 0.1, 7.0), (8, 0.32, 8.0)])
    )
    for figure in (figures.over_time(results), figures.over_passes(results)):
        low, high = figure.to_dict()["layout"]["yaxis"]["range"]
        assert low < 0.3 < 0.32 < high, "both lines are there"
        assert 0.02 / (high - low) > 0.5, "the gain is most of it"


@pytest.mark.parametrize(
    ("best", "first", "expected"),
    [([], None, None), ([0.2], 0.2, None), ([0.2, 0.2], 0.2, None)],
    ids=["nothing", "one report", "level"],
)
def test_an_axis_without_a_gain_is_plotlys_own(
    best: list[float], first: float | None, expected: tuple[float, float] | None
) -> None:
    assert figures.where_improvements_show(best, first) == expected


def test_a_first_trial_that_diverged_sets_no_axis() -> None:
    ends = figures.where_improvements_show([0.1, 0.2, 0.3, 0.31, 0.32], 0.0)
    assert ends is not None
    assert ends[0] >= 0.1 - 0.02


def test_points_are_trials_that_can_be_clicked_on() -> None:
    for figure in (figures.over_time(interleaved()), figures.curves(interleaved())):
        clickable = [trace for trace in figure.to_dict()["data"] if trace.get("meta") == figures.TRIALS]
        numbers = {number for trace in clickable for _, number in trace["customdata"] if number is not None}
        assert {0, 1} <= numbers <= {0, 1, 2, 3, 4}
    bars = figures.passes_by_trial(interleaved(), [0] * 5).to_dict()["data"]
    assert [number for _, number in bars[0]["customdata"]] == [0, 1, 2, 3, 4]
