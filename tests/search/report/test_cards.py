"""What is shown of a trial that is clicked on is what `distrecvae why` says of it."""

from __future__ import annotations

import json
from dataclasses import replace

from distrecvae.search.core.records import Status
from distrecvae.search.living.why import why
from distrecvae.search.report.cards import cards
from distrecvae.search.report.data import SearchResults
from tests.search.report.made import made_results, made_trial


def test_every_trial_has_a_card_with_its_curve_and_why(results: SearchResults) -> None:
    found = cards(results)
    assert set(found) == {trial.number for trial in results.trials}
    json.dumps(found, allow_nan=False)
    for trial in results.trials:
        card, said = found[trial.number], " ".join(str(why(results.folder, trial.number)).split())
        assert card["curve"] == [(point.passes, point.value) for point in trial.curve]
        first, *rest = card["says"]
        assert first[1:] in said
        assert all(part in said for part in rest)
        assert len(card["rows"]) == len(results.space.parameters)
        assert card["ask"] == f"distrecvae why {results.folder} --trial {trial.number}"
    assert any("It was stopped." in " ".join(card["says"]) for card in found.values())


def test_a_stopped_trial_is_shown_beside_the_one_whose_score_it_missed(results: SearchResults) -> None:
    found = cards(results)
    stopped = [trial for trial in results.trials if trial.status is Status.STOPPED]
    assert stopped
    for trial in stopped:
        judged = results.why[trial.number].judgements[-1]
        (holder, what), *_ = found[trial.number]["beside"]
        assert what == "whose score it had to reach"
        assert judged.values[holder] == judged.bar > judged.value
    assert results.best is not None
    assert (results.best.number, "the best") in found[1]["beside"] or results.best.number == 1
    assert all(number not in dict(card["beside"]) for number, card in found.items())


def test_neighbours_are_the_next_by_rank() -> None:
    trials = (
        made_trial(0, 0.2),
        made_trial(1, 0.1),
        made_trial(2, 0.3),
        made_trial(3, None, status=Status.FAILED),
    )
    found = cards(made_results(*trials))
    assert [(found[n]["better"], found[n]["worse"]) for n in range(4)] == [
        (2, 1),
        (0, None),
        (None, 0),
        (None, None),
    ]


def test_a_trial_that_is_not_explained_has_its_values_and_its_outcome() -> None:
    trial = replace(made_trial(1, 0.2, status=Status.STOPPED, reason="by hand", kind=None), by_hand="added")
    card = cards(made_results(made_trial(0, 0.1), trial))[1]
    assert card["says"] == ["Stopped (added) (by hand): best score 0.2000, 0 passes."]
    assert card["head"] == ["parameter", "trial 1"]
    assert card["rows"] == [["rate", "0.001"], ["width", "2"], ["kind", "-"]]
