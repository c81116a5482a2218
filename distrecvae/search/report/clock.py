"""Says when a trial's reports were made: the ledger has what each took, and when trials began, ended and continued."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import Any

from distrecvae.search.core.records import TrialRecord
from distrecvae.search.core.requests import REOPENING


@dataclass
class Stint:
    """A part of a trial's training: until it ended, and from there on again, where it continued.

    Attributes:
        begun: when.
        reports: made in it.
        ended: when; None while it has not.
    """

    begun: datetime
    reports: int = 0
    ended: datetime | None = None


def stints_of(lines: Iterable[Mapping[str, Any]]) -> dict[int, list[Stint]]:
    """Return the stints of each trial, in order."""
    found = defaultdict[int, list[Stint]](list)
    for line in lines:
        kind = line["kind"]
        if kind == "steered" and line["done"] and line["what"]["action"] in REOPENING:
            found[line["what"]["trials"][0]].append(Stint(datetime.fromisoformat(line["at"])))
        elif kind == "asked":
            found[line["trial"]].append(Stint(datetime.fromisoformat(line["at"])))
        elif kind == "report":
            found[line["trial"]][-1].reports += 1
        elif kind == "ended":
            found[line["trial"]][-1].ended = datetime.fromisoformat(line["at"])
    return found


def clock(record: TrialRecord, begun: datetime, stints: Iterable[Stint]) -> list[float]:
    """Return when each report was made, in seconds since the search began.

    Reports have durations, not times. Those of a stint that ended are reckoned back from its end, which leaves out what
    it took to start its worker; those of one that runs on from its start.
    """
    each_s = [report["train_s"] + report["evaluate_s"] for report in record.reports]
    found: list[float] = []
    for stint in stints:
        spent = list(accumulate(each_s[len(found) : len(found) + stint.reports]))
        origin = (stint.begun - begun).total_seconds()
        if stint.ended is not None and spent:
            origin = max(origin, (stint.ended - begun).total_seconds() - spent[-1])
        found += [origin + seconds for seconds in spent]
    return found
