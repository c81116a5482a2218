"""Can it be said how likely a stopped trial would have beaten the best? Searches replayed, whose trials go on here.

    python benchmarks/recvae_bench.py chances record --seeds 20 --out searches.parquet
    python benchmarks/recvae_bench.py chances judge --searches searches.parquet --out folder

The first replays searches and writes a row each: all curves, reported or not, and what the sampler's process expects of
whole trainings where a rung judges a trial, and of all trials at a few moments. The second (`calibration.py`) holds
chances made of that to what came. A search that is in the file already is not replayed again.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bench import calibration
from bench.compare import judge
from bench.forest import Forest
from bench.methods import METHODS
from bench.replay import Method, Training, replay
from bench.surrogate import SURROGATES, Surrogate, features
from bench.transfer import told as told_likely
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.guided.guide import MOST_REPORTS, TOLD_ALWAYS, Guide, told
from distrecvae.search.core.guided.sampler import GuidedSampler
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.rules import StoppingRule, make_rule

MOST = {1: 12.0, 8: 2.0}
"""Workers, and whole trainings by the clock after which a replay is over: some 30 trials."""
SNAPSHOTS = (0.5, 0.95)
"""Shares of the replay after which it is asked of all stopped trials what is expected of them."""

Array = npt.NDArray[np.float64]


def stretch_of(guide: Guide) -> tuple[float, float, float, float]:
    """Return the greatest value, the median distance from it, and mean and deviation, by which a guide sees values."""
    known = guide.known
    ranks = np.argsort(np.argsort([-each.curve[-1][1] for each in known], kind="stable"))
    order = sorted(range(len(ranks)), key=lambda i: (min(ranks[i], TOLD_ALWAYS), -known[i].number))
    values = np.array([report[1] for i in order for report in told(known[i].curve)][:MOST_REPORTS])
    off = values.max() - values
    scale = float(np.median(off)) or 1.0
    y = -np.log1p(off / scale)
    return float(values.max()), scale, float(y.mean()), float(y.std()) or 1.0


class Watching:
    """Writes down a replay's reports, and what is expected of its trials; keeps their trainings.

    Args:
        method: that searches.
        max_passes: of a whole training.
        at: when all trials are asked about, in whole trainings by the clock.
    """

    def __init__(self, method: Method, max_passes: int, at: list[float]) -> None:
        self.rule, self._most, self._at = rule_of(method, max_passes), max_passes, at
        self._expected = method.space.expected()
        self.trainings: dict[int, Training] = {}
        self.places: dict[int, Array] = {}
        self.reported: list[int] = []
        self.judged: list[dict[str, Any]] = []
        self.asked: list[dict[str, Any]] = []
        self.thought_s = 0.0

    def train(self, number: int, config: Mapping[str, Any], *rest: Any) -> Training:
        """Make a trial's training."""
        self.trainings[number] = Training(number, config, *rest)
        self.places[number] = features(config)
        return self.trainings[number]

    def __call__(self, now: float, ledger: Ledger, number: int, _: float) -> None:
        """Take in a report."""
        self.reported.append(number)
        moment = {"event": len(self.reported) - 1}
        judged = self.rule.judge(number, ledger.curves())
        if judged is not None:
            said = self._said(ledger, [number])
            self.judged.append(
                {**moment, "number": number, "rung": judged.passes, "stops": judged.stops, **said}
            )
        if self._at and now >= self._at[0]:
            self._at.pop(0)
            self.asked.append({**moment, "now": now, **self._said(ledger, None)})

    def _said(self, ledger: Ledger, numbers: list[int] | None) -> dict[str, Any]:
        """Return what is expected of these trials or all; empty lists where too few have ended."""
        started = time.process_time()
        guide = GuidedSampler(0, self._most, self._expected).guide(ledger.study(), len(ledger.records))
        if guide is None:
            return {"numbers": [], "means": [], "spreads": [], "stretch": []}
        means, spreads = guide.ends()
        wanted = [i for i, each in enumerate(guide.known) if numbers is None or each.number in numbers]
        self.thought_s += time.process_time() - started
        return {
            "numbers": [guide.known[i].number for i in wanted],
            "means": means[wanted].tolist(),
            "spreads": spreads[wanted].tolist(),
            "stretch": list(stretch_of(guide)),
        }


def rule_of(method: Method, max_passes: int) -> StoppingRule:
    """Return the rule that a method's replay stops by."""
    config = SearchConfig(trials=1, max_passes=max_passes, sampler=method.sampler, scheduler=method.scheduler)
    return make_rule(config.scheduler, config.first_rung, config.most_passes, config.reduction_factor)


def row(method: Method, table: str, surrogate: Surrogate | Forest, workers: int, seed: int) -> dict[str, Any]:
    """Return what a search went through: its reports in order, all curves, and what was expected when."""
    most, method = MOST[workers], told_likely(method, table)
    watching = Watching(method, surrogate.max_passes, [most * share for share in SNAPSHOTS])
    started = time.process_time()
    replay(method, surrogate, seed=seed, workers=workers, most=most, hear=watching, train=watching.train)
    trainings = [watching.trainings[number] for number in range(len(watching.trainings))]
    return {
        "method": method.name,
        "table": table,
        "workers": workers,
        "seed": seed,
        "max_passes": surrogate.max_passes,
        "took_s": time.process_time() - started,
        "thought_s": watching.thought_s,
        "reported": watching.reported,
        "passes": [each.passes.tolist() for each in trainings],
        "seen": [each.seen.tolist() for each in trainings],
        "places": [watching.places[number].tolist() for number in range(len(trainings))],
        "judged": watching.judged,
        "asked": watching.asked,
    }


def record(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="recvae_bench.py chances record")
    parser.add_argument("--methods", default="guided-likely,guided")
    parser.add_argument("--tables", default="few-users,few-items,many-items,ml-latest-small")
    parser.add_argument("--workers", default="1,8")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--surrogates", type=Path, default=SURROGATES)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args(argv)
    known = pd.read_parquet(arguments.out) if arguments.out.exists() else pd.DataFrame()
    keys = ["method", "table", "workers", "seed"]
    made = set(known[keys].itertuples(index=False, name=None)) if len(known) else set()
    for name in arguments.methods.split(","):
        for table in arguments.tables.split(","):
            surrogate = judge(table, arguments.surrogates)
            rows = [
                row(METHODS[name], table, surrogate, workers, seed)
                for workers in (int(text) for text in arguments.workers.split(","))
                for seed in range(arguments.seeds)
                if (name, table, workers, seed) not in made
            ]
            known = pd.concat([known, pd.DataFrame(rows)], ignore_index=True)
            beside = arguments.out.with_suffix(".tmp")
            known.to_parquet(beside, index=False, compression="zstd")
            beside.rename(arguments.out)
            print(name, table, len(rows), f"{time.process_time():.0f} s", flush=True)


STEPS: Mapping[str, Callable[[list[str]], None]] = {"record": record, "judge": calibration.main}


def main(argv: list[str]) -> None:
    if not argv or argv[0] not in STEPS:
        raise SystemExit(__doc__)
    STEPS[argv[0]](argv[1:])
