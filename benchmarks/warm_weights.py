"""How many passes do yesterday's weights save? Yesterday's and today's data by time, several seeds, side by side.

    python benchmarks/warm_weights.py ratings.csv --out benchmarks/results/DATE-warm-weights

Yesterday's table is that of all rows up to a moment (`--share` of them), today's is all of it; today's is prepared
`--like` yesterday's, so that no user whom the earlier model was trained on is held out. For each model and seed:

    old     trained on yesterday's data
    cold    trained on today's data from nothing
    warm    the same, beginning with old's weights and Adam's moments
    anew    the same, beginning with old's weights, Adam anew

What counts is the passes until validation NDCG@100 reaches a share (`--reach`) of the best that `cold` ever had.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

import distrecvae as dr

MODELS: dict[str, dict[str, Any]] = {
    "recvae": {"hidden_dim": 200, "latent_dim": 100, "batch_size": 100},
    "multvae": {"hidden_dim": 200, "latent_dim": 100, "batch_size": 100, "anneal_updates": 400},
}


def passes_to(history: pd.DataFrame, score: float) -> int | None:
    """Return after how many passes the validation score is reached; None for never."""
    reached = history[history["valid/ndcg_100"] >= score]
    return None if reached.empty else int(reached["passes"].iloc[0])


def runs(
    model: str, seed: int, days: tuple[dr.Data, dr.Data], place: Path, passes: int
) -> dict[str, dr.TrainResult]:
    """Return the four trainings of one seed."""
    yesterday, today = days
    common: dict[str, Any] = {
        "model": model, "seed": seed, "max_passes": passes, "patience": 40, "threads": 1, "precision": "float32"
    }  # fmt: skip
    found = {
        name: dr.train(data, set=MODELS[model], out=place / name, **common)
        for name, data in (("old", yesterday), ("cold", today))
    }
    found["warm"] = dr.train(today, warm_weights=found["old"], out=place / "warm", **common)
    (place / "old" / "state.safetensors").unlink()
    found["anew"] = dr.train(today, warm_weights=found["old"], out=place / "anew", **common)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("ratings", type=Path, help="a CSV with userId, movieId, rating and timestamp")
    parser.add_argument("--share", type=float, default=0.9, help="rows that yesterday had")
    parser.add_argument("--reach", type=float, default=0.99, help="share of cold's best score")
    parser.add_argument("--min-rating", type=float, default=3.5)
    parser.add_argument("--held-out-users", type=int, default=60)
    parser.add_argument("--passes", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--out", type=Path, help="folder for warm_weights.csv")
    arguments = parser.parse_args()
    table = pd.read_csv(arguments.ratings).sort_values("timestamp", kind="stable")
    before = table.iloc[: int(arguments.share * len(table))]
    yesterday = dr.prepare(before, min_rating=arguments.min_rating, held_out_users=arguments.held_out_users)
    today = dr.prepare(table, like=yesterday)
    print(today)
    rows: list[dict[str, Any]] = []
    for model in arguments.models:
        for seed in range(arguments.seeds):
            with tempfile.TemporaryDirectory() as place:
                found = runs(model, seed, (yesterday, today), Path(place), arguments.passes)
                goal = arguments.reach * found["cold"].history["valid/ndcg_100"].max()
                for name in ("cold", "warm", "anew"):
                    history, begun = found[name].history, found[name].model.metrics.get("begun_from") or {}
                    rows.append({
                        "model": model, "seed": seed, "run": name, "passes_to_goal": passes_to(history, goal),
                        "first_ndcg_100": history["valid/ndcg_100"].iloc[0],
                        "best_passes": passes_to(history, history["valid/ndcg_100"].max()),
                        "valid_ndcg_100": found[name].scores["valid"]["ndcg_100"],
                        "test_ndcg_100": found[name].scores["test"]["ndcg_100"],
                        "shared_items": begun.get("shared"), "new_items": begun.get("new"),
                    })  # fmt: skip
                    print(rows[-1], flush=True)
        for name in ("cold", "warm", "anew"):
            own = [row for row in rows if (row["model"], row["run"]) == (model, name)]
            to_goal = [row["passes_to_goal"] for row in own]
            median = statistics.median(float("inf") if passes is None else passes for passes in to_goal)
            scores = [
                statistics.median(row[f"{group}_ndcg_100"] for row in own) for group in ("valid", "test")
            ]
            print(
                f"{model} {name}: median {median} passes to the goal {to_goal}, NDCG@100 {scores}", flush=True
            )
    if arguments.out is not None:
        arguments.out.mkdir(parents=True, exist_ok=True)
        with (arguments.out / "warm_weights.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
