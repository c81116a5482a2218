"""How long until RecVAE is good on MovieLens-1M, and is bfloat16 as good as float32? Textbook and engine in turn.

    python benchmarks/time_to_quality.py INTERACTIONS.parquet --out benchmarks/results/DATE-time-to-quality

The published configuration, 600 held-out users each, some seeds. Each cycle of the textbook (`textbook.py`) is followed
by one of the engine in float32 and one in bfloat16, in one process, so that a busy machine slows all of them. Counted
are the seconds of training alone until validation NDCG@100 first reaches the bar; the last cycle's models are scored on
the test users too.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from textbook import Textbook

from distrecvae.data.sources import read_table
from distrecvae.data.split import split_users
from distrecvae.data.splitting.options import SplitOptions
from distrecvae.evaluation import Recommender, evaluate
from distrecvae.models.recvae import RecVAEConfig
from distrecvae.precisions import PRECISIONS
from distrecvae.training.schemes.alternating import AlternatingTrainer

HELD_OUT_USERS = 600
System = tuple[Callable[[], object], Callable[[], Recommender]]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, help="the 836,478 positives (userId, movieId)")
    parser.add_argument("--out", type=Path, required=True, help="folder for history.csv and scores.csv")
    parser.add_argument("--bar", type=float, default=0.448, help="validation NDCG@100 to reach")
    parser.add_argument("--cycles", type=int, default=50)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--without-textbook", action="store_true", help="compare the precisions only")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    split, _ = split_users(read_table(arguments.source), SplitOptions(held_out_users=HELD_OUT_USERS))
    print(f"{split.train.n_users:,} training users x {split.n_items:,} items", flush=True)
    config = RecVAEConfig()
    history: list[dict[str, object]] = []
    scores: list[dict[str, object]] = []
    for seed in arguments.seeds:
        systems: dict[str, System] = {}
        if not arguments.without_textbook:
            textbook = Textbook(config, split.train, seed=seed)
            systems["textbook"] = textbook.step, lambda model=textbook.model: model  # type: ignore[misc]
        for precision in PRECISIONS:
            trainer = AlternatingTrainer(config, split.train, seed=seed, precision=precision)
            systems[precision] = trainer.step, lambda model=trainer.model: model  # type: ignore[misc]
        spent = dict.fromkeys(systems, 0.0)
        reached: dict[str, float] = {}
        for cycle in range(1, arguments.cycles + 1):
            for name, (step, model) in systems.items():
                started = time.perf_counter()
                step()
                spent[name] += time.perf_counter() - started
                score = evaluate(model(), split.valid).mean("ndcg_100")
                if score >= arguments.bar:
                    reached.setdefault(name, spent[name])
                row = {"seed": seed, "system": name, "cycle": cycle, "train_s": round(spent[name], 3)}
                history.append(row | {"valid_ndcg_100": round(score, 5)})
            if cycle % 10 == 0:
                print(
                    seed,
                    cycle,
                    {r["system"]: r["valid_ndcg_100"] for r in history[-len(systems) :]},
                    flush=True,
                )
        for name, (_, model) in systems.items():
            valid, test = evaluate(model(), split.valid), evaluate(model(), split.test)
            to_bar = round(reached[name], 2) if name in reached else "not reached"
            scores.append(
                {"seed": seed, "system": name, "seconds_to_bar": to_bar, "train_s": round(spent[name], 2)}
                | {"valid_ndcg_100": round(valid.mean("ndcg_100"), 5)}
                | {f"test_{metric}": round(mean, 5) for metric, mean in test.means().items()}
                | {"test_ndcg_100_se": round(test.standard_error("ndcg_100"), 5)}
            )
            print(scores[-1], flush=True)
    for name in dict.fromkeys(str(row["system"]) for row in scores):
        mine = [row for row in scores if row["system"] == name]
        values = [float(str(row["valid_ndcg_100"])) for row in mine]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        print(
            f"{name:10} valid NDCG@100 {statistics.mean(values):.4f}, deviation over seeds {spread:.4f};"
            f" seconds to {arguments.bar}: {[row['seconds_to_bar'] for row in mine]}"
        )
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, rows in (("history", history), ("scores", scores)):
        with (arguments.out / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
