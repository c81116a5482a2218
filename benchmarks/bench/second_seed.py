"""Does it pay to train the few best configurations of a search once more, with a second seed, before one is chosen?

    python benchmarks/recvae_bench.py second-seed --seeds 100 --out results.csv

Each search is replayed once, to a cost. Beside it: the same search, ended so much sooner that its N best trials (of
those that were trained to their end) can be trained once more by the same cost, all workers sharing that; the one with
the best mean of both is chosen. A row a search and N: what was lost of the gap, by the true score of what would be
handed over.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bench.compare import MOST
from bench.methods import METHODS
from bench.replay import SPACE_OF_BENCH, Training, replay
from bench.surrogate import SURROGATES, Surrogate, features, load
from distrecvae.rng import derive_seed
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.records import Status

FEW = (1, 2, 3, 5)
"""How many are trained once more."""


@dataclass
class Standing:
    """A trial by some moment: its best report, what that is truly worth, and whether it was trained to its end."""

    seen: float
    true: float
    finished: bool


class Watching:
    """Notes how each trial stood at each moment of a replay."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, int, float, float, bool]] = []
        self.configs: dict[int, Any] = {}

    def __call__(self, now: float, ledger: Ledger, number: int, true: float) -> None:
        """Take in a report."""
        record = ledger.records[number]
        seen = float(next(iter(record.reports[-1:]))["valid/ndcg_100"])
        self.configs[number] = record.config
        self.heard.append((now, number, seen, true, record.status is Status.FINISHED))

    def at(self, until: float) -> dict[int, Standing]:
        """Return how each trial stood then."""
        found: dict[int, Standing] = {}
        for now, number, seen, true, finished in self.heard:
            if now > until:
                break
            before = found.get(number)
            if before is None or seen > before.seen:
                found[number] = Standing(seen, true, finished)
            else:
                before.finished = finished
        return found


def judged(table: str, surrogate: Surrogate, workers: int, seed: int, most: float) -> list[dict[str, Any]]:
    """Return a row for each number of trials that are trained once more, and one for none."""
    watching = Watching()
    replay(METHODS["default"], surrogate, seed=seed, workers=workers, most=most, hear=watching)
    gap = surrogate.best - surrogate.published
    row: dict[str, Any] = {"table": table, "workers": workers, "seed": seed}
    chosen = max(watching.at(most).values(), key=lambda each: each.seen)
    rows = [{**row, "again": 0, "cost": 0.0, "lost": (surrogate.best - chosen.true) / gap, "other": False}]
    for few in FEW:
        cost, best = _few(watching, surrogate, few, workers, most)
        pairs = []
        for number, standing in best:
            config = watching.configs[number]
            again = Training(
                number, config, surrogate.max_passes, surrogate, derive_seed(seed, "replay") % 2**31, again=1
            )
            at = int(again.seen.argmax())
            mean = (standing.seen + float(again.seen[at])) / 2
            better = standing.true if standing.seen >= again.seen[at] else float(again.true[at])
            pairs.append((mean, better, number))
        mean, true, number = max(pairs)
        other = number != best[0][0]
        rows.append(
            {**row, "again": few, "cost": cost, "lost": (surrogate.best - true) / gap, "other": other}
        )
    return rows


def _few(
    watching: Watching, surrogate: Surrogate, few: int, workers: int, most: float
) -> tuple[float, list[tuple[int, Standing]]]:
    """Return what it costs to train the best few once more, and these, where search and that together cost `most`."""
    published = features(SPACE_OF_BENCH.default_config())[None]
    whole = float(surrogate.seconds_a_pass(published)[0])
    for now in sorted({heard[0] for heard in watching.heard if heard[4]}, reverse=True):
        standings = {n: each for n, each in watching.at(now).items() if each.finished}
        best = sorted(standings.items(), key=lambda each: -each[1].seen)[:few]
        costs = [
            float(surrogate.seconds_a_pass(features(watching.configs[number])[None])[0]) / whole
            for number, _ in best
        ]
        cost = max(max(costs), sum(costs) / workers)
        if now + cost <= most:
            return cost, best
    raise AssertionError("no trial was trained to its end in time")


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tables", default="few-users,few-items,many-items,ml-latest-small")
    parser.add_argument("--workers", default="1,8")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args(argv)
    rows: list[dict[str, Any]] = []
    for table in arguments.tables.split(","):
        surrogate = load(table, SURROGATES)
        for workers in (int(text) for text in arguments.workers.split(",")):
            for seed in range(arguments.seeds):
                rows += judged(table, surrogate, workers, seed, MOST[workers])
        pd.DataFrame(rows).to_csv(arguments.out, index=False, float_format="%.5g")
    frame = pd.DataFrame(rows)
    print(frame.groupby(["table", "workers", "again"], sort=False)[["lost", "cost", "other"]].mean().round(3))
    print(frame.groupby(["workers", "again"], sort=False)[["lost", "cost", "other"]].mean().round(3))
