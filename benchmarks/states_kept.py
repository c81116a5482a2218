"""What does it cost that the driver keeps the trials' states, against workers that write them themselves? Minutes.

python benchmarks/states_kept.py --before CHECKOUT --data DIR --out benchmarks/results/2026-11-26-states-kept

CHECKOUT is one of the last version whose workers did. Both run the same search in turn, each time in another order.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

HERE = Path(__file__).parents[1]
SEARCH = (
    "--trials",
    "6",
    "--max-passes",
    "40",
    "--scheduler",
    "none",
    "--sampler",
    "random",
    "--cpus-per-trial",
    "1",
)


def searched(package: Path, data: Path, out: Path, options: list[str]) -> tuple[float, float]:
    """Run a search with the package that lies there; return its seconds, and those of all of its processors."""
    command = [
        sys.executable,
        "-m",
        "distrecvae.search",
        "--data",
        str(data),
        "--out",
        str(out),
        *SEARCH,
        *options,
    ]
    environment = {**os.environ, "PYTHONPATH": str(package), "OMP_NUM_THREADS": "1"}
    used: dict[int, float] = {}
    started = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, cwd=out.parent) as process:
        driver = psutil.Process(process.pid)
        while process.poll() is None:
            with suppress(psutil.Error):
                for each in (driver, *driver.children(recursive=True)):
                    with suppress(psutil.Error):
                        times = each.cpu_times()
                        used[each.pid] = times.user + times.system
            time.sleep(0.2)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended by {process.returncode}")
    return time.perf_counter() - started, sum(used.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("options", nargs="*", help="more options of the searches, after --")
    given = parser.parse_args()
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(given.rounds):
            order = [("before", given.before.resolve()), ("now", HERE)]
            for version, package in order if number % 2 == 0 else reversed(order):
                out = Path(folder) / f"{version}-{number}"
                wall_s, processors_s = searched(package, given.data.resolve(), out, given.options)
                rows.append(
                    {"round": number, "version": version, "wall_s": wall_s, "processors_s": processors_s}
                )
                print(rows[-1], flush=True)
                shutil.rmtree(out)
    given.out.mkdir(parents=True, exist_ok=True)
    with (given.out / "seconds.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    for name in ("wall_s", "processors_s"):
        middle = {
            version: statistics.median(float(str(row[name])) for row in rows if row["version"] == version)
            for version in ("before", "now")
        }
        print(
            f"{name}: before {middle['before']:.1f}, now {middle['now']:.1f}: {middle['now'] / middle['before']:.3f}"
        )


if __name__ == "__main__":
    main()
