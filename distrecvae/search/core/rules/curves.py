"""What a stopping rule is asked and answers: the curves of the trials so far, and what a report is held to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from distrecvae.errors import ConfigError


@dataclass(frozen=True)
class Curve:
    """What is known of one trial.

    Attributes:
        number: the trial's number.
        points: (passes, running best) of each report, passes strictly increasing; greater is better.
    """

    number: int
    points: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Judgement:
    """What a rule held a trial to at one of its reports.

    Attributes:
        passes: where: a rung, or as many as the report has.
        value: the trial's running best there.
        values: the values that it was compared with by trial, its own among them where the rule counts it.
        bar: below it, the trial ends.
    """

    passes: int
    value: float
    values: Mapping[int, float]
    bar: float

    @property
    def stops(self) -> bool:
        """Whether the trial ends."""
        return self.value < self.bar

    @property
    def holder(self) -> int | None:
        """The trial whose value the bar is, the earliest of equals; None where it is nobody's own."""
        return min((number for number, value in self.values.items() if value == self.bar), default=None)


class StoppingRule(Protocol):
    """Decides which trials end before their budget is spent. A rule inherits from this and says what it judges by.

    All rules keep to this, and `TestEveryRule` (`tests/search/core/rules/test_names.py`) holds them to it: the same
    curves give the same answer, the best of all is never stopped, nothing ends before `min_passes` or at `max_passes`,
    and a greater value is never worse off.
    """

    def judge(self, number: int, curves: Mapping[int, Curve]) -> Judgement | None:
        """Return what the last report of trial `number` is held to, or None where it is not judged.

        Args:
            number: the trial that has reported.
            curves: of every known trial, its own among them; one that was asked for and has not reported has no points.
        """

    def rungs(self, number: int) -> tuple[int, ...]:
        """Return the passes at which trial `number` is judged, increasing; empty for a rule without rungs."""

    def should_stop(self, number: int, curves: Mapping[int, Curve]) -> bool:
        """Tell whether trial `number` ends now, judged by its last report; `curves` has every known trial."""
        judgement = self.judge(number, curves)
        return judgement is not None and judgement.stops


def require_budget(min_passes: int, max_passes: int, reduction_factor: int = 2) -> None:
    """Refuse a budget that no rule can judge by.

    Raises:
        ConfigError: passes that are not whole numbers with 1 <= min <= max, or a factor below 2.
    """
    settings: tuple[tuple[str, object, int], ...] = (
        ("min_passes", min_passes, 1),
        ("max_passes", max_passes, 1),
        ("reduction_factor", reduction_factor, 2),
    )
    for name, value, least in settings:
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ConfigError(f"{name}={value!r} must be a whole number, at least {least}")
    if min_passes > max_passes:
        raise ConfigError(
            f"min_passes={min_passes} is above max_passes={max_passes}; the first rung must be within it"
        )
