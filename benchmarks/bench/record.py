"""Records whole trainings of RecVAE: validation NDCG@100 and CPU seconds at each cycle, for RecVAE-Bench.

    nice -n 19 python benchmarks/recvae_bench.py record --data ../shared/data [--tables few-users,ml-1m] [--share 0/2]

It may be stopped at any moment and started again: each part is a Parquet file of a few configurations, written beside
and renamed, and parts that are there are not recorded again. `--share 0/2` and `--share 1/2` do half each. Tables take
turns, so that all of them are of use early.

CPU seconds are this process's own (`time.process_time`, one thread): work beside it does not count, but it does share
the caches and, where a core is two threads, its units. They say how configurations compare, not what a quiet machine
takes.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from bench.tables import SPACE, TABLES, Table, drawn
from distrecvae.data.dataset import Split
from distrecvae.errors import DivergedError
from distrecvae.metrics import on_validation
from distrecvae.search.space.space import SearchSpace
from distrecvae.training.registry import config_from_dict, make_trainer
from distrecvae.training.trainer import fit

PARTS = Path(__file__).with_name("parts")


def curve(split: Split, space: SearchSpace, number: int, max_passes: int) -> list[dict[str, Any]]:
    """Train the configuration of this number; return a row a cycle, and one without a score if it diverged."""
    drawn_as, config = drawn(space, number)
    trainer = make_trainer("recvae", config_from_dict("recvae", config), split.train, seed=number)
    common = {"number": number, "drawn": drawn_as, **space.flatten(config)}
    rows: list[dict[str, Any]] = []
    reports = fit(trainer, split.valid)
    started = time.process_time()
    while trainer.passes + trainer.passes_per_cycle <= max_passes:
        try:
            report = next(reports)
        except DivergedError:
            rows.append({**common, "passes": trainer.passes, "ndcg_100": float("nan"), "cpu_s": float("nan")})
            break
        now = time.process_time()
        score = report.metrics()[on_validation("ndcg_100")]
        rows.append({**common, "passes": report.passes, "ndcg_100": score, "cpu_s": now - started})
        started = now
    return rows


def part_file(parts: Path, table: Table, first: int) -> Path:
    """Return where the part that begins with this number lies."""
    return parts / table.name / f"{first:05d}.parquet"


def write_part(table: Table, split: Split, space: SearchSpace, first: int, path: Path) -> None:
    """Record a part's configurations; the file appears when all are there."""
    rows = [
        row
        for number in range(first, min(first + table.a_part, table.curves))
        for row in curve(split, space, number, table.max_passes)
    ]
    frame = pd.DataFrame(rows)
    frame = frame.astype(dict.fromkeys(("ndcg_100", "cpu_s"), "float32"))
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(f".{os.getpid()}.tmp")
    frame.to_parquet(beside, index=False, compression="zstd")
    beside.rename(path)


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of ml-latest-small/ and ml-1m/")
    parser.add_argument("--parts", type=Path, default=PARTS)
    parser.add_argument("--tables", default=",".join(TABLES))
    parser.add_argument("--share", default="0/1", help="this process's share: i/n")
    parser.add_argument("--within-s", type=float, default=float("inf"), help="begin no part after so long")
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)
    share, of = (int(text) for text in arguments.share.split("/"))
    space = SearchSpace.load(SPACE)
    tables = [TABLES[name] for name in arguments.tables.split(",")]
    splits: dict[str, Split] = {}
    begun = time.monotonic()
    todo = sorted(
        (table.turn * (first + table.a_part) / table.curves, table.name, first)
        for table in tables
        for number, first in enumerate(range(0, table.curves, table.a_part))
        if number % of == share
    )
    for _, name, first in todo:
        table, path = TABLES[name], part_file(arguments.parts, TABLES[name], first)
        if path.exists():
            continue
        if time.monotonic() - begun > arguments.within_s:
            break
        if name not in splits:
            splits[name] = table.split(arguments.data)
        started = time.process_time()
        write_part(table, splits[name], space, first, path)
        print(f"{name} {first}: {time.process_time() - started:.1f} s", flush=True)
