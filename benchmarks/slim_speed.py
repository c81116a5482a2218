"""How much faster are active sets than coordinate descent over all items, for SLIM? Both in turn in one process.

    python benchmarks/slim_speed.py --data DIR --out benchmarks/results/DATE-slim-speed

Both solve the same elastic nets from the same Gram matrix to the same tolerance, on the same threads. Beside the
ratio: how far the weights are apart, how far each is from the conditions of a minimum (in float64), and the validation
NDCG@100 of both. The descent is what the package had alone before, and still uses where active sets would be large.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import time
from pathlib import Path

import torch

from distrecvae.data.io import load_dataset
from distrecvae.evaluation import evaluate
from distrecvae.kernels.item_weights import ItemWeights, gram_matrix
from distrecvae.kernels.precision import fast_float32
from distrecvae.models.slim import SLIMConfig, descend, elastic_nets


def by_descent(gram: torch.Tensor, config: SLIMConfig) -> torch.Tensor:
    with fast_float32():
        return descend(gram, config)


def by_active_sets(gram: torch.Tensor, config: SLIMConfig) -> torch.Tensor:
    solved = elastic_nets(gram, config)
    weight = torch.zeros_like(gram)
    weight[solved.features.long(), solved.items.long()] = solved.values
    return weight


def violation(weight: torch.Tensor, gram: torch.Tensor, config: SLIMConfig) -> float:
    """Return how much an update of one coordinate would change a weight at most: a share of its item's greatest."""
    exact = gram.double()
    slope = exact @ weight.double() - exact + config.l2 * weight.double() + config.l1
    update = -slope / (exact.diagonal() + config.l2)[:, None]
    update = torch.where(weight > 0, update.abs(), update.clamp(min=0)).fill_diagonal_(0.0)
    greatest = weight.amax(dim=0).double()
    return float((update.amax(dim=0) / greatest.clamp(min=1e-12))[greatest > 0].max())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="dataset folder of `prepare`")
    parser.add_argument("--l1", type=float, default=SLIMConfig.l1)
    parser.add_argument("--l2", type=float, default=SLIMConfig.l2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--out", type=Path, help="folder for speed.csv")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    split = load_dataset(arguments.data)
    config = SLIMConfig(l1=arguments.l1, l2=arguments.l2)
    gram = gram_matrix(split.train, torch.float32, "cpu")
    rows, weights = [], {}
    for repeat in range(arguments.repeats):
        row: dict[str, float] = {"repeat": repeat, "l1": config.l1, "l2": config.l2}
        for name, solve in (("active_sets", by_active_sets), ("descent", by_descent)):
            started = time.perf_counter()
            weights[name] = solve(gram, config)
            row[f"{name}_s"] = time.perf_counter() - started
        for name, weight in weights.items():
            row[f"{name}_violation"] = violation(weight, gram, config)
            row[f"{name}_ndcg_100"] = evaluate(ItemWeights(weight), split.valid).means()["ndcg_100"]
        row["ratio"] = row["descent_s"] / row["active_sets_s"]
        row["weights_differ_by"] = float((weights["descent"] - weights["active_sets"]).abs().max())
        row["positive_share"] = float((weights["active_sets"] > 0).float().mean())
        rows.append(row)
        print({name: float(f"{value:.5g}") for name, value in row.items()}, flush=True)
    print(f"median ratio {statistics.median(row['ratio'] for row in rows):.1f}")
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        with (arguments.out / "speed.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
