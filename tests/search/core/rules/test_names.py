"""Every rule by its name, and what all of them keep to."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distrecvae.errors import ConfigError
from distrecvae.search.core.rules import Asha, Curve, Hyperband, MedianRule, StoppingRule
from distrecvae.search.core.rules.names import RULES, Never, make_rule
from tests.search.core.rules.drawn import at_rung, curves

increasing_curve = st.lists(st.tuples(st.integers(1, 12), st.floats(0, 1)), min_size=0, max_size=8).map(
    lambda steps: tuple((sum(s for s, _ in steps[: i + 1]), value) for i, (_, value) in enumerate(steps))
)
many_curves = st.lists(increasing_curve, min_size=1, max_size=12).map(lambda points: curves(*points))


MADE = [*(make_rule(name, 3, 40, 2) for name in RULES), MedianRule(3, 40, 2), Asha(3, 40, 5)]


@pytest.mark.parametrize("rule", MADE, ids=str)
class TestEveryRule:
    """What a search relies on, for whatever `--scheduler` takes."""

    @settings(deadline=None)
    @given(seen=many_curves)
    def test_answers_by_the_curves_alone(self, rule: StoppingRule, seen: dict[int, Curve]) -> None:
        """Asked again, or with the trials in another order, or by a rule made again, it says the same."""
        answers = {number: rule.should_stop(number, seen) for number in seen}
        backwards = dict(reversed(seen.items()))
        assert {number: rule.should_stop(number, backwards) for number in seen} == answers

    @settings(deadline=None)
    @given(seen=many_curves)
    def test_never_stops_the_best_at_its_last_report(
        self, rule: StoppingRule, seen: dict[int, Curve]
    ) -> None:
        top = max((v for c in seen.values() for _, v in c.points), default=0.0)
        for number, curve in seen.items():
            if curve.points and curve.points[-1][1] == top:
                assert not rule.should_stop(number, seen)

    @settings(deadline=None)
    @given(seen=many_curves)
    def test_never_stops_before_the_first_rung_or_at_the_end(
        self, rule: StoppingRule, seen: dict[int, Curve]
    ) -> None:
        for number, curve in seen.items():
            if not curve.points or curve.points[-1][0] < 3 or curve.points[-1][0] >= 40:
                assert not rule.should_stop(number, seen)

    @settings(deadline=None)
    @given(seen=many_curves)
    def test_a_better_value_is_never_worse_off(self, rule: StoppingRule, seen: dict[int, Curve]) -> None:
        for number, curve in seen.items():
            if curve.points and not rule.should_stop(number, seen):
                better = Curve(number, (*curve.points[:-1], (curve.points[-1][0], 2.0)))
                assert not rule.should_stop(number, {**seen, number: better})


def test_never_never_stops() -> None:
    assert not Never().should_stop(1, at_rung(10, [0.9, 0.0]))
    assert Never().rungs(0) == ()


class TestMakeRule:
    def test_makes_every_rule(self) -> None:
        made = {name: make_rule(name, 10, 90, 3) for name in RULES}
        assert made.items() >= {
            "asha": Asha(10, 90, 3), "hyperband": Hyperband(10, 90, 3), "median": MedianRule(10, 90), "none": Never()
        }.items()  # fmt: skip

    def test_no_name_begins_with_another(self) -> None:
        # Who ended a trial is told by how its reason begins: `asha at 40 passes`.
        assert not [(one, two) for one in RULES for two in RULES if one != two and two.startswith(one)]

    @pytest.mark.parametrize(
        ("name", "least", "most", "factor", "message"),
        [
            (
                "ahsa",
                1,
                9,
                3,
                f"choose from {', '.join(RULES)}; did you mean 'asha'?",
            ),
            ("asha", 10, 9, 3, "min_passes=10 is above max_passes=9"),
            ("none", 0, 9, 3, "min_passes=0 must be a whole number, at least 1"),
            ("asha", 1, 9.5, 3, "max_passes=9.5 must be a whole number"),
            ("asha", True, 9, 3, "min_passes=True must be a whole number"),
            ("asha", 1, 9, 1, "reduction_factor=1 must be a whole number, at least 2"),
            ("hyperband", 1, 9, 2.5, "reduction_factor=2.5 must be a whole number, at least 2"),
            ("hyperband", 1, 9, True, "reduction_factor=True must be a whole number, at least 2"),
        ],
    )
    def test_refuses(self, name: str, least: int, most: int, factor: int, message: str) -> None:
        with pytest.raises(ConfigError) as refusal:
            make_rule(name, least, most, factor)
        assert message in str(refusal.value)
        assert "\n" not in str(refusal.value)
