"""Does a long search stay flat: memory of driver and workers, time a trial costs beside its training? Takes minutes.

python benchmarks/many_trials.py --out benchmarks/results/2026-11-25-many-trials
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import statistics
import tempfile
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any

import matplotlib
import psutil
from rich.console import Console

from distrecvae.data.io import save_dataset
from distrecvae.data.synthetic import synthetic_split
from distrecvae.search import course, launch
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.records import Status, TrialRecord
from distrecvae.search.watchers.progress import Progress

SPACE = """
model: recvae
parameters:
  latent_dim: {type: int, low: 4, high: 16, step: 4}
  learning_rate: {type: float, low: 1.0e-4, high: 1.0e-2, log: true}
  mixture_weights: {type: simplex, components: [standard, previous, wide]}
  gamma: {type: float, low: 5.0e-4, high: 5.0e-2, log: true}
fixed: {hidden_dim: 24, batch_size: 50}
default: {latent_dim: 8}
"""
MEMORY_EVERY = 10
WARM_UP = 50


class Clock(Progress):
    """Notes when trials end and begin, as the driver sees it, and what its processes hold."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.trials: list[list[float]] = []
        self.after: list[str] = []
        self.memory: list[list[float]] = []
        self._free: deque[tuple[float, str]] = deque()
        self._begun: dict[int, tuple[float, str, float]] = {}
        self._ended = 0
        clocks.append(self)

    def started(self, record: TrialRecord) -> None:
        """Note which slot the trial takes: the one that is free for longest."""
        if self._free:
            self._begun[record.number] = (*self._free.popleft(), time.monotonic())

    def reported(self, record: TrialRecord) -> None:
        """Reckon the first step's beginning from the first report."""
        if len(record.reports) == 1 and record.number in self._begun:
            freed, after, asked = self._begun.pop(record.number)
            first_step = time.monotonic() - record.duration_s
            self.trials.append([record.number, first_step - freed, asked - freed, record.duration_s])
            self.after.append(after)

    def ended(self, record: TrialRecord) -> None:
        """Note a slot that became free, and now and then the memory."""
        self._free.append((time.monotonic(), str(record.status)))
        self._ended += 1
        if self._ended % MEMORY_EVERY == 0:
            me = psutil.Process()
            used = [me.memory_full_info()]
            for process in me.children(recursive=True):
                # What a worker forks to run a program is there for a moment under its name.
                with suppress(psutil.Error):
                    if process.name().startswith("ray::Implicit"):
                        used.append(process.memory_full_info())
            shared = sum(getattr(u, "shared", 0) for u in used[1:])
            self.memory.append(
                [
                    self._ended,
                    time.monotonic(),
                    used[0].rss,
                    used[0].uss,
                    max((u.rss for u in used[1:]), default=0),
                    max((u.uss for u in used[1:]), default=0),
                    shared,
                    len(used) - 1,
                ]
            )

    def refresh(self) -> None:
        """Show nothing."""


clocks: list[Clock] = []


def slope(rows: list[list[float]], column: int) -> float:
    """Return the least-squares growth of a column by trial, warm-up left out."""
    kept = [row for row in rows if row[0] > WARM_UP]
    return statistics.linear_regression([row[0] for row in kept], [row[column] for row in kept]).slope


def plot(clock: Clock, path: Path) -> None:
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4))
    for column, name in ((3, "driver"), (5, "larger worker")):
        left.plot([row[0] for row in clock.memory], [row[column] / 2**20 for row in clock.memory], label=name)
    left.set(xlabel="trials ended", ylabel="memory of its own (USS), MiB", ylim=(0, None))
    left.legend()
    numbers = [row[0] for row in clock.trials]
    right.plot(numbers, [row[1] for row in clock.trials], ".", ms=3, label="end to the next first step")
    right.plot(numbers, [row[2] for row in clock.trials], ".", ms=3, label="of it until the suggestion")
    right.set(xlabel="trial", ylabel="seconds", yscale="log")
    right.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--trials", type=int, default=500)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix="many"))
    os.environ["RAY_TMPDIR"] = str(place)
    save_dataset(synthetic_split(n_users=400, n_items=120, seed=1), place / "data", {"source": "synthetic"})
    (place / "space.yaml").write_text(SPACE)
    config = SearchConfig(
        data=str(place / "data"),
        space=str(place / "space.yaml"),
        trials=options.trials,
        max_passes=12,
        min_passes=4,
        concurrent=2,
        seed=3,
    )
    vars(course)["Progress"] = Clock
    load = os.getloadavg()[0]
    started = time.monotonic()
    done = launch.search(
        config, place / "out", resume=False, console=Console(quiet=True), verbose=False, command="many_trials"
    )
    took = time.monotonic() - started
    clock = clocks[0]
    assert done.complete
    assert all(r.status in (Status.FINISHED, Status.STOPPED) for r in clock._ledger.records.values())
    with (options.out / "trials.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["trial", "overhead_s", "until_suggested_s", "first_cycle_s", "after_a_trial"])
        for row, after in zip(clock.trials, clock.after, strict=True):
            writer.writerow([int(row[0]), *(round(value, 4) for value in row[1:]), after])
    with (options.out / "memory.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        head = ["ended", "at_s", "driver_rss", "driver_uss", "worker_rss", "worker_uss", "workers_shared"]
        writer.writerow([*head, "workers"])
        writer.writerows(
            [int(row[0]), round(row[1] - started, 2), *map(int, row[2:])] for row in clock.memory
        )
    plot(clock, options.out / "flat.png")
    print(
        f"{options.trials} trials in {took:.0f} s; load average {load:.1f} before, {os.getloadavg()[0]:.1f} after"
    )
    for low in range(0, options.trials, options.trials // 5):
        part = [row for row in clock.trials if low <= row[0] < low + options.trials // 5]
        overhead, suggested = (statistics.median([row[column] for row in part]) for column in (1, 2))
        print(
            f"trials {low:4d}+: median overhead {overhead:.3f} s, {suggested:.3f} s of it until the suggestion"
        )
    for status in sorted(set(clock.after)):
        times = [row[1] for row, after in zip(clock.trials, clock.after, strict=True) if after == status]
        print(
            f"after a trial that was {status}: median overhead {statistics.median(times):.3f} s of {len(times)}"
        )
    for column, name in ((2, "driver RSS"), (3, "driver USS"), (4, "worker RSS"), (5, "worker USS")):
        last = clock.memory[-1][column] / 2**20
        print(
            f"{name}: {slope(clock.memory, column) / 1024:+.2f} KiB a trial after {WARM_UP}, {last:.0f} MiB at the end"
        )
    shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()
