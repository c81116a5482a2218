"""Says what further search can be expected to bring, at what cost, and whether that is enough: from the ledger alone.

The best of the trials' scores lie about as those of a normal distribution do (`distrecvae.selection.fitted`). What
further trials bring is what the best of as many draws has over the best so far. Ending a search where that is not worth
its cost is Makarova et al., "Automatic Termination for Hyperparameter Optimization" (AutoML 2022), whose bound on the
regret comes from a Gaussian process, and Lee et al., "Cost-Sensitive Freeze-thaw Bayesian Optimization" (NeurIPS 2025),
whose user states a price; here it is one of an hour, in the metric. Trials to come are taken to be like those before: a
sampler that still learns makes them better, ranges that are used up make them worse. What that is worth was measured on
recorded curves (benchmarks/results, 2026-11-26-enough).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from statistics import NormalDist

from distrecvae.search.core.records import BAD, Status, TrialRecord, leading
from distrecvae.selection import fitted
from distrecvae.words import counted, duration

LEAST_TRIALS = 10
"""Trials that have ended before anything is said: as many as samplers take to start with."""
REACH = 6.0
"""Gains are looked at up to so many standard deviations of the scores; greater ones do not count."""
POINTS = 120
HOUR_S = 3600.0
ENOUGH = "enough"
"""What the name of the search's own request begins with that ends it."""
_NORMAL = NormalDist()


@dataclass(frozen=True)
class Further:
    """What further trials can be expected to bring.

    Attributes:
        trials: how many.
        seconds: by the clock, while as many run at once as do now.
        gain: of the validation score that chooses, expected.
        deviation: the standard deviation of that gain.
        chance: how likely there is any.
        per_hour: what the next trial can be expected to bring, for each hour that trials like it take: later ones
            bring less.
    """

    trials: int
    seconds: float
    gain: float
    deviation: float
    chance: float
    per_hour: float

    def text(self) -> str:
        """Return it in words: +0.0004 ± 0.0006 for 1.9 hours more."""
        return f"{self.gain:+.4f} ± {self.deviation:.4f} expected for {duration(self.seconds)} more"

    def sentence(self, title: str) -> str:
        """Return it as a sentence; `title` is the metric's."""
        return (
            f"{counted(self.trials, 'more trial', 'more trials')} (about {duration(self.seconds)}) can be expected to"
            f" bring {self.gain:+.4f} ± {self.deviation:.4f} validation {title}, anything at all with"
            f" {self.chance:.0%} probability."
        )


def further(records: Collection[TrialRecord], *, trials: int, at_once: int) -> Further | None:
    """Return what so many further trials can be expected to bring; None while too little is known.

    Args:
        records: the trials so far.
        trials: how many more, at least 1.
        at_once: how many run at once.
    """
    best, scores, cost_s = leading(records), *_comparable(records)
    if len(scores) < LEAST_TRIALS or best is None or best.score is None or not cost_s:
        return None
    mean, deviation = fitted(scores)
    start = (best.score - mean) / deviation if deviation else math.inf
    apart_s = cost_s / max(1, at_once)
    gain, spread = (each * deviation for each in _gain(start, trials))
    return Further(
        trials=trials,
        seconds=trials * apart_s,
        gain=gain,
        deviation=spread,
        chance=1 - _NORMAL.cdf(start) ** trials,
        per_hour=_gain(start, 1)[0] * deviation * HOUR_S / apart_s,
    )


def is_enough(records: Collection[TrialRecord], price: float, *, at_once: int) -> Further | None:
    """Return what the next trial can be expected to bring where that is less than `price` an hour; None else.

    Args:
        records: the trials so far.
        price: of an hour by the clock, in the metric.
        at_once: how many run at once.
    """
    expected = further(records, trials=1, at_once=at_once)
    return expected if expected is not None and expected.per_hour < price else None


def said_enough(answers: Mapping[str, tuple[bool, str]]) -> str:
    """Return why a search asked for no other trial, in its ledger's answers; empty where it did not."""
    said = [text for name, (done, text) in answers.items() if done and name.startswith(f"{ENOUGH} ")]
    return said[-1].partition(": ")[0] if said else ""


def _comparable(records: Collection[TrialRecord]) -> tuple[list[float], float]:
    """Return the scores of trials that ended, and of those that run and got as far, and the seconds that one takes.

    Where many run at once, the first ones to end are the weak ones; without those that go on, all would look weak.
    """
    ended = [record for record in records if record.status is not Status.RUNNING]
    least = min((each.passes for each in ended if each.status not in BAD), default=math.inf)
    counted_too = [r for r in records if r.status is Status.RUNNING and r.passes >= least]
    known = ended + counted_too
    if len(ended) < LEAST_TRIALS:
        return [], 0.0
    scores = [record.score for record in known if record.score is not None]
    return scores, sum(record.duration_s for record in records) / len(known)


def _gain(start: float, trials: int) -> tuple[float, float]:
    """Return mean and standard deviation of what the best of so many normal draws has over `start`, or 0.

    It is above y with probability 1 - cdf(start + y)^trials, whose integral over y is the mean.
    """
    if math.isinf(start):
        return 0.0, 0.0
    step = REACH / POINTS
    middles = [(place + 0.5) * step for place in range(POINTS)]
    above = [1 - _NORMAL.cdf(start + y) ** trials for y in middles]
    mean = sum(above) * step
    square = sum(2 * y * each for y, each in zip(middles, above, strict=True)) * step
    return mean, math.sqrt(max(0.0, square - mean**2))
