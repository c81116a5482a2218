"""Simulate nights of searches in which everything goes wrong, and hold them to what is promised; nothing is trained.

    python benchmarks/nights.py --nights 1000000 --processes 2 --out benchmarks/results/DATE-nights
    python benchmarks/nights.py --night 4711        # one again, shrunk if it fails

A night is drawn from one integer (`tests/simulation/plan.py`): a search of 8 to 12 trials on one or on 3 to 5 workers,
what its operator asks, and 1 to 6 faults: of the workers, the disk, the clock, another program. The package's
conductor, ledger, samplers, rules and requests decide. What must hold is in `tests/simulation/checks.py`. The exit
status is 1 where a night failed. Interrupted, the same command with the same `--out` goes on after the last 10,000.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
import warnings
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import optuna

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from tests.simulation.plan import draw  # noqa: E402
from tests.simulation.shrinking import failure, shrunk  # noqa: E402

AT_A_TIME, PIECE = 250, 10_000
"""How many nights a process is given at once, and are written down at once."""


def nights(first: int, n: int) -> tuple[Counter[str], dict[int, str]]:
    """Simulate nights; return how often each fault came about, and what went wrong in those that failed, by number."""
    from tests.simulation.checks import check

    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    gc.disable()  # a twentieth of the time; nights leave no cycles that hold memory
    gc.collect()
    counted: Counter[str] = Counter()
    failed = {}
    for seed in range(first, first + n):
        plan = draw(seed)
        try:
            night = check(plan)
        except Exception as error:
            failed[seed] = f"{type(error).__name__}: {error}"
            continue
        counted += night.hit
        counted["restarts of the driver"] += night.restarts
        counted["refused, and rightly"] += night.refused
        counted["one worker, held to the undisturbed one"] += plan.determined
        counted["with a sampler that learns"] += plan.sampler != "random"
    return counted, failed


def _pieces(first: int, n: int, processes: int, out: Path | None) -> list[dict[str, Any]]:
    """Simulate what `out` does not have yet; return what came of all nights, `PIECE` of them at a time."""
    known: dict[tuple[int, int], dict[str, Any]] = {}
    lines = None if out is None else out / "pieces.jsonl"
    if lines is not None:
        lines.parent.mkdir(parents=True, exist_ok=True)
        there = lines.read_text().splitlines() if lines.exists() else []
        known = {(piece["first"], piece["nights"]): piece for piece in map(json.loads, there)}
    found = []
    with ProcessPoolExecutor(processes) as pool:
        for start in range(first, first + n, PIECE):
            size = min(PIECE, first + n - start)
            piece = known.get((start, size))
            if piece is None:
                piece = known[start, size] = _piece(pool, start, size)
                if lines is not None:
                    beside = lines.with_suffix(".part")
                    beside.write_text("".join(f"{json.dumps(each)}\n" for each in known.values()))
                    beside.replace(lines)
            found.append(piece)
            failed = sum(len(each["failures"]) for each in found)
            print(f"{start + size - first:,} nights, {failed} failed", file=sys.stderr)
    return found


def _piece(pool: ProcessPoolExecutor, first: int, n: int) -> dict[str, Any]:
    began_s, counted, failed = time.monotonic(), Counter[str](), dict[int, str]()
    starts = range(first, first + n, AT_A_TIME)
    sizes = [min(AT_A_TIME, first + n - start) for start in starts]
    for hits, wrong in pool.map(nights, starts, sizes):
        counted += hits
        failed |= wrong
    return {
        "first": first, "nights": n, "seconds": round(time.monotonic() - began_s), "counted": counted,
        "failures": failed,
    }  # fmt: skip


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--nights", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="number of the first one")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--night", type=int, help="simulate this one, and shrink it if it fails")
    parser.add_argument("--out", type=Path, help="folder of the result")
    asked = parser.parse_args()
    if asked.night is not None:
        plan = draw(asked.night)
        print(plan)
        if why := failure(plan):
            print(why)
            small = shrunk(plan)
            print(f"shrunk: {small}\n{failure(small)}")
        return bool(why)
    pieces = _pieces(asked.first, asked.nights, asked.processes, asked.out)
    counted, failed = Counter[str](), dict[int, str]()
    for piece in pieces:
        counted += Counter(piece["counted"])
        failed |= {int(seed): why for seed, why in piece["failures"].items()}
    result = {
        "nights": asked.nights, "first": asked.first, "failed": len(failed), "processes": asked.processes,
        "seconds": sum(piece["seconds"] for piece in pieces), "counted": dict(counted.most_common()),
    }  # fmt: skip
    print(json.dumps(result, indent=2))
    for seed, why in sorted(failed.items())[:20]:
        print(f"night {seed}: {why}")
    if asked.out is not None:
        (asked.out / "nights.json").write_text(json.dumps({**result, "failures": failed}, indent=2) + "\n")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
