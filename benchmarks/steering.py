"""How long does a running search of 100 trials take to answer a request? The goal is two seconds, whatever is asked.

    python benchmarks/steering.py --out benchmarks/results/DATE-steering

A real search on this machine, 100 trials of a small RecVAE on synthetic data, is asked something twenty times while its
trials run; the time is from the call of `distrecvae.steer` to its answer.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import distrecvae
from distrecvae.errors import ConfigError
from distrecvae.layout import LEDGER_FILE

GOAL_S = 2.0
TRIALS = 100
ASKED = (
    ("narrow", "learning_rate=0.0002:0.002"), ("widen", "learning_rate=0.0001:0.003"), ("add", "dropout=0.4"),
    ("concurrent", "1"), ("concurrent", "2"), ("trials", "101"), ("trials", "100"), ("stop", "99"), ("go",),
    ("stop", "0"),
)  # fmt: skip
"""The last three are refused as a rule: that is an answer, too."""


@contextmanager
def searching(folder: Path, data: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A search of `TRIALS` trials in a process of its own."""
    command = [
        sys.executable, "-m", "distrecvae.search", "--data", str(data), "--space", "recvae-demo",
        "--trials", str(TRIALS),
        "--max-passes", "400", "--concurrent", "2", "--cpus-per-trial", "1", "--out", str(folder),
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    """Measure, print, and write `answers.csv`."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--out", type=Path, help="folder for answers.csv")
    out = options.parse_args().out
    rows: list[tuple[str, str, bool, float, str]] = []
    with tempfile.TemporaryDirectory() as place:
        data, folder = Path(place) / "data", Path(place) / "search"
        distrecvae.prepare(synthetic=True, users=2000, items=500).save(data)
        with searching(folder, data) as process:
            while (
                not (folder / LEDGER_FILE).exists() or b'"report"' not in (folder / LEDGER_FILE).read_bytes()
            ):
                if process.poll() is not None:
                    sys.exit("the search ended before its first report")
                time.sleep(0.2)
            for action, *words in ASKED * 2:
                begun = time.perf_counter()
                try:
                    answer, done = distrecvae.steer(folder, action, *words), True
                except ConfigError as refused:
                    answer, done = str(refused), False
                rows.append((action, " ".join(words), done, round(time.perf_counter() - begun, 3), answer))
                print(f"{rows[-1][3]:6.3f} s  {action} {' '.join(words)}: {answer}")
                time.sleep(0.5)
    times = sorted(row[3] for row in rows)
    print(f"median {times[len(times) // 2]:.3f} s, longest {times[-1]:.3f} s, load {os.getloadavg()[0]:.0f}")
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        with (out / "answers.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["action", "words", "done", "seconds", "answer"])
            writer.writerows(rows)
    sys.exit(0 if times[-1] <= GOAL_S else 1)


if __name__ == "__main__":
    main()
