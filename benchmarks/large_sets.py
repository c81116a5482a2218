"""Do data sets of Netflix's and MSD's size go all the way on a small machine, in what time, in how much memory?

    python benchmarks/large_sets.py netflix --work /tmp/large --out benchmarks/results/DATE-large-sets
    python benchmarks/large_sets.py msd --work /tmp/large --out benchmarks/results/DATE-large-sets

Synthetic interactions of the published users x items (463,435 x 17,769 with 57 million, 571,355 x 41,140 with 34) go
through the commands as they are typed: prepare, plan (a search's --dry-run; of EASE, too, whose matrix is items x
items), one cycle of RecVAE trained and scored on all held-out users, evaluate, recommend for every test user. What is
drawn twice is merged, so that the numbers are near the published ones; each row says them. Each step is a process of
its own; its row has the seconds by the clock and the peak of its memory, the sum of the proportional set sizes of the
process and all its children (what Linux says they take together, shared pages once), looked at four times a second.
Steps that have a row are not run again: a recording goes in pieces (`--steps`, `--within` seconds). Above 8 GiB a step
is said to be over.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

GIB = 1 << 30
LIMIT_GIB = 8.0
LOOK_EVERY_S = 0.25
CYCLE = ("--max-passes", "4")
"""Of RecVAE as published: three passes of the encoder, one of the decoder."""
SMALL = (
    "--set", "hidden_dim=200", "--set", "latent_dim=64", "--set", "batch_size=1000", "--set", "encoder_passes=1",
    "--max-passes", "2",
)  # fmt: skip
CHUNK_USERS = 20_000


class Shape(NamedTuple):
    """A data set's size.

    Attributes:
        n_users: users.
        n_items: items.
        n_interactions: about how many.
        least: of a user's interactions.
        options: of `prepare`, beside the source.
    """

    n_users: int
    n_items: int
    n_interactions: int
    least: int
    options: tuple[str, ...]


SHAPES = {
    "netflix": Shape(
        463_435, 17_769, 57_000_000, 5, ("--min-user-interactions", "5", "--held-out-users", "40000"),
    ),
    "msd": Shape(
        571_355, 41_140, 34_000_000, 20,
        ("--min-user-interactions", "20", "--min-item-interactions", "200", "--held-out-users", "50000"),
    ),
}  # fmt: skip


def draws_of(weights: np.ndarray, share: np.ndarray, shape: Shape) -> np.ndarray:
    """Return how many items each user draws, in proportion to weights, so that what is left when those drawn twice are
    merged is the shape's number of interactions."""
    most = int(shape.n_items * 0.3)
    grid = np.unique(np.geomspace(1, most, 200).astype(np.int64))
    distinct = np.array([-np.expm1(n * np.log1p(-share)).sum() for n in grid])

    def draws(factor: float) -> np.ndarray:
        wanted = weights / weights.sum() * shape.n_interactions * factor
        counts: np.ndarray = np.clip(wanted, shape.least * 1.5, most).astype(np.int64)
        return counts

    low, high = 0.1, 10.0
    for _ in range(40):
        middle = (low + high) / 2
        if np.interp(draws(middle), grid, distinct).sum() < shape.n_interactions:
            low = middle
        else:
            high = middle
    return draws(high)


def write_interactions(path: Path, shape: Shape) -> int:
    """Write distinct (user_id, item_id) rows of a shape, users in turn, and return how many: lognormal users, a power
    law of items over a floor that keeps the rarest above 200 users."""
    random = np.random.default_rng(0)
    law = 1.0 / (np.arange(shape.n_items) + 30.0) ** 0.9
    share = 0.35 / shape.n_items + 0.65 * law / law.sum()
    share /= share.sum()
    edges = np.cumsum(share)
    counts = draws_of(random.lognormal(0, 0.9, size=shape.n_users), share, shape)
    total = 0
    schema = pa.schema({"user_id": pa.int32(), "item_id": pa.int32()})
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for start in range(0, shape.n_users, CHUNK_USERS):
            own = counts[start : start + CHUNK_USERS]
            users = np.repeat(np.arange(start, start + own.size), own)
            items = np.minimum(np.searchsorted(edges, random.random(users.size)), shape.n_items - 1)
            cells = np.unique(users * shape.n_items + items)
            user, item = np.divmod(cells, shape.n_items)
            writer.write_table(
                pa.table({"user_id": user.astype(np.int32), "item_id": item.astype(np.int32)}, schema)
            )
            total += cells.size
    return total


def taken(process: psutil.Process) -> int:
    """Return the bytes that a process and its children take, shared pages once."""
    total = 0
    for each in [process, *process.children(recursive=True)]:
        try:
            text = Path(f"/proc/{each.pid}/smaps_rollup").read_text(encoding="utf-8")
        except OSError:
            continue
        total += next(
            (int(line.split()[1]) << 10 for line in text.splitlines() if line.startswith("Pss:")), 0
        )
    return total


def measured(command: list[str], folder: Path, within_s: float) -> dict[str, object]:
    """Run a command, and return its seconds, peak, exit status and last line."""
    peak, over = 0, threading.Event()
    log = folder / "last.log"
    started = time.perf_counter()
    with log.open("w", encoding="utf-8") as file:
        child = psutil.Popen(command, cwd=folder, stdout=file, stderr=subprocess.STDOUT)

        def look() -> None:
            nonlocal peak
            while not over.wait(LOOK_EVERY_S):
                try:
                    peak = max(peak, taken(psutil.Process(child.pid)))
                except psutil.Error:
                    return

        watcher = threading.Thread(target=look)
        watcher.start()
        try:
            status: int | str = child.wait(timeout=within_s)
        except psutil.TimeoutExpired:
            child.terminate()
            child.wait()
            status = f"ended after {within_s:g} s"
        over.set()
        watcher.join()
    lines = [line.strip() for line in log.read_text(encoding="utf-8").splitlines() if line.strip()]
    return {
        "seconds": round(time.perf_counter() - started, 1), "peak_gib": round(peak / GIB, 2), "status": status,
        "said": " | ".join([*(line for line in lines[:-3] if line.startswith("memory")), *lines[-3:]])[:400],
    }  # fmt: skip


def commands_of(name: str, shape: Shape, threads: int, precision: str, small: bool) -> dict[str, list[str]]:
    """Return each step's command line, in order; the work folder is where they run.

    With `small` RecVAE is a third of its size, and a cycle has one encoder pass: for machines that others keep busy.

    RecVAE's steps bear plain names; those of a popularity model, which trains at once, show what the rest takes.
    """
    program = [sys.executable, "-m", "distrecvae"]

    def after_training(run: str) -> dict[str, list[str]]:
        scored = ["--model", run, "--data", name, "--threads", str(threads)]
        return {
            "evaluate": [*program, "evaluate", *scored],
            "recommend": [*program, "recommend", "--model", run, "--histories", f"{name}-histories.parquet",
                          "--top", "20", "--out", f"{run}-top.parquet"],
        }  # fmt: skip

    popularity = {
        "train": [*program, "train", "--data", name, "--model", "popularity", "--threads", str(threads), "--out",
                  f"{name}-popularity"],
        **after_training(f"{name}-popularity"),
    }  # fmt: skip
    return {
        "prepare": [*program, "prepare", f"{name}.parquet", *shape.options, "--out", name],
        "plan": [*program, "search", "--data", name, "--model", "recvae", "--trials", "4", "--max-passes", "40",
                 "--dry-run"],
        "plan-ease": [*program, "search", "--data", name, "--model", "ease", "--trials", "2", "--dry-run"],
        "train": [*program, "train", "--data", name, "--model", "recvae", *(SMALL if small else CYCLE),
                  "--precision", precision, "--threads", str(threads), "--checkpoint-every", "600", "--out",
                  f"{name}-run"],
        **after_training(f"{name}-run"),
        **{f"popularity-{step}": command for step, command in popularity.items()},
    }  # fmt: skip


def write_histories(work: Path, name: str) -> None:
    """Write what was shown of the test users, by their ids, as `recommend` takes it."""
    folder = work / name
    users = pq.read_table(folder / "users.parquet")
    ids = users.column("user_id").to_numpy()[users.column("group").to_numpy(zero_copy_only=False) == "test"]
    items = pq.read_table(folder / "items.parquet").column("item_id").to_numpy()
    shown = pq.read_table(folder / "test_fold_in.parquet")
    table = pa.table(
        {"user_id": ids[shown.column("user").to_numpy()], "item_id": items[shown.column("item").to_numpy()]}
    )
    pq.write_table(table, work / f"{name}-histories.parquet")


def run(options: argparse.Namespace) -> None:
    shape, work = SHAPES[options.shape], options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    options.out.mkdir(parents=True, exist_ok=True)
    place = options.out / f"{options.shape}.csv"
    rows = list(csv.DictReader(place.open(encoding="utf-8"))) if place.exists() else []
    # EASE's matrix may be more than the machine has: what counts is that the plan says so, and with status 2.
    done = {row["step"] for row in rows if row["status"] == "0" or row["step"] == "plan-ease"}
    source = work / f"{options.shape}.parquet"
    if not source.exists():
        total = write_interactions(source.with_suffix(".part"), shape)
        source.with_suffix(".part").rename(source)
        print(f"{total:,} interactions written", flush=True)
    before: dict[str, Callable[[], None]] = {
        "prepare": lambda: shutil.rmtree(work / options.shape, ignore_errors=True),
        "train": lambda: shutil.rmtree(work / f"{options.shape}-run", ignore_errors=True),
        "popularity-train": lambda: shutil.rmtree(work / f"{options.shape}-popularity", ignore_errors=True),
        "recommend": lambda: write_histories(work, options.shape),
        "popularity-recommend": lambda: write_histories(work, options.shape),
    }
    for step, command in commands_of(
        options.shape, shape, options.threads, options.precision, options.small
    ).items():
        if step in done or step not in options.steps:
            continue
        before.get(step, lambda: None)()
        load = os.getloadavg()[0]
        row = {"step": step, **measured(command, work, options.within), "load_before": round(load, 1)}
        row["command"] = " ".join(["distrecvae", *command[3:]])
        row["over"] = float(str(row["peak_gib"])) > LIMIT_GIB
        if step == "prepare" and (work / options.shape / "dataset.json").exists():
            document = json.loads((work / options.shape / "dataset.json").read_text(encoding="utf-8"))
            row["said"] = json.dumps(
                {name: document[name] for name in ("n_users", "n_items", "n_interactions")}
            )
        rows = [each for each in rows if each["step"] != step] + [row]
        with place.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            writer.writeheader()
            writer.writerows(rows)
        print(row, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    steps = list(commands_of("netflix", SHAPES["netflix"], 1, "auto", small=False))
    parser.add_argument("shape", choices=list(SHAPES))
    parser.add_argument("--steps", nargs="+", choices=steps, default=steps)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--small", action="store_true", help="train a small RecVAE for a short cycle")
    parser.add_argument("--within", type=float, default=540.0, help="seconds that a step may take")
    parser.add_argument("--work", type=Path, required=True, help="folder for the data and the runs, 10 GB")
    parser.add_argument("--out", type=Path, required=True, help="folder for SHAPE.csv")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
