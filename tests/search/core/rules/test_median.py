"""The median rule: below the median of the others at the same passes, a trial ends."""

from __future__ import annotations

import pytest

from distrecvae.search.core.rules.median import MedianRule
from tests.search.core.rules.drawn import curves


class TestMedianRule:
    rule = MedianRule(10, 100, min_trials=4)
    others = ([(10, 0.1), (20, 0.5)], [(10, 0.2), (20, 0.6)], [(10, 0.3), (20, 0.7)], [(10, 0.4), (20, 0.8)])

    @pytest.mark.parametrize(("value", "stops"), [(0.24, True), (0.25, False), (0.26, False)])
    def test_stops_below_the_median_at_the_same_passes(self, value: float, stops: bool) -> None:
        """The others stand at 0.1, 0.2, 0.3, 0.4 after 10 passes; what they get to later does not matter."""
        assert self.rule.should_stop(4, curves(*self.others, [(10, value)])) is stops

    def test_others_count_by_their_last_report_not_beyond(self) -> None:
        assert self.rule.should_stop(4, curves(*self.others, [(19, 0.2)]))
        assert not self.rule.should_stop(4, curves(*self.others, [(19, 0.3)]))

    def test_waits_for_enough_others_that_got_as_far(self) -> None:
        assert not self.rule.should_stop(3, curves(*self.others[:3], [(10, 0.0)]))
        assert not self.rule.should_stop(4, curves(*self.others, [(21, 0.0)]))
        # Who reported for the first time later tells nothing of these passes; a planted bug that nights do not find.
        assert not self.rule.should_stop(4, curves(*self.others[:3], [(12, 0.9), (20, 0.9)], [(10, 0.0)]))
        # Whose last report is at these very passes got as far: 0.5 to 0.8, and their median is 0.65.
        assert self.rule.should_stop(4, curves(*self.others, [(20, 0.6)]))
        assert not self.rule.should_stop(4, curves(*self.others, [(20, 0.65)]))

    def test_four_others_are_enough_and_it_has_no_rungs(self) -> None:
        as_made = MedianRule(10, 100)
        assert as_made.should_stop(4, curves(*self.others, [(10, 0.0)]))
        assert not as_made.should_stop(3, curves(*self.others[:3], [(10, 0.0)]))
        assert as_made.rungs(0) == as_made.rungs(7) == ()

    def test_leaves_the_ends_alone(self) -> None:
        far = [[(5, 0.5), (100, 0.9)]] * 4
        assert not self.rule.should_stop(4, curves(*far, [(9, 0.0)]))
        assert not self.rule.should_stop(4, curves(*far, [(100, 0.0)]))
        assert self.rule.should_stop(4, curves(*far, [(99, 0.0)]))
