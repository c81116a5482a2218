"""What a best trial could not go beyond is said: edges of ranges with a direction, and passes."""

from __future__ import annotations

from typing import Any

from distrecvae.search.core.limits import limits_of
from distrecvae.search.core.records import TrialRecord
from distrecvae.search.space.space import SearchSpace

DEMO = SearchSpace.load("recvae-demo")
MIDDLE = {"decoder_passes": 1, "batch_size": 100}
RISING, LEVEL = [0.1 * n for n in range(1, 11)], [0.1, 0.2, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3]


def best(values: list[float], **config: Any) -> TrialRecord:
    record = TrialRecord(7, {**DEMO.base, **MIDDLE, **config})
    for cycle, value in enumerate(values, 1):
        record.take({"cycle": cycle, "passes": 4 * cycle, "valid/ndcg_100": value}, "valid/ndcg_100")
    return record


def test_one_that_met_no_limit_has_nothing_to_say() -> None:
    limits = limits_of(best(LEVEL), DEMO)
    assert (limits.trial, limits.edges, limits.rising, limits.passes) == (7, (), False, 40)
    assert limits.sentences() == []


def test_edges_are_said_with_what_to_do() -> None:
    limits = limits_of(best(LEVEL, batch_size=50, encoder_passes=5), DEMO)
    assert [(edge.name, edge.direction) for edge in limits.edges] == [
        ("encoder_passes", "larger"),
        ("batch_size", "smaller"),
    ]
    assert limits.sentences() == [
        "In the best trial (7) encoder_passes 5 is at the edge of its range (1 to 5): larger may be better.",
        "In the best trial (7) batch_size 50 is at the edge of its range (50 | 100 | 200): smaller may be better.",
        "To look beyond: --widen, or a space with wider ranges, warm-started from this search.",
    ]
    # Where it is on already, that was the advice, too.
    assert limits.sentences(widens=True)[-1] == (
        "To look beyond: more trials, or a space with wider ranges, warm-started from this search."
    )


def test_a_trial_that_was_still_rising_is_said() -> None:
    limits = limits_of(best(RISING), DEMO)
    assert limits.rising
    assert limits.sentences() == [
        "The best trial (7) was still rising at its last pass: the last fifth of its 40 passes brought 20.0% of its"
        " score. More passes may bring more (--max-passes)."
    ]
