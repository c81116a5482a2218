"""Does the published configuration reach the published code's quality? RecVAE on MovieLens-1M, some seeds.

    python benchmarks/quality_ml1m.py INTERACTIONS.parquet --out benchmarks/results/DATE-quality-ml1m

The published code, 50 cycles on the same split (600 held-out users each), was measured at validation NDCG@100
0.451 and test NDCG@100 / Recall@20 / Recall@50 of 0.473 / 0.399 / 0.498; with another seed 0.467 / 0.393 /
0.495.
"""

from __future__ import annotations

import argparse
import csv
import time
from itertools import islice
from pathlib import Path

import torch

from distrecvae.data.sources import read_table
from distrecvae.data.split import split_users
from distrecvae.data.splitting.options import SplitOptions
from distrecvae.evaluation import evaluate
from distrecvae.metrics import METRICS
from distrecvae.training.registry import config_class, config_from_dict, make_trainer
from distrecvae.training.trainer import fit

HELD_OUT_USERS = 600


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, help="the 836,478 positives (userId, movieId)")
    parser.add_argument("--out", type=Path, required=True, help="folder for history.csv and scores.csv")
    parser.add_argument("--cycles", type=int, default=50)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    split, _ = split_users(read_table(arguments.source), SplitOptions(held_out_users=HELD_OUT_USERS))
    print(f"{split.train.n_users:,} training users x {split.n_items:,} items", flush=True)
    config = config_from_dict("recvae", {})
    assert config == config_class("recvae")()
    arguments.out.mkdir(parents=True, exist_ok=True)
    history: list[dict[str, object]] = []
    scores: list[dict[str, object]] = []
    for seed in arguments.seeds:
        trainer = make_trainer("recvae", config, split.train, seed=seed)
        started = time.perf_counter()
        for report in islice(fit(trainer, split.valid), arguments.cycles):
            history.append({"seed": seed, **report.metrics()})
            print(
                f"seed {seed} cycle {report.cycle} valid ndcg@100 {report.metrics()['valid/ndcg_100']:.4f}",
                flush=True,
            )
        duration_s = time.perf_counter() - started
        for group, users in (("valid", split.valid), ("test", split.test)):
            scored = evaluate(trainer.model, users)
            row: dict[str, object] = {"seed": seed, "group": group, "users": scored.n_evaluated}
            for name in METRICS:
                row |= {
                    name: round(scored.mean(name), 5),
                    f"{name}_se": round(scored.standard_error(name), 5),
                }
            scores.append(row | {"duration_s": round(duration_s, 1)})
            print(scores[-1], flush=True)
    for name, rows in (("history", history), ("scores", scores)):
        with (arguments.out / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
