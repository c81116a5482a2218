"""Which way to search finds a good RecVAE soonest? Recorded learning curves, replayed; see bench/.

    python benchmarks/recvae_bench.py record --data ../shared/data
    python benchmarks/recvae_bench.py fit
    python benchmarks/recvae_bench.py compare --methods default,random --out runs.parquet
    python benchmarks/recvae_bench.py draw --runs runs.parquet --out folder
    python benchmarks/recvae_bench.py enough --seeds 20 --out figures
    python benchmarks/recvae_bench.py second-seed --seeds 100 --out results.csv
    python benchmarks/recvae_bench.py pausing --seeds 100 --out pausing.parquet
    python benchmarks/recvae_bench.py live --seeds 6 --out live.csv
    python benchmarks/recvae_bench.py chances record --seeds 20 --out searches.parquet
    python benchmarks/recvae_bench.py likely

The first trains and writes down, for hours, in any portions; the second makes surrogates of what is there and says how
far off they are; the third replays searches, the fourth draws what they cost, the fifth asks them what further search
would bring, the sixth trains their best trials once more, the seventh pauses trials and continues them, the eighth
trains in earnest, the ninth holds chances of stopped trials to what came, the tenth says where the best values lie on
the recorded tables. Each says more by `--help`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from bench import chances, compare, draw, enough, live, pausing, record, second_seed, surrogate, transfer

COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "record": record.main,
    "fit": surrogate.main,
    "compare": compare.main,
    "draw": draw.main,
    "enough": enough.main,
    "second-seed": second_seed.main,
    "pausing": pausing.main,
    "chances": chances.main,
    "live": live.main,
    "likely": transfer.main,
}


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        sys.exit(__doc__)
    COMMANDS[sys.argv[1]](sys.argv[2:])


if __name__ == "__main__":
    main()
