"""Decides how many trials run at once after memory ran out: fewer each time that it happens again. No Ray in here."""

from __future__ import annotations

from collections import Counter
from enum import Enum

PAUSES_S = (1.0, 10.0, 60.0)
"""How long a trial that memory ran out under, alone, waits before it is run again the first time, the second, ...: what
took the memory may be somebody else's, and go away."""

WAITS = 30
"""How many times the last pause is waited in addition where the trial before failed so, and none got further since: it
is not the trials that are too large, something else holds the memory."""


class Verdict(Enum):
    """What happens to a trial whose worker was stopped for memory."""

    AGAIN = "again"
    """It continues, as many at once as before."""
    FEWER = "fewer"
    """It continues, and fewer run at once from now on."""
    ALONE = "alone"
    """It continues after a pause: no other trial could have made room."""
    FAILED = "failed"
    """It died alone too often at one place: it does not fit."""


class Room:
    """How many trials may run at once; it shrinks, and the next process that resumes the search starts over.

    Memory may cost several trials at once; that is one time. The first time nothing changes: what took the memory may
    be somebody else's.

    Args:
        at_once: trials at once while memory suffices.

    Attributes:
        at_once: trials at once, now.
        most: trials at once while memory suffices.
    """

    def __init__(self, at_once: int) -> None:
        self.at_once = at_once
        self.most = at_once
        self._times, self._ran, self._closed_until_s = 0, 0, 0.0
        self._gone: set[int] = set()
        """The trials that this time has cost so far; empty once one is on a worker again."""
        self._alone: Counter[int] = Counter()
        self._failed_since = False

    @property
    def shrunk(self) -> bool:
        """Whether fewer may run than at the beginning."""
        return self.at_once < self.most

    def deaths_alone(self, number: int) -> int:
        """Return how often memory ran out under a trial, at one place, while it ran alone."""
        return self._alone[number]

    def open_at(self, now_s: float) -> bool:
        """Tell whether a trial may begin now."""
        return now_s >= self._closed_until_s

    def began(self) -> None:
        """Note that a trial began, or continued, on a worker."""
        self._gone.clear()

    def advanced(self, number: int) -> None:
        """Note that a trial got further: its deaths were at another place."""
        self._alone.pop(number, None)
        self._failed_since = False

    def ran_out(self, number: int, running: int, now_s: float) -> Verdict:
        """Note that a trial's worker was stopped for memory.

        Args:
            number: the trial's.
            running: trials that had a worker then, or were about to, this one counted.
            now_s: a clock that only goes forward, seconds.
        """
        another_time = not self._gone or number in self._gone
        if another_time:
            self._gone.clear()
            self._ran = running
        self._gone.add(number)
        if self._ran <= 1:
            self._alone[number] += 1
            if self._alone[number] > len(PAUSES_S) + (WAITS if self._failed_since else 0):
                self._failed_since = True
                return Verdict.FAILED
            self._closed_until_s = now_s + PAUSES_S[min(self._alone[number], len(PAUSES_S)) - 1]
            return Verdict.ALONE
        self._times += another_time
        if self._times < 2:
            return Verdict.AGAIN
        before = self.at_once
        # What survived has room. Where nothing did, half of it may.
        self.at_once = min(before, max(1, self._ran - len(self._gone), self._ran // 2))
        return Verdict.FEWER if self.at_once < before else Verdict.AGAIN
