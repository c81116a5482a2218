"""What a report is held to: whose value the bar is, and who falls below it."""

from __future__ import annotations

import pytest

from distrecvae.errors import ConfigError
from distrecvae.search.core.rules.curves import Judgement, require_budget


def test_only_what_is_below_the_bar_stops() -> None:
    assert Judgement(10, 0.3, {0: 0.4, 1: 0.3}, 0.4).stops
    assert not Judgement(10, 0.4, {0: 0.4, 1: 0.4}, 0.4).stops


def test_the_bars_holder_is_the_earliest_of_equals_or_nobody() -> None:
    assert Judgement(10, 0.3, {5: 0.4, 2: 0.4, 1: 0.3}, 0.4).holder == 2
    assert Judgement(10, 0.3, {0: 0.4, 1: 0.3}, 0.35).holder is None


def test_a_budget_that_nothing_can_be_judged_by_is_refused() -> None:
    require_budget(1, 1)
    with pytest.raises(ConfigError, match="min_passes=10 is above max_passes=9"):
        require_budget(10, 9)
