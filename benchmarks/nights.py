"""Simulate nights of searches in which everything goes wrong, and hold them to what is promised; nothing is trained.

    python benchmarks/nights.py --nights 1000000 --processes 2 --out benchmarks/results/DATE-nights
    python benchmarks/nights.py --night 4711        # one again, shrunk if it fails

A night is drawn from one integer (`tests/simulation/plan.py`): a search of 8 to 12 trials on one or on 3 to 5 workers,
what its operator asks, and 1 to 6 faults: of the workers, the disk, the clock, another program. The package's
conductor, ledger, samplers, rules and requests decide. What must hold is in `tests/simulation/checks.py`. The exit
status is 1 where a night failed.
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

import optuna

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from tests.simulation.plan import draw  # noqa: E402
from tests.simulation.shrinking import failure, shrunk  # noqa: E402

AT_A_TIME = 250


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
    began_s, counted, failed = time.monotonic(), Counter[str](), dict[int, str]()
    firsts = range(asked.first, asked.first + asked.nights, AT_A_TIME)
    with ProcessPoolExecutor(asked.processes) as pool:
        sizes = [min(AT_A_TIME, asked.first + asked.nights - first) for first in firsts]
        for done, (hits, wrong) in enumerate(pool.map(nights, firsts, sizes), 1):
            counted += hits
            failed |= wrong
            if sys.stderr.isatty() or done % 40 == 0:
                print(
                    f"{min(done * AT_A_TIME, asked.nights):,} nights, {len(failed)} failed", file=sys.stderr
                )
    result = {
        "nights": asked.nights, "first": asked.first, "failed": len(failed), "processes": asked.processes,
        "seconds": round(time.monotonic() - began_s), "counted": dict(counted.most_common()),
    }  # fmt: skip
    print(json.dumps(result, indent=2))
    for seed, why in sorted(failed.items())[:20]:
        print(f"night {seed}: {why}")
    if asked.out is not None:
        asked.out.mkdir(parents=True, exist_ok=True)
        (asked.out / "nights.json").write_text(json.dumps({**result, "failures": failed}, indent=2) + "\n")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
