"""Successive halving: at rungs of a geometric budget the best share of the trials continues.

Sources: ASHA is Li et al., A System for Massively Parallel Hyperparameter Tuning (MLSys 2020); Hyperband is
Li et al., Hyperband (JMLR 2018).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from operator import itemgetter

from distrecvae.search.core.rules.curves import Curve, Judgement, StoppingRule, require_budget


@dataclass(frozen=True)
class Asha(StoppingRule):
    """Asynchronous successive halving: at each rung the best 1 / `reduction_factor` of the trials continue.

    Rungs are min_passes * reduction_factor^k, not beyond `max_passes`. A trial's value at a rung
    is its running best at its first report with at least that many passes. It is judged at that report only;
    if a cycle crossed several rungs, at the highest. It continues if its rank among the values at the rung is
    at most max(1, floor(n / reduction_factor)), n being the number of values, its own included, and equal
    values sharing the better rank. So the first trial at a rung always continues, and so does the best so far.

    Floor is the rule of ASHA's Algorithm 2, applied once, on arrival, because the rule revives no stopped trial.
    Of 24 equally good trials 34 % pass at factor 3; rounding up would pass 40 %, and for the same cost find
    no better model (docs/spaces.md). Ray compares with an interpolated percentile of the earlier values,
    close to rounding up. Optuna's SuccessiveHalvingPruner decides the same where both can be asked: a test
    holds it.
    """

    min_passes: int
    max_passes: int
    reduction_factor: int = 3

    def __post_init__(self) -> None:
        require_budget(self.min_passes, self.max_passes, self.reduction_factor)

    def rungs(self, number: int) -> tuple[int, ...]:  # noqa: ARG002  (the same for every trial)
        """Return the rungs; at one that equals `max_passes` nothing is left to decide."""
        return rung_passes(self.min_passes, self.max_passes, self.reduction_factor)

    def judge(self, number: int, curves: Mapping[int, Curve]) -> Judgement | None:
        """Return what the last report of trial `number` is held to, if it is its first at a rung."""
        return _halve(
            curves[number], curves.values(), self.rungs(number), self.max_passes, self.reduction_factor
        )


@dataclass(frozen=True)
class Hyperband(StoppingRule):
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
        require_budget(self.min_passes, self.max_passes, self.reduction_factor)

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
