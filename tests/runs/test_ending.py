"""When a run ends, on lists of scores."""

from __future__ import annotations

import pytest

from distrecvae.errors import ConfigError
from distrecvae.models.ease import EASEConfig
from distrecvae.models.recvae import RecVAEConfig
from distrecvae.runs.ending import out_of_patience, require_a_cycle, room_for_a_cycle


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


def test_a_budget_below_one_cycle_is_refused_naming_the_cycle() -> None:
    """`--max-passes 1` trained a cycle of 4."""
    with pytest.raises(
        ConfigError, match=r"--max-passes is 3 and a cycle of recvae takes 4: 3 encoder and 1 dec"
    ):
        require_a_cycle("recvae", RecVAEConfig(), 3)
    require_a_cycle("recvae", RecVAEConfig(), 4)
    require_a_cycle("recvae", RecVAEConfig(alternating=False), 1)
    require_a_cycle("ease", EASEConfig(), 1)
