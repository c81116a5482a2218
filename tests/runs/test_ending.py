"""When a run ends, on lists of scores."""

from __future__ import annotations

import pytest

from distrecvae.runs.ending import out_of_patience, room_for_a_cycle


@pytest.mark.parametrize(
    ("scores", "patience", "over"),
    [
        ([], 4, False),
        ([(4, 0.1)], 0, True),
        ([(4, 0.1)], 4, False),
        ([(4, 0.1), (8, 0.1)], 4, True),  # equal is no improvement
        ([(4, 0.1), (8, 0.2)], 4, False),
        ([(4, 0.3), (8, 0.2), (12, 0.1)], 9, False),
        ([(4, 0.3), (8, 0.2), (12, 0.1)], 8, True),
        ([(4, 0.3), (8, 0.2), (12, 0.4), (16, 0.1)], 8, False),
        ([(4, 0.3), (400, 0.2)], None, False),
    ],
)
def test_patience_counts_passes_since_the_best(
    scores: list[tuple[int, float]], patience: int | None, over: bool
) -> None:
    assert out_of_patience(scores, patience) is over


@pytest.mark.parametrize(
    ("passes", "cost", "budget", "room"),
    [(0, 4, 200, True), (196, 4, 200, True), (197, 4, 200, False), (0, 9, 4, True), (9, 9, 4, False)],
)
def test_the_budget_is_not_exceeded_but_by_a_first_cycle(
    passes: int, cost: int, budget: int, room: bool
) -> None:
    assert room_for_a_cycle(passes, cost, budget) is room
