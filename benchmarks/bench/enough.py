"""Judges what the search says of further search (`search/core/ahead/enough.py`), and when it would end by itself.

    python benchmarks/recvae_bench.py enough --seeds 20 --out results.csv

Each search is replayed once, without an end, and asked after each trial what the package says of its ledger: with
`--enough` it goes the same way up to there. A row a search and price: when it would have ended, and when hindsight
would have ended that very search, and all searches of that table at one moment; what is lost is the true score less the
price of the clock. A row a search and moment: the gain that was expected, and the one that came.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bench.methods import METHODS
from bench.replay import SPACE_OF_BENCH, replay
from bench.surrogate import SURROGATES, Surrogate, features, load
from distrecvae.search.core.ahead.enough import HOUR_S, Further, further
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.records import Status

MOST = {1: 30.0, 8: 6.0}
"""Workers, and whole trainings by the clock after which a replay is over."""
PRICES = {1: (0.1, 0.05, 0.025), 8: (0.5, 0.25, 0.12)}
"""Of a whole training by the clock, in the gap between the published point and the table's best."""
MOMENTS = (0.2, 0.3, 0.45)
"""Of the replay, at which expectation and gain are held to each other."""
SHARES = (0.1, 1.0)
"""Further trials that are asked about, in those before."""

Array = npt.NDArray[np.float64]


class Asking:
    """Asks, after each trial of a replay, what further search can be expected to bring."""

    def __init__(self, workers: int, most: float) -> None:
        self.workers, self.moments = workers, [most * share for share in MOMENTS]
        self.at: list[float] = []
        self.per_hour: list[float] = []
        self.asked: list[tuple[float, float, Further]] = []
        self.seen: list[tuple[float, float]] = []

    def __call__(self, now: float, ledger: Ledger, number: int, _: float) -> None:
        """Take in a report."""
        records = ledger.records
        self.seen.append((now, max(record.best[-1] for record in records.values() if record.best)))
        if records[number].status is Status.RUNNING:
            return
        next_one = further(records.values(), trials=1, at_once=self.workers)
        if next_one is None:
            return
        self.at.append(now)
        self.per_hour.append(next_one.per_hour)
        while self.moments and now >= self.moments[0]:
            self.moments.pop(0)
            for share in SHARES:
                trials = max(1, round(share * len(records)))
                expected = further(records.values(), trials=trials, at_once=self.workers)
                assert expected is not None
                self.asked.append((now, share, expected))

    def best_at(self, now: float) -> float:
        """Return the best validation score by then."""
        return max(best for at, best in self.seen if at <= now)


def judged(table: str, surrogate: Surrogate, workers: int, seeds: int) -> tuple[list[dict[str, Any]], ...]:
    """Return rows on the ends, and on the expectations, of so many replays."""
    most, gap = MOST[workers], surrogate.best - surrogate.published
    published = features(SPACE_OF_BENCH.default_config())[None]
    whole_s = float(surrogate.seconds_a_pass(published)[0]) * surrogate.max_passes
    grid = most * np.arange(1, 301) / 300
    made, expectations = [], []
    for seed in range(seeds):
        asking = Asking(workers, most)
        course = replay(METHODS["default"], surrogate, seed=seed, workers=workers, most=most, hear=asking)
        made.append((course, asking))
        for now, share, said in asking.asked:
            until = now + said.seconds / whole_s
            if until <= most:
                came = asking.best_at(until) - asking.best_at(now)
                row = {"table": table, "workers": workers, "seed": seed, "share": share, "at": now}
                row |= {"expected": said.gain, "deviation": said.deviation, "chance": said.chance}
                expectations.append({**row, "came": came})
    together = np.mean([course.at(grid) for course, _ in made], axis=0)
    ends = []
    for share in PRICES[workers]:
        price = share * gap
        one_moment = float(grid[np.argmax(together - price * grid)])
        for seed, (course, asking) in enumerate(made):
            below = np.flatnonzero(np.array(asking.per_hour) / HOUR_S * whole_s < price)
            end = asking.at[below[0]] if below.size else most
            worth = course.true - price * course.costs
            row = {"table": table, "workers": workers, "price": share, "seed": seed}
            row |= {"end": end, "hindsight": float(course.costs[np.argmax(worth)]), "one_moment": one_moment}
            for name, at in (("lost", end), ("lost_at_one_moment", one_moment)):
                row[name] = float((worth.max() - course.at(at) + price * at) / gap)
            ends.append(row)
    return ends, expectations


def ends_summary(ends: pd.DataFrame) -> pd.DataFrame:
    """Return medians over searches by table, workers and price; what is lost as means, in gaps."""
    ends = ends.assign(
        ratio=ends["end"] / ends["hindsight"],
        within_a_fifth=(ends["end"] / ends["hindsight"] - 1).abs() <= 0.2,
        one_moment_within=(ends["one_moment"] / ends["hindsight"] - 1).abs() <= 0.2,
    )
    return ends.groupby(["table", "workers", "price"], sort=False).agg(
        searches=("seed", "size"), end=("end", "median"), hindsight=("hindsight", "median"),
        earliest=("hindsight", lambda each: each.quantile(0.1)), latest=("hindsight", lambda each: each.quantile(0.9)),
        one_moment=("one_moment", "first"), ratio=("ratio", "median"), within_a_fifth=("within_a_fifth", "mean"),
        one_moment_within=("one_moment_within", "mean"), lost=("lost", "mean"),
        lost_at_one_moment=("lost_at_one_moment", "mean"),
    ).reset_index()  # fmt: skip


def calibration(rows: pd.DataFrame) -> pd.DataFrame:
    """Return by table, workers and share what was expected, what came, and how often it lay in the interval."""
    rows = rows.assign(
        inside=(rows["came"] - rows["expected"]).abs() <= rows["deviation"],
        below_two=rows["came"] <= rows["expected"] + 2 * rows["deviation"],
        anything=rows["came"] > 0,
    )
    return rows.groupby(["table", "workers", "share"], sort=False).agg(
        asked=("seed", "size"), expected=("expected", "mean"), came=("came", "mean"), inside=("inside", "mean"),
        below_two=("below_two", "mean"), chance=("chance", "mean"), anything=("anything", "mean"),
    ).reset_index()  # fmt: skip


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tables", default="few-users,few-items,many-items,ml-latest-small")
    parser.add_argument("--workers", default="1,8")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--surrogates", type=Path, default=SURROGATES)
    parser.add_argument("--out", type=Path, required=True, help="a folder, for four CSV files")
    arguments = parser.parse_args(argv)
    arguments.out.mkdir(parents=True, exist_ok=True)
    ends: list[dict[str, Any]] = []
    expectations: list[dict[str, Any]] = []
    for table in arguments.tables.split(","):
        surrogate = load(table, arguments.surrogates)
        for workers in (int(text) for text in arguments.workers.split(",")):
            some_ends, some = judged(table, surrogate, workers, arguments.seeds)
            ends += some_ends
            expectations += some
            frames = {"ends": pd.DataFrame(ends), "expectations": pd.DataFrame(expectations)}
            frames["ends_summary"] = ends_summary(frames["ends"])
            frames["calibration"] = calibration(frames["expectations"])
            for name, frame in frames.items():
                frame.round(5).to_csv(arguments.out / f"{name}.csv", index=False)
    with pd.option_context("display.width", 200, "display.max_columns", 30):
        print(frames["calibration"].round(4).to_string())
        print(frames["ends_summary"].round(3).to_string())
