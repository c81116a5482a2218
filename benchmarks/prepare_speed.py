"""How long does `distrecvae prepare` take for a CSV of MovieLens-20M's shape, and how much memory?

Writes a synthetic ratings file (138,493 users, 26,744 items, half-star ratings, timestamps, grouped by user)
into a temporary folder, prepares it in a child process under the published protocol, reads the result back,
and prints wall times and the child's peak resident memory as CSV. The file is removed at the end.

    python benchmarks/prepare_speed.py --rows 20000000 --threads 2 --out results.csv
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

N_USERS, N_ITEMS = 138_493, 26_744


def write_ratings(path: Path, n_rows: int, seed: int = 0) -> int:
    """Write about `n_rows` distinct (user, movie) ratings to `path` and return how many."""
    random = np.random.default_rng(seed)
    weight = random.lognormal(0, 1.1, size=N_USERS)
    per_user = np.maximum(20, weight / weight.sum() * n_rows * 1.45).astype(np.int64)
    popularity = 1.0 / np.arange(1, N_ITEMS + 1) ** 0.9
    edges = np.cumsum(popularity / popularity.sum())
    users = np.repeat(np.arange(1, N_USERS + 1), per_user)
    movies = np.minimum(np.searchsorted(edges, random.random(users.size)), N_ITEMS - 1)
    cells = np.sort(users * N_ITEMS + random.permutation(N_ITEMS)[movies])
    cells = cells[np.concatenate([[True], cells[1:] != cells[:-1]])]
    if cells.size > n_rows:
        cells = cells[np.sort(random.choice(cells.size, n_rows, replace=False, shuffle=False))]
    with path.open("wb") as file:
        file.write(b"userId,movieId,rating,timestamp\n")
        for start in range(0, cells.size, 2_000_000):
            user, movie = np.divmod(cells[start : start + 2_000_000], N_ITEMS)
            table = pa.table(
                {
                    "userId": user,
                    "movieId": movie * 5 + 1,  # MovieLens' ids have gaps
                    "rating": random.integers(1, 11, size=user.size) / 2,
                    "timestamp": 1_100_000_000 + random.integers(0, 10**8, size=user.size),
                }
            )
            pacsv.write_csv(table, file, pacsv.WriteOptions(include_header=False))
    return int(cells.size)


def measured(command: list[str], threads: int) -> tuple[float, int]:
    """Run `command` and return its wall time in seconds and its peak resident memory in bytes."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "ARROW_IO_THREADS": str(threads)}
    started = time.perf_counter()
    child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{command} ended with {child.returncode}")
    return time.perf_counter() - started, usage.ru_maxrss * 1024


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--gzip", action="store_true", help="also measure the file gzipped")
    parser.add_argument("--out", type=Path, help="CSV file for the results")
    options = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory(prefix="distrecvae-prepare-") as name:
        folder = Path(name)
        source = folder / "ratings.csv"
        # Written by another process: a child's peak memory begins at its parent's, so this one stays small.
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as writer_process:
            n_rows = writer_process.submit(write_ratings, source, options.rows).result()
        sources = [source]
        if options.gzip:
            subprocess.run(["gzip", "-1", "--keep", str(source)], check=True)
            sources.append(source.with_suffix(".csv.gz"))
        python = [sys.executable, "-c"]
        for path in sources:
            out = folder / f"prepared-{path.name}"
            prepare = "from distrecvae.cli import main; main()"
            arguments = ["prepare", str(path), "--preset", "ml-20m", "--out", str(out)]
            load = f"from distrecvae.data.io import load_dataset; load_dataset({str(out)!r})"
            for step, command in (("prepare", [*python, prepare, *arguments]), ("load", [*python, load])):
                duration_s, memory_bytes = measured(command, options.threads)
                results.append(
                    {
                        "step": step,
                        "source": path.name,
                        "rows": n_rows,
                        "source_bytes": path.stat().st_size,
                        "threads": options.threads,
                        "duration_s": round(duration_s, 2),
                        "peak_memory_bytes": memory_bytes,
                    }
                )
                print(results[-1], flush=True)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        with options.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(results[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(results)


if __name__ == "__main__":
    main()
