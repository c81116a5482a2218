"""The rules that stop weak trials: pure functions of the curves so far, without state, Ray or Optuna.

A rule is asked after every report of a trial and judges that report alone: the same curves give the same
answer again, whatever was asked before, so a search that was interrupted needs the curves back and nothing
else.

Sources: ASHA is Li et al., A System for Massively Parallel Hyperparameter Tuning (MLSys 2020); Hyperband is
Li et al., Hyperband (JMLR 2018); the median rule is Golovin et al., Google Vizier (KDD 2017), section 3.2.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from operator import itemgetter
from statistics import median
from typing import Protocol

from distrecvae.errors import ConfigError, nearest

RULES = ("asha", "hyperband", "median", "none")


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
    """Decides which trials end before their budget is spent."""

    def judge(self, number: int, curves: Mapping[int, Curve]) -> Judgement | None:
        """Return what the last report of trial `number` is held to, or None where it is not judged."""

    def should_stop(self, number: int, curves: Mapping[int, Curve]) -> bool:
        """Tell whether trial `number` ends now, judged by its last report; `curves` has every known trial."""

    def rungs(self, number: int) -> tuple[int, ...]:
        """Return the passes at which trial `number` is judged, increasing; empty for a rule without rungs."""


@dataclass(frozen=True)
class Asha:
    """Asynchronous successive halving: at each rung the best 1 / `reduction_factor` of the trials continue.

    Rungs are min_passes * reduction_factor^k, not beyond `max_passes`. A trial's value at a rung
    is its running best at its first report with at least that many passes. It is judged at that report only;
    if a cycle crossed several rungs, at the highest. It continues if its rank among the values at the rung is
    at most max(1, floor(n / reduction_factor)), n being the number of values, its own included, and equal
    values sharing the better rank. So the first trial at a rung always continues, and so does the best so far.

    Floor is the rule of ASHA's Algorithm 2, applied once, on arrival, because a stopped trial is not revived.
    Of 24 equally good trials 34 % pass at factor 3; rounding up would pass 40 %, and for the same cost find
    no better model (docs/spaces.md). Ray compares with an interpolated percentile of the earlier values,
    close to rounding up. Optuna's SuccessiveHalvingPruner decides the same where both can be asked: a test
    holds it.
    """

    min_passes: int
    max_passes: int
    reduction_factor: int = 3

    def __post_init__(self) -> None:
        _check(self.min_passes, self.max_passes, self.reduction_factor)

    def rungs(self, number: int) -> tuple[int, ...]:  # noqa: ARG002  (the same for every trial)
        """Return the rungs; at one that equals `max_passes` nothing is left to decide."""
        return rung_passes(self.min_passes, self.max_passes, self.reduction_factor)

    def judge(self, number: int, curves: Mapping[int, Curve]) -> Judgement | None:
        """Return what the last report of trial `number` is held to, if it is its first at a rung."""
        return _halve(
            curves[number], curves.values(), self.rungs(number), self.max_passes, self.reduction_factor
        )

    def should_stop(self, number: int, curves: Mapping[int, Curve]) -> bool:
        """Tell whether the last report of trial `number` is its first at a rung and too weak for it."""
        return _stops(self.judge(number, curves))


@dataclass(frozen=True)
class Hyperband:
    """Successive halving in brackets, which judge for the first time at later and later rungs.

    Bracket s leaves out ASHA's first s rungs; its trials compete among themselves. A trial's bracket follows
    from its number alone: brackets get trials in proportion to Hyperband's n_s = ceil((s_max + 1) / (s + 1) *
    eta^s), evenly spread by the van der Corput sequence, so that any first few trials have about the right
    mix. Trial 0 is in the most aggressive bracket.
    """

    min_passes: int
    max_passes: int
    reduction_factor: int = 3

    def __post_init__(self) -> None:
        _check(self.min_passes, self.max_passes, self.reduction_factor)

    def bracket(self, number: int) -> int:
        """Return the bracket of trial `number`: how many of the first rungs it skips."""
        n_rungs = len(rung_passes(self.min_passes, self.max_passes, self.reduction_factor))
        return _bracket(number, n_rungs, self.reduction_factor)

    def rungs(self, number: int) -> tuple[int, ...]:
        """Return the rungs of the trial's bracket."""
        return rung_passes(self.min_passes, self.max_passes, self.reduction_factor)[self.bracket(number) :]

    def judge(self, number: int, curves: Mapping[int, Curve]) -> Judgement | None:
        """Return what the last report of trial `number` is held to in its bracket, if it is its first at a rung."""
        mine = self.bracket(number)
        rivals = (curve for curve in curves.values() if self.bracket(curve.number) == mine)
        return _halve(curves[number], rivals, self.rungs(number), self.max_passes, self.reduction_factor)

    def should_stop(self, number: int, curves: Mapping[int, Curve]) -> bool:
        """Tell whether trial `number`'s last report is its first at a rung and too weak in its bracket."""
        return _stops(self.judge(number, curves))


@dataclass(frozen=True)
class MedianRule:
    """A trial ends when its running best is below the median of the others' at the same passes.

    The others are the trials that got at least that far; what counts is their running best at their last
    report not beyond the trial's passes. Nothing ends before `min_passes`, at `max_passes`, or while there
    are fewer than `min_trials` others.
    """

    min_passes: int
    max_passes: int
    min_trials: int = 4

    def __post_init__(self) -> None:
        _check(self.min_passes, self.max_passes, 2)

    def rungs(self, number: int) -> tuple[int, ...]:  # noqa: ARG002  (every report is judged)
        """Return nothing: every report from `min_passes` on is judged."""
        return ()

    def judge(self, number: int, curves: Mapping[int, Curve]) -> Judgement | None:
        """Return what the last report of trial `number` is held to: the others at as many passes, and their median."""
        if not curves[number].points:
            return None
        passes, value = curves[number].points[-1]
        if not self.min_passes <= passes < self.max_passes:
            return None
        others = {
            curve.number: curve.points[bisect_right(curve.points, passes, key=itemgetter(0)) - 1][1]
            for curve in curves.values()
            if curve.number != number and curve.points and curve.points[0][0] <= passes <= curve.points[-1][0]
        }
        return (
            Judgement(passes, value, others, median(others.values()))
            if len(others) >= self.min_trials
            else None
        )

    def should_stop(self, number: int, curves: Mapping[int, Curve]) -> bool:
        """Tell whether the last report of trial `number` is below the median of the others."""
        return _stops(self.judge(number, curves))


@dataclass(frozen=True)
class Never:
    """Every trial gets its whole budget."""

    def rungs(self, number: int) -> tuple[int, ...]:  # noqa: ARG002
        """Return nothing."""
        return ()

    def judge(self, number: int, curves: Mapping[int, Curve]) -> Judgement | None:  # noqa: ARG002
        """Return None."""
        return None

    def should_stop(self, number: int, curves: Mapping[int, Curve]) -> bool:  # noqa: ARG002
        """Return False."""
        return False


def make_rule(name: str, min_passes: int, max_passes: int, reduction_factor: int = 3) -> StoppingRule:
    """Return the rule called `name`, one of `RULES`.

    Raises:
        ConfigError: an unknown name, passes that are not 1 <= min <= max, or a factor below 2.
    """
    _check(min_passes, max_passes, reduction_factor)
    if name == "asha":
        return Asha(min_passes, max_passes, reduction_factor)
    if name == "hyperband":
        return Hyperband(min_passes, max_passes, reduction_factor)
    if name == "median":
        return MedianRule(min_passes, max_passes)
    if name == "none":
        return Never()
    raise ConfigError(f"unknown scheduler {name!r}; choose from {', '.join(RULES)}{nearest(name, RULES)}")


@lru_cache(maxsize=64)
def rung_passes(min_passes: int, max_passes: int, reduction_factor: int) -> tuple[int, ...]:
    """Return min_passes * reduction_factor^k for every k that stays within `max_passes`.

    No logarithm is taken: its rounding is why Ray's scheduler lacks rung 243 of 1..243 at factor 3.
    """
    rungs = []
    rung = min_passes
    while rung <= max_passes:
        rungs.append(rung)
        rung *= reduction_factor
    return tuple(rungs)


def _stops(judgement: Judgement | None) -> bool:
    return judgement is not None and judgement.stops


def _halve(
    curve: Curve, rivals: Iterable[Curve], rungs: tuple[int, ...], max_passes: int, factor: int
) -> Judgement | None:
    if not curve.points or curve.points[-1][0] >= max_passes:
        return None
    before = curve.points[-2][0] if len(curve.points) > 1 else 0
    reached = bisect_right(rungs, curve.points[-1][0])
    if reached == 0 or rungs[reached - 1] <= before:
        return None
    rung = rungs[reached - 1]
    found = ((rival.number, _value_at(rival, rung)) for rival in rivals)
    values = {number: value for number, value in found if value is not None}
    # Its rank is one more than the number of greater values: it continues where the last place that does is no better.
    last_place = max(1, len(values) // factor)
    bar = sorted(values.values(), reverse=True)[last_place - 1]
    return Judgement(rung, curve.points[-1][1], values, bar)


def _value_at(curve: Curve, rung: int) -> float | None:
    first = bisect_left(curve.points, rung, key=itemgetter(0))
    return curve.points[first][1] if first < len(curve.points) else None


@lru_cache(maxsize=4096)
def _bracket(number: int, n_rungs: int, factor: int) -> int:
    sizes = [-(-n_rungs * factor**s // (s + 1)) for s in reversed(range(n_rungs))]  # rounded up
    # Van der Corput in base 2: the bits of the number, mirrored at the binary point.
    bits = max(number.bit_length(), 1)
    position = Fraction(int(f"{number:0{bits}b}"[::-1], 2), 2**bits) * sum(sizes)
    bracket = 0
    while position >= sizes[bracket]:
        position -= sizes[bracket]
        bracket += 1
    return bracket


def _check(min_passes: int, max_passes: int, reduction_factor: int) -> None:
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
