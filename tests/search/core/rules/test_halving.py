"""ASHA and Hyperband: their rungs, places and brackets, and that Optuna's successive halving decides the same."""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Sequence
from types import FrameType
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distrecvae.search.core.rules import Curve
from distrecvae.search.core.rules.halving import Asha, Hyperband, rung_passes
from tests.search.core.rules.drawn import at_rung, curves


class TestRungs:
    @pytest.mark.parametrize(
        ("least", "most", "factor", "rungs"),
        [
            (1, 243, 3, (1, 3, 9, 27, 81, 243)),
            (1, 1000, 10, (1, 10, 100, 1000)),
            (1, 1024, 2, (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)),
            (20, 200, 3, (20, 60, 180)),
            (5, 5, 4, (5,)),
            (7, 20, 4, (7,)),
        ],
    )
    def test_are_exact_and_end_with_the_budget(
        self, least: int, most: int, factor: int, rungs: tuple[int, ...]
    ) -> None:
        assert rung_passes(least, most, factor) == rungs

    @pytest.mark.parametrize(("most", "factor"), [(243, 3), (1000, 10)])
    def test_why_not_rays_scheduler(self, most: int, factor: int) -> None:
        """Ray takes the truncated floating-point logarithm of 243 to base 3, which is 4.999..., for 4.

        If Ray mends it, this test fails and its reason for being goes.
        """
        from ray.tune.schedulers import AsyncHyperBandScheduler

        scheduler = AsyncHyperBandScheduler(grace_period=1, max_t=most, reduction_factor=factor)
        (bracket,) = scheduler._brackets
        rays = sorted(milestone for milestone, _ in bracket._rungs)
        assert rays == list(rung_passes(1, most, factor))[:-1]

    @settings(deadline=None)
    @given(st.integers(1, 50), st.integers(0, 2000), st.integers(2, 5))
    def test_are_every_power_within_the_budget(self, least: int, more: int, factor: int) -> None:
        rungs = rung_passes(least, least + more, factor)
        assert rungs == tuple(least * factor**k for k in range(len(rungs)))
        assert rungs[-1] <= least + more < rungs[-1] * factor


class TestAsha:
    rule = Asha(10, 90, 3)

    def test_the_first_at_a_rung_goes_on(self) -> None:
        assert not self.rule.should_stop(0, at_rung(10, [0.0]))

    def test_early_on_only_a_new_best_goes_on(self) -> None:
        """Three values or fewer leave one place: max(1, 3 // 3)."""
        assert not self.rule.should_stop(1, at_rung(10, [0.3, 0.4]))
        assert self.rule.should_stop(1, at_rung(10, [0.3, 0.2]))
        assert self.rule.should_stop(2, at_rung(10, [0.3, 0.4, 0.35]))

    @pytest.mark.parametrize(
        ("n", "places"), [(1, 1), (2, 1), (3, 1), (5, 1), (6, 2), (8, 2), (9, 3), (30, 10)]
    )
    def test_n_values_have_n_thirds_places(self, n: int, places: int) -> None:
        seen = at_rung(10, [float(i) for i in range(n)])
        going_on = [number for number in seen if not self.rule.should_stop(number, seen)]
        assert going_on == list(range(n - places, n))

    def test_equals_share_the_better_rank(self) -> None:
        seen = at_rung(10, [0.5, 0.5, 0.5, 0.4])
        assert [self.rule.should_stop(number, seen) for number in range(4)] == [False, False, False, True]

    def test_judges_only_the_first_report_at_a_rung(self) -> None:
        seen = curves([(10, 0.9)], [(10, 0.1), (11, 0.1)], [(9, 0.1)])
        assert not self.rule.should_stop(1, seen), "report 11 is not the first beyond 10"
        assert not self.rule.should_stop(2, seen), "9 is before the first rung"

    def test_a_cycle_may_step_over_a_rung(self) -> None:
        """With 4 passes a cycle the rung at 10 is judged at 12, by what rivals reported first from 10 on."""
        seen = curves([(4, 0.1), (8, 0.2), (12, 0.5), (16, 0.9)], [(4, 0.1), (8, 0.3), (12, 0.4)])
        assert self.rule.should_stop(1, seen)
        seen = curves([(4, 0.1), (8, 0.2), (12, 0.5), (16, 0.9)], [(4, 0.1), (8, 0.3), (12, 0.6)])
        assert not self.rule.should_stop(1, seen), "0.6 beats the 0.5 at 12, not the 0.9 at 16"

    def test_over_several_rungs_at_once_the_highest_judges(self) -> None:
        seen = curves([(10, 0.9), (30, 0.9)], [(10, 0.8)], [(35, 0.5)])
        assert self.rule.should_stop(2, seen)
        alone_up_there = curves([(10, 0.9)], [(10, 0.8)], [(35, 0.5)])
        assert not self.rule.should_stop(2, alone_up_there), "the first at rung 30, if weak for rung 10"

    def test_at_the_end_of_the_budget_nothing_is_left_to_decide(self) -> None:
        assert self.rule.rungs(0) == (10, 30, 90)
        seen = curves([(89, 0.9), (90, 0.9)], [(89, 0.1), (90, 0.1)])
        assert not self.rule.should_stop(1, seen)

    def test_no_report_no_decision(self) -> None:
        assert not self.rule.should_stop(0, curves([], [(10, 0.5)]))
        assert not self.rule.should_stop(1, curves([], [(10, 0.5)]))

    def test_about_a_third_of_equally_good_trials_pass(self) -> None:
        """Judged on arrival, one after another: of 24 trials, 34 % at factor 3."""
        draw, passed = random.Random(0), 0  # noqa: S311  (no secret)
        for _ in range(400):
            values: list[float] = []
            for number in range(24):
                values.append(draw.random())
                passed += not self.rule.should_stop(number, at_rung(10, values))
        expected = sum(max(1, n // 3) / n for n in range(1, 25)) / 24
        assert 0.33 < expected < 0.35
        assert passed / (400 * 24) == pytest.approx(expected, abs=0.01)

    def test_of_a_thousand_trials_not_every_report_is_looked_at(self) -> None:
        """The driver asks after every report; a report comes every second or so from each worker."""
        rule = Asha(10, 1000, 3)
        seen = curves(*([(10 * (i + 1), i + n / 1000) for i in range(100)] for n in range(1000)))
        seen[5] = Curve(5, seen[5].points[:27])
        steps = 0

        def count(_: FrameType, event: str, __: object) -> Any:
            nonlocal steps
            steps += event == "line"
            return count

        before = sys.gettrace()
        sys.settrace(count)
        try:
            assert rule.should_stop(5, seen)
        finally:
            sys.settrace(before)
        assert 1000 < steps < 20_000, "some lines of code a trial; there are 100,000 reports"


class TestAgainstOptuna:
    """ASHA and `optuna.pruners.SuccessiveHalvingPruner` are one rule where both are defined.

    Alike: rungs min * factor^k; a value counts at a rung as it was at the trial's first report there; stopped trials
    go on counting; of n values, the trial's own included, the best max(1, n // factor) continue, equals sharing the
    better rank. Not alike, and so kept out of the comparison: Optuna looks at the last value (here both are given the
    running best), judges a report that crossed several rungs at each of them (here no cycle is longer than the way
    between two rungs) and at the end of the budget, too (it is not asked there).
    """

    @pytest.mark.parametrize("cycles", [(1,), (4,), tuple(range(1, 9))], ids=["1", "4", "1 to 8"])
    @pytest.mark.parametrize(("least", "factor"), [(8, 2), (4, 3), (5, 4)])
    def test_they_decide_the_same(self, cycles: tuple[int, ...], least: int, factor: int) -> None:
        draw = random.Random(f"{cycles} {least} {factor}")  # noqa: S311  (no secret)
        decisions = stops = 0
        while decisions < 5_000:
            asked, stopped = one_search_of_both(draw, cycles, least, factor)
            decisions, stops = decisions + asked, stops + stopped
        assert stops > 100, "or they only agreed on letting trials continue"


def one_search_of_both(
    draw: random.Random, cycles: Sequence[int], least: int, factor: int
) -> tuple[int, int]:
    """Let both rules judge every report of a search of 40 trials, 6 at a time; return how many, and their stops."""
    budget = least * factor**3
    rule = Asha(least, budget, factor)
    study = optuna.create_study(
        direction="maximize", pruner=optuna.pruners.SuccessiveHalvingPruner(least, factor, 0)
    )
    seen: dict[int, Curve] = {}
    running: list[tuple[optuna.Trial, int]] = []
    decisions = stops = 0
    while len(seen) < 40 or running:
        if len(seen) < 40 and len(running) < 6:
            trial = study.ask()
            seen[trial.number] = Curve(trial.number, ())
            running.append((trial, draw.choice(cycles)))
        trial, cycle = draw.choice(running)
        points = seen[trial.number].points
        passes, best = points[-1] if points else (0, 0.0)
        passes, best = passes + cycle, max(best, round(draw.random(), 2))  # rounded: some are equal
        if passes >= budget:
            running.remove((trial, cycle))
            continue
        seen[trial.number] = Curve(trial.number, (*points, (passes, best)))
        trial.report(best, passes)
        stop = rule.should_stop(trial.number, seen)
        assert stop is trial.should_prune(), (trial.number, seen)
        decisions, stops = decisions + 1, stops + stop
        if stop:
            running.remove((trial, cycle))
    return decisions, stops


class TestHyperband:
    rule = Hyperband(1, 81, 3)

    def test_brackets_skip_the_first_rungs(self) -> None:
        assert self.rule.rungs(0) == (1, 3, 9, 27, 81)
        by_bracket = {self.rule.bracket(n): self.rule.rungs(n) for n in range(200)}
        assert by_bracket == {
            0: (1, 3, 9, 27, 81),
            1: (3, 9, 27, 81),
            2: (9, 27, 81),
            3: (27, 81),
            4: (81,),
        }

    def test_brackets_have_hyperbands_shares(self) -> None:
        """Algorithm 1 of the paper, R = 81, eta = 3: n = ceil(5 / (s + 1) * 3^s) = 81, 34, 15, 8, 5."""
        counts = Counter(self.rule.bracket(n) for n in range(143 * 8))
        for bracket, share in enumerate([81, 34, 15, 8, 5]):
            assert counts[bracket] == pytest.approx(8 * share, abs=8)

    @pytest.mark.parametrize("n", [8, 16, 24, 50])
    def test_the_first_few_trials_are_a_fair_mix(self, n: int) -> None:
        assert sum(self.rule.bracket(i) == 0 for i in range(n)) == pytest.approx(n * 81 / 143, abs=2)

    def test_trials_compete_within_their_bracket(self) -> None:
        zero, one = ([n for n in range(40) if self.rule.bracket(n) == b][:2] for b in (0, 1))
        seen = {
            n: Curve(n, ((3, value),)) for n, value in zip([*zero, *one], [0.9, 0.8, 0.2, 0.1], strict=True)
        }
        assert [self.rule.should_stop(n, seen) for n in [*zero, *one]] == [False, True, False, True]

    def test_the_last_bracket_is_never_judged(self) -> None:
        last = next(n for n in range(200) if self.rule.bracket(n) == 4)
        assert not self.rule.should_stop(last, {n: Curve(n, ((80, float(n != last)),)) for n in range(200)})
