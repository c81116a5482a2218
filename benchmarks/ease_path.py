"""Does one eigendecomposition pay for EASE at many lambdas? Against a Cholesky factorization a lambda, in one process.

    python benchmarks/ease_path.py --data DIR --out benchmarks/results/DATE-ease-path

X^T X = Q diag(s) Q^T once; then for each lambda P = Q diag(1 / (s + lambda)) Q^T, or, for validation users alone,
X_v P = (X_v Q) diag(1 / (s + lambda)) Q^T and the diagonal of P, without P. All in float64. Reported: seconds of what
is done once, seconds a lambda of each way, the number of lambdas from which on the eigendecomposition pays, and how
far weights and validation scores are apart.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.data.io import load_dataset
from distrecvae.kernels.item_weights import gram_arrays
from distrecvae.models.ease import EASEConfig, solve_ease
from distrecvae.training.entry import CommonArrays

LAMBDAS = (100.0, 400.0, 1600.0)


def timed(work: Callable[[], torch.Tensor]) -> tuple[torch.Tensor, float]:
    started = time.perf_counter()
    result = work()
    return result, time.perf_counter() - started


def solve(config: EASEConfig, train: InteractionMatrix, common: CommonArrays) -> torch.Tensor:
    return solve_ease(config, train, common=common)["weight"]


def all_weights(vectors: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Return B from Q and 1 / (s + lambda)."""
    inverse = torch.mm(vectors * scale, vectors.T)
    inverse.div_(-inverse.diagonal().clone())
    return inverse.fill_diagonal_(0.0).float()


def scores_alone(
    users: torch.Tensor, seen: torch.Tensor, vectors: torch.Tensor, squares: torch.Tensor, scale: torch.Tensor
) -> torch.Tensor:
    """Return X_v B without B; `seen` is X_v Q, `squares` has the squares of Q."""
    return torch.mm(seen * scale, vectors.T).div_(-(squares @ scale)).add_(users)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="dataset folder of `prepare`")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="folder for path.csv")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    split = load_dataset(arguments.data)
    common = gram_arrays(split.train)
    gram = torch.from_numpy(common["gram"]).double()
    users = torch.from_numpy(split.valid.fold_in.to_scipy().toarray()).double()

    started = time.perf_counter()
    eigenvalues, vectors = torch.linalg.eigh(gram)
    eigh_s = time.perf_counter() - started
    (seen, squares), once_s = [users @ vectors, vectors.square()], time.perf_counter() - started - eigh_s
    print(f"{gram.shape[0]} items, {users.shape[0]} validation users, {arguments.threads} thread(s)")
    print(f"once: eigh {eigh_s:.1f} s, users' coordinates {once_s:.2f} s")

    rows = []
    for regularization in LAMBDAS:
        config, scale = EASEConfig(regularization=regularization), 1 / (eigenvalues + regularization)
        exact, cholesky_s = timed(partial(solve, config, split.train, common))
        product, product_s = timed(partial(all_weights, vectors, scale))
        found, scores_s = timed(partial(scores_alone, users, seen, vectors, squares, scale))
        row = {
            "lambda": regularization,
            "cholesky_s": cholesky_s,
            "product_s": product_s,
            "scores_s": scores_s,
            "weights_differ_by": float((exact - product).abs().max()),
            "scores_differ_by": float((users @ exact.double() - found).abs().max()),
        }
        rows.append(row)
        print({name: float(f"{value:.4g}") for name, value in row.items()}, flush=True)
    cholesky_s, product_s, scores_s = (
        statistics.median(row[name] for row in rows) for name in ("cholesky_s", "product_s", "scores_s")
    )
    for name, each_s, first_s in (
        ("all weights", product_s, eigh_s),
        ("validation scores", scores_s, eigh_s + once_s),
    ):
        saved_s = cholesky_s - each_s
        verdict = f"pays from {first_s / saved_s:.0f} lambdas on" if saved_s > 0 else "never pays"
        print(f"{name}: {each_s:.2f} s a lambda, Cholesky {cholesky_s:.2f} s: {verdict}")
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        with (arguments.out / "path.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ["eigh_s", "once_s", *rows[0]])
            writer.writeheader()
            writer.writerows({"eigh_s": eigh_s, "once_s": once_s, **row} for row in rows)


if __name__ == "__main__":
    main()
