"""Makes a row of each moment at which a stopped trial is asked about: what was known, and whether it would have won.

`stopped` moments are those at which a rung stops a trial; at an `asked` one all trials are asked about that stand
stopped. The best is the greatest report by then, and a trial wins whose whole curve has a greater one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Array = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


class Searched:
    """A replayed search, as `chances.record` wrote it.

    Args:
        row: its row.
    """

    def __init__(self, row: Any) -> None:
        self.row = row
        self.passes = [np.asarray(each) for each in row.passes]
        self.seen = [np.asarray(each) for each in row.seen]
        self.best = [np.maximum.accumulate(np.asarray(each)) for each in row.seen]
        self.judged = {int(each["event"]): each for each in row.judged}
        self.asked = {int(each["event"]): each for each in row.asked}

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield its moments."""
        n_reports = np.zeros(len(self.passes), np.int64)
        standing: dict[int, int] = {}
        for event, number in enumerate(self.row.reported):
            n_reports[number] += 1
            standing.pop(number, None)
            judged = self.judged.get(event)
            if judged is not None and judged["stops"]:
                standing[number] = int(judged["rung"])
                yield self._row("stopped", event, int(number), standing[number], n_reports, judged)
            if event in self.asked:
                for each, rung in sorted(standing.items()):
                    yield self._row("asked", event, each, rung, n_reports, self.asked[event])

    def at(self, number: int, passes: float) -> float:
        """Return a trial's best after so many passes, between reports by a line."""
        return float(np.interp(passes, np.append(0, self.passes[number]), np.append(0.0, self.best[number])))

    def _row(
        self, kind: str, event: int, number: int, rung: int, n_reports: Counts, said: dict[str, Any]
    ) -> dict[str, Any]:
        heard: list[int] = np.flatnonzero(n_reports).tolist()
        values = np.array([self.best[i][n_reports[i] - 1] for i in heard])
        passes, value = (
            int(self.passes[number][n_reports[number] - 1]),
            self.best[number][n_reports[number] - 1],
        )
        whole = [i for i in heard if n_reports[i] == len(self.passes[i])]
        there = np.array([self.at(i, passes) for i in heard if self.passes[i][n_reports[i] - 1] >= passes])
        place = list(said["numbers"]).index(number) if number in said["numbers"] else None
        z = np.nan
        if place is not None:
            _, _, mean, deviation = said["stretch"]
            z = (said["means"][place] + mean / deviation) / said["spreads"][place]
        row = self.row
        return {
            "method": row.method, "table": row.table, "workers": row.workers, "seed": row.seed, "kind": kind,
            "event": event, "number": number, "rung": rung, "passes": passes, "max_passes": row.max_passes,
            "value": value, "before": self.at(number, passes / 3), "best": values.max(), "n_trials": len(heard),
            "off": float(np.median(values.max() - values)), "rank": int((there > value).sum()), "n_there": len(there),
            "leader_there": there.max(), "z": z,
            **self._errors(event, rung, set(whole)), **self._curves(whole, passes, values),
            "noise": self._noise(heard, n_reports), "margin": self._margin(values),
            "won": bool(self.best[number][-1] > values.max()),
        }  # fmt: skip

    def _noise(self, heard: Sequence[int], n_reports: Counts) -> float:
        """Return about how much a report jumps: by those in the later halves of curves, against their neighbours."""
        jumps = [np.zeros(0)]
        for i in heard:
            seen = self.seen[i][n_reports[i] // 2 : n_reports[i]]
            jumps.append(seen[1:-1] - (seen[:-2] + seen[2:]) / 2)
        found = np.concatenate(jumps)
        return float(np.median(np.abs(found)) / 0.6745 * np.sqrt(2 / 3)) if len(found) else np.nan

    @staticmethod
    def _margin(values: Array) -> float:
        """Return how far the best stands before the next ones (the mean of the second to the fourth)."""
        top = np.sort(values)[::-1]
        return float(top[0] - top[1:4].mean()) if len(top) > 1 else np.nan

    def _errors(self, event: int, rung: int, whole: set[int]) -> dict[str, float]:
        """Return how far off the process was, at that rung, about trials that are whole by now: powers' sums.

        Errors are in its own deviations, cut at 6.
        """
        errors = []
        for earlier, each in self.judged.items():
            number = int(each["number"])
            if earlier <= event and each["rung"] == rung and number in whole and len(each["means"]):
                end = stretched(self.best[number][-1], each["stretch"])
                errors.append((end - each["means"][0]) / each["spreads"][0])
        cut = np.clip(errors, -6, 6)
        return {f"errors_{k}": float((cut**k).sum()) for k in range(3)}

    def _curves(self, whole: Sequence[int], passes: int, values: Array) -> dict[str, float]:
        """Return what whole trials had after so many passes (x), and in the end (y): sums of products.

        Both from the best, in the trials' median distance from it, cut at 20.
        """
        best, off = values.max(), max(float(np.median(values.max() - values)), 1e-4)
        x = np.clip((np.array([self.at(i, passes) for i in whole]) - best) / off, -20, 20)
        y = np.clip((np.array([self.best[i][-1] for i in whole]) - best) / off, -20, 20)
        return {
            "curves_n": float(len(whole)), "curves_x": x.sum(), "curves_y": y.sum(), "curves_xx": x @ x,
            "curves_xy": x @ y, "curves_yy": y @ y,
        }  # fmt: skip


def stretched(value: float, stretch: Sequence[float]) -> float:
    """Return a value as the process saw values when it stretched them so; one far above all it saw is cut."""
    highest, scale, mean, deviation = stretch
    return float((-np.log1p(max((highest - value) / scale, -0.999)) - mean) / deviation)


def moments(searches: pd.DataFrame) -> pd.DataFrame:
    """Return the moments of these searches."""
    return pd.DataFrame([row for each in searches.itertuples() for row in Searched(each).rows()])
