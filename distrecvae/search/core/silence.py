"""Decides when a silent trial counts as hung: after many times its usual cycle. No Ray in here, and no clock."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from distrecvae.search.core.records import TrialRecord

NAMED_CYCLES, STOPPED_CYCLES = 10, 40
"""After so many of its usual cycles a silent trial is named; then its worker is stopped."""

NAMED_S, STOPPED_S = 60.0, 300.0
"""And not before: a checkpoint onto slow storage takes its time, too."""

UNLIKE = 10
"""How many times longer a trial's first cycle may take than the longest of the others: configurations differ."""

UNKNOWN_S = 600.0
"""After this long a trial is named where no cycle is known yet; its worker is left alone."""


class Step(Enum):
    """What a silence leads to."""

    NAME = "name"
    STOP = "stop"


class Silent(NamedTuple):
    """A trial that has been silent for too long.

    Attributes:
        number: the trial's.
        silent_s: for how long.
        usual_s: the longest that a cycle of it should take; None where nothing is known.
        step: what to do.
    """

    number: int
    silent_s: float
    usual_s: float | None
    step: Step


def usual_s(record: TrialRecord, records: Mapping[int, TrialRecord]) -> float | None:
    """Return the longest cycle that is to be expected of a trial, seconds; None where no trial has had one."""
    if record.reports:
        return _longest_s(record)
    longest = max((_longest_s(other) for other in records.values()), default=0.0)
    return UNLIKE * longest if longest else None


class Silence:
    """How long each trial that has a worker has said nothing, by the seconds that pass in the driver's loop.

    Those are not the wall's: a driver that was stopped, or a machine that slept, heard nothing meanwhile and must not
    judge by it.

    Args:
        records: the trials.
    """

    def __init__(self, records: Mapping[int, TrialRecord]) -> None:
        self._records = records
        self._silent_s: dict[int, float] = {}
        self._named: set[int] = set()

    def heard(self, number: int) -> None:
        """Note a sign of life: a worker began with the trial, or it reported anything."""
        self._silent_s[number] = 0.0
        self._named.discard(number)

    def over(self, number: int) -> None:
        """Note that the trial has no worker any more."""
        self._silent_s.pop(number, None)
        self._named.discard(number)

    def passed(self, seconds: float) -> list[Silent]:
        """Let time pass; return what has to be named now, once, and whose worker has to be stopped."""
        found = []
        for number in self._silent_s:
            self._silent_s[number] += seconds
            silent = self._silent_s[number]
            if silent < NAMED_S:
                continue
            usual = usual_s(self._records[number], self._records)
            if usual is not None and silent >= max(STOPPED_S, STOPPED_CYCLES * usual):
                found.append(Silent(number, silent, usual, Step.STOP))
            elif number not in self._named and silent >= _named_after_s(usual):
                self._named.add(number)
                found.append(Silent(number, silent, usual, Step.NAME))
        return found


def _named_after_s(usual: float | None) -> float:
    return UNKNOWN_S if usual is None else max(NAMED_S, NAMED_CYCLES * usual)


def _longest_s(record: TrialRecord) -> float:
    """Return the trial's longest cycle, seconds; 0 before the first."""
    return max(
        (float(r.get("train_s", 0.0)) + float(r.get("evaluate_s", 0.0)) for r in record.reports), default=0.0
    )
