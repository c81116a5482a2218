"""How long is a worker held up by sending its state to the driver, against writing it into a file itself? Minutes.

python benchmarks/state_travels.py --out benchmarks/results/2026-11-26-states-kept --mib 1 30 300 2048
"""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import ray
import torch

from distrecvae.saved.places import StateFile
from distrecvae.search.on_ray.keeping import keeping
from distrecvae.search.on_ray.lent import LentState
from distrecvae.search.on_ray.session import ray_session


def seconds(act: Callable[[], object]) -> float:
    """Return how long it takes."""
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--mib", type=int, nargs="+", default=[1, 30, 300])
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    rows: list[list[float]] = []
    with tempfile.TemporaryDirectory() as folder, ray_session(None), keeping(Path(folder)) as keeper:
        sent, written = LentState(keeper, "trials/00000"), StateFile(Path(folder) / "state")
        sent.load()
        for size in given.mib:
            state = {
                f"layer-{number}": torch.rand(size, 1 << 14) for number in range(16)
            }  # 1 MiB in all, each row
            for _ in range(given.rounds):
                pair = (seconds(partial(place.save, state, {})) for place in (written, sent))
                rows.append([size, *pair, seconds(sent.load)])
            mine = [row for row in rows if row[0] == size]
            file_s, keeper_s, lent_s = (
                statistics.median(row[column] for row in mine) for column in (1, 2, 3)
            )
            print(
                f"{size} MiB: into a file {file_s:.3f} s, to the keeper {keeper_s:.3f} s ({keeper_s / file_s:.2f}),"
                f" lent {lent_s:.3f} s",
                flush=True,
            )
        used = ray.cluster_resources()["object_store_memory"]
        print(f"the object store has {used / 2**20:.0f} MiB")
    given.out.mkdir(parents=True, exist_ok=True)
    with (given.out / "states.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["mib", "file_s", "keeper_s", "lent_s"])
        writer.writerows(rows)


if __name__ == "__main__":
    main()
