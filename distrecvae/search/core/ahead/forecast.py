"""How long a search still takes, and how sure that is: what its rule stops is counted. No Ray in here, and no clock.

The trials to come are drawn many times from what is known of those before, laid on the workers, and timed. A trial that
still runs has not been stopped so far: so it is counted among those that passed each rung behind it (as in a
Kaplan-Meier estimate), where the mean of the trials that ended would know of the short ones only, or of the long ones.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from random import Random
from statistics import fmean

from distrecvae.activity import GRAM
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.records import BAD, Status, TrialRecord
from distrecvae.search.core.rules import MedianRule, StoppingRule
from distrecvae.words import duration

DRAWS = 60
MOST_DRAWN = 6000
"""Trials in all draws together, at most: of very long searches the draws are fewer, and differ less."""
LEAST_DRAWS = 12
PRIOR = 2.0
"""How many trials' weight has what the rule would do to trials that are equally good."""
GRID = 10
"""Where a rule judges every report, a trial's course is looked at in so many parts."""
KEEPS_ON = (0.5, 0.93)
"""The share of trials that such a rule leaves alone in the first of them, and in a later one, where trials are equally
good: half of them are below the median."""
NARROW = 1.25
"""The limits are said where they are further apart than this ratio."""


@dataclass(frozen=True)
class Forecast:
    """What is still to go, in seconds.

    Attributes:
        low_s: nineteen of twenty draws take longer.
        likely_s: half of the draws do.
        high_s: one of twenty does.
    """

    low_s: float
    likely_s: float
    high_s: float

    def text(self) -> str:
        """Return it in words."""
        said = f"about {duration(self.likely_s)} to go"
        if self.likely_s < 60 or self.high_s <= NARROW * self.low_s:
            return said
        return f"{said} ({duration(self.low_s)} to {duration(self.high_s)})"

    def less(self, passed_s: float) -> Forecast:
        """Return it so many seconds later."""
        return Forecast(*(max(0.0, each - passed_s) for each in (self.low_s, self.likely_s, self.high_s)))

    def within(self, left_s: float) -> Forecast:
        """Return it where a time budget ends the search after so many seconds at the latest."""
        left_s = max(0.0, left_s)
        return Forecast(min(self.low_s, left_s), min(self.likely_s, left_s), min(self.high_s, left_s))


def forecast(
    records: Collection[TrialRecord],
    config: SearchConfig,
    rule: StoppingRule,
    *,
    trials: int,
    trial_passes: int,
    at_once: int,
    overhead: float = 1.0,
) -> Forecast | None:
    """Return what is to be expected; None before any trial has come to its first rung, or ended.

    Args:
        records: the trials so far.
        config: the search's settings.
        rule: what stops trials.
        trials: how many there will be in all.
        trial_passes: data passes that each gets at most.
        at_once: workers.
        overhead: seconds by the clock for each second of training and evaluation.
    """
    known = _Known(records, config, rule, trial_passes)
    if not known.timed:
        return None
    first = known.grid(0)[0] if known.grid(0) else max(1, trial_passes // 5)
    if not any(r.reports and (r.status is not Status.RUNNING or r.passes >= first) for r in records):
        return None
    to_come = max(0, trials - len(records))
    running = [record for record in records if record.status is Status.RUNNING]
    n_draws = min(DRAWS, max(LEAST_DRAWS, MOST_DRAWN // max(1, to_come + len(running))))
    random = Random(0)  # noqa: S311  (the same search is told the same)
    drawn = sorted(_makespan(known, running, to_come, max(1, at_once), random) for _ in range(n_draws))
    low, likely, high = (drawn[round(share * (n_draws - 1))] * overhead for share in (0.05, 0.5, 0.95))
    return Forecast(low, likely, high)


def forecast_of_solving(records: Collection[TrialRecord], *, trials: int, at_once: int) -> Forecast | None:
    """Return what is to be expected of trials that are one long step each, before any of them has reported.

    Args:
        records: the trials so far.
        trials: how many there will be in all.
        at_once: workers.

    Returns:
        None while no worker says what is to go of its step.
    """
    solving = [r for r in records if _step_left_s(r) is not None and r.share < 1]
    if not solving:
        return None
    whole_s = fmean((r.step_to_go_s or 0.0) / (1 - r.share) for r in solving)
    left_s = [_step_left_s(r) for r in records if r.status is Status.RUNNING]
    under_way = [whole_s if each is None else each for each in left_s]
    likely_s = _laid([*sorted(under_way, reverse=True), *[whole_s] * max(0, trials - len(records))], at_once)
    return Forecast(likely_s, likely_s, likely_s)


def _step_left_s(record: TrialRecord) -> float | None:
    """Return the seconds until the first report of a trial that is solved at once; None where they are not known."""
    if record.status is not Status.RUNNING or record.reports or record.doing == GRAM:
        return None
    return record.step_to_go_s


class _Known:
    """What the trials so far say of those to come."""

    def __init__(
        self, records: Collection[TrialRecord], config: SearchConfig, rule: StoppingRule, trial_passes: int
    ) -> None:
        self.trial_passes = trial_passes
        self._rule, self._config = rule, config
        self.timed = [record for record in records if record.duration_s > 0]
        self._pace = {record.number: record.duration_s / record.passes for record in self.timed}
        ended = sum(r.status is not Status.RUNNING for r in records)
        bad = [r.passes for r in records if r.status in BAD]
        self._bad = [max(1, passes) for passes in bad]
        self._bad_share = len(bad) / (ended + PRIOR) if bad else 0.0
        self._arrived: dict[int, int] = {}
        self._went_on: dict[int, float] = {}
        self._expected: dict[int, float] = {}
        for record in self.timed:
            if record.max_passes is not None:
                continue  # no rule looks at it
            grid = self.grid(record.number)
            reached = bisect_right(grid, record.passes)
            stopped = record.status is Status.STOPPED and record.reason.startswith(config.scheduler)
            for place, at in enumerate(grid[:reached]):
                n = self._arrived[at] = self._arrived.get(at, 0) + 1
                self._expected[at] = self._expected.get(at, 0.0) + self._alike(n, place)
                on = not (stopped and place == reached - 1)
                self._went_on[at] = self._went_on.get(at, 0.0) + on

    def grid(self, number: int) -> tuple[int, ...]:
        """Return the passes at which the trial may be stopped, increasing."""
        if isinstance(self._rule, MedianRule):
            first = self._rule.min_passes
            marks = (first + (self.trial_passes - first) * place // GRID for place in range(GRID))
            return tuple(sorted(set(marks)))
        return tuple(rung for rung in self._rule.rungs(number) if rung < self.trial_passes)

    def _alike(self, n: int, place: int) -> float:
        """Return how likely the n-th trial at a rung continues, were all equally good; `place`: which rung, from 0."""
        if isinstance(self._rule, MedianRule):
            return 1.0 if n <= self._rule.min_trials else KEEPS_ON[place > 0]
        return max(1, n // self._config.reduction_factor) / n

    def chances(self, to_come: int, random: Random) -> dict[int, float]:
        """Return for each rung how likely a trial continues there: a draw from what may be so."""
        found, arriving = {}, float(to_come)
        for place, at in enumerate(sorted({each for number in range(8) for each in self.grid(number)})):
            arrived = self._arrived.get(at, 0)
            usual = self._alike(max(1, round(arrived + arriving / 2)), place)
            better = (self._went_on.get(at, 0.0) + PRIOR * usual) / (
                self._expected.get(at, 0.0) + PRIOR * usual
            )
            likely, weight = min(0.98, usual * better), arrived + PRIOR
            found[at] = random.betavariate(1e-3 + likely * weight, 1e-3 + (1 - likely) * weight)
            arriving *= likely
        return found

    def end_of(self, number: int, passes: int, chances: dict[int, float], random: Random) -> int:
        """Return how many passes a trial gets in all that has had so many: a draw."""
        for at in self.grid(number):
            if at > passes and random.random() >= chances[at]:
                return at
        return self.trial_passes

    def own_pace(self, record: TrialRecord) -> float | None:
        """Return the seconds a pass of a trial that has reported; None else."""
        return self._pace.get(record.number)

    def spoiled(self, random: Random) -> int | None:
        """Return after how many passes a trial diverges or fails, if it does: a draw."""
        return random.choice(self._bad) if random.random() < self._bad_share else None


class _Paces:
    """Seconds a pass of trials to come: those before, some of them twice, as another search might have seen them."""

    def __init__(self, known: _Known, random: Random) -> None:
        self._known, self._random = known, random
        self._seen = random.choices(known.timed, k=len(known.timed))
        self._far: dict[int, list[float]] = {}

    def of(self, passes: int) -> float:
        """Return the seconds a pass of one of the trials that got as far, or may do so; of any where none did.

        Those that run must be among them: the first ones to get far are the fast ones.
        """
        if passes not in self._far:
            far = [r for r in self._seen if r.passes >= passes or r.status is Status.RUNNING] or self._seen
            self._far[passes] = [self._known.own_pace(record) or 0.0 for record in far]
        return self._random.choice(self._far[passes])


def _makespan(
    known: _Known, running: Sequence[TrialRecord], to_come: int, at_once: int, random: Random
) -> float:
    chances, paces = known.chances(to_come, random), _Paces(known, random)
    under_way = []
    for record in running:
        most = record.max_passes
        end = most or known.end_of(record.number, record.passes, chances, random)
        pace = known.own_pace(record) or paces.of(end)
        if (left_s := _step_left_s(record)) is not None and end <= 1:
            under_way.append(left_s)
            continue
        # On average half of the cycle under way is done.
        cycle = record.passes / int(record.reports[-1]["cycle"]) if record.reports else 0.0
        under_way.append(max(0.0, (end - record.passes - cycle / 2) * pace))
    new = _new_ones(known, len(running), to_come, chances, paces, random)
    return _laid([*sorted(under_way, reverse=True), *new], at_once)


def _laid(trials_s: Iterable[float], at_once: int) -> float:
    """Return how long trials of these seconds take that are begun in this order on so many workers."""
    free, over = [0.0] * at_once, 0.0
    for seconds in trials_s:
        until = heapq.heappop(free) + seconds
        heapq.heappush(free, until)
        over = max(over, until)
    return over


def _new_ones(
    known: _Known, begun: int, to_come: int, chances: dict[int, float], paces: _Paces, random: Random
) -> list[float]:
    found = []
    for number in range(begun, begun + to_come):
        passes = known.spoiled(random) or known.end_of(number, 0, chances, random)
        found.append(passes * paces.of(passes))
    return found
