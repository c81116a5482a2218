"""Replays many searches of each method and writes what they cost: a row a search.

    python benchmarks/recvae_bench.py compare --methods default,random --seeds 100 --out results.parquet

A search that is in the file already is not run again, so it may be stopped at any moment.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.forest import PREFIX, Forest, load_forest
from bench.methods import METHODS
from bench.replay import Course, Method, replay
from bench.surrogate import SURROGATES, Surrogate, load
from bench.syne import PEERS, Peer, replay_peer
from bench.transfer import told

SHARES = (0.5, 0.9, 0.95)
"""Of the gap between the published point and the table's best."""
MOST = {1: 20.0, 8: 5.0}
"""Workers, and whole trainings by the clock after which a search is over."""
POINTS = 40


def judge(table: str, folder: Path) -> Surrogate | Forest:
    """Return the table as a function: by trees where its name begins with `forest:`."""
    name = table.removeprefix(PREFIX)
    return load(name, folder) if name == table else load_forest(name)


def costs(course: Course, surrogate: Surrogate | Forest) -> dict[str, float]:
    """Return what it cost, by the clock and in passes, to close each share of the gap."""
    gap = surrogate.best - surrogate.published
    found: dict[str, float] = {}
    for share in SHARES:
        cost, passes = course.reached(surrogate.published + share * gap)
        found |= {f"cost_{share * 100:.0f}": cost, f"passes_{share * 100:.0f}": passes}
    return found


def row(
    method: Method | Peer, table: str, surrogate: Surrogate | Forest, workers: int, seed: int, until: float
) -> dict[str, Any]:
    """Return what one search cost, and the share of the gap that was left open along its way."""
    most = MOST[workers]
    started = time.process_time()
    limits: dict[str, Any] = {"seed": seed, "workers": workers, "most": most, "until": until}
    if isinstance(method, Peer):
        course = replay_peer(method, surrogate, **limits)
    else:
        course = replay(told(method, table), surrogate, **limits)
    gap = surrogate.best - surrogate.published
    grid = most * np.arange(1, POINTS + 1) / POINTS
    open_share = (surrogate.best - course.at(grid)) / gap
    return {
        "method": method.name,
        "table": table,
        "workers": workers,
        "seed": seed,
        **costs(course, surrogate),
        "regret": [round(float(r), 4) for r in open_share],
        "trials": course.trials,
        "widened": course.widened,
        "thought_s": time.process_time() - started,
    }


def summary(frame: pd.DataFrame, share: str = "90") -> pd.DataFrame:
    """Return the median cost by method (rows), workers and table (columns); infinity where half the searches failed."""
    table = frame.pivot_table(
        index="method", columns=["workers", "table"], values=f"cost_{share}", aggfunc="median", sort=False
    )
    return table.round(2)


def intervals(frame: pd.DataFrame, against: str = "default", draws: int = 2000) -> pd.DataFrame:
    """Return a row for each method, table and workers: the median cost of 90 % and its share of that of `against`.

    `low` and `high` bound the share's 95 % bootstrap interval, over seeds drawn anew for each of the two. Where half of
    the searches never got there the median is infinity; so is a share of it, and one against it is 0.
    """
    random = np.random.default_rng(0)
    costs = {
        key: rows["cost_90"].to_numpy(float)
        for key, rows in frame.groupby(["method", "table", "workers"], sort=False)
    }
    medians = {
        key: np.median(each[random.integers(len(each), size=(draws, len(each)))], axis=1)
        for key, each in costs.items()
    }
    found = []
    for (method, table, workers), each in costs.items():
        told = {
            "method": method, "table": table, "workers": workers, "seeds": len(each),
            "reached": np.isfinite(each).mean(), "cost_90": np.median(each),
        }  # fmt: skip
        if (base := (against, table, workers)) in costs:
            with np.errstate(invalid="ignore"):
                shares = np.nan_to_num(
                    medians[method, table, workers] / medians[base], nan=1.0, posinf=np.inf
                )
                told["share"] = told["cost_90"] / np.median(costs[base])
            told["low"], told["high"] = np.quantile(shares, (0.025, 0.975), method="nearest")
        found.append(told)
    return pd.DataFrame(found).round(3)


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--methods", default="default,random,tpe-alone,asha-alone,hyperband")
    parser.add_argument("--tables", default="few-users,few-items,many-items,ml-latest-small")
    parser.add_argument("--workers", default="1,8")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument(
        "--until", type=float, default=1.0, help="end searches that closed such a share of the gap"
    )
    parser.add_argument("--surrogates", type=Path, default=SURROGATES)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args(argv)
    rows: list[dict[str, Any]] = []
    if arguments.out.exists():
        rows = [{str(k): v for k, v in r.items()} for r in pd.read_parquet(arguments.out).to_dict("records")]
    made = {(r["method"], r["table"], r["workers"], r["seed"]) for r in rows}
    known: Mapping[str, Method | Peer] = {**METHODS, **PEERS}
    for name in arguments.methods.split(","):
        for table in arguments.tables.split(","):
            surrogate = judge(table, arguments.surrogates)
            for workers in (int(text) for text in arguments.workers.split(",")):
                for seed in range(arguments.seeds):
                    if (name, table, workers, seed) not in made:
                        rows.append(row(known[name], table, surrogate, workers, seed, arguments.until))
        beside = arguments.out.with_suffix(".tmp")
        pd.DataFrame(rows).to_parquet(beside, index=False, compression="zstd")
        beside.rename(arguments.out)
    frame = pd.DataFrame(rows)
    frame = frame[frame["method"].isin(arguments.methods.split(","))]
    with pd.option_context("display.width", 200, "display.max_columns", 30):
        print(summary(frame))
        print(frame.groupby("method", sort=False)[["thought_s", "trials"]].mean().round(2))
