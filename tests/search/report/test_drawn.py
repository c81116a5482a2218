"""A page has the figures that have something to show."""

from __future__ import annotations

from distrecvae.search.report.axes import axes
from distrecvae.search.report.data import SearchResults
from distrecvae.search.report.drawn import drawn, how_much_they_mattered
from tests.search.report.made import made_results, made_trial

CURVE = [(4, 0.1, 1.0), (8, 0.2, 2.0)]


def ids(results: SearchResults, prefix: str = "") -> set[str]:
    listed = axes(results.space)
    found = how_much_they_mattered(results) if len(results.trials) > 2 else []
    return set(drawn(results, listed, found).by_id(prefix))


def test_one_trial_has_its_curve_and_nothing_to_be_compared_with() -> None:
    assert ids(made_results(made_trial(0, 0.2, curve=CURVE))) == {"curves"}


def test_two_trials_are_compared_in_every_parameter() -> None:
    two = made_results(made_trial(0, 0.2, curve=CURVE), made_trial(1, 0.1, curve=CURVE, width=3))
    assert ids(two) == {"over-time", "over-passes", "curves", "parallel", "by-0", "by-1", "by-2"}


def test_a_whole_search_has_all_and_ids_take_a_prefix(results: SearchResults) -> None:
    found = ids(results)
    assert {"passes", "importances", "triangle-mixture_weights"} < found
    assert ids(results, "s1-") == {f"s1-{each}" for each in found}
    figure = drawn(results, axes(results.space), []).by_id()["curves"]
    assert figure["layout"]["meta"]
    assert figure["data"]
