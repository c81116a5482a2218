"""How fast is a sweep of WMF beside `implicit`'s, and how good is what comes of it? Both in turn in one process.

    pip install implicit==0.7.3
    python benchmarks/wmf_speed.py --data DIR --out benchmarks/results/DATE-wmf-speed

Both minimize the same loss (Hu, Koren, Volinsky 2008) in float32 from the same items' factors on the same threads.
`implicit` runs as its users run it: three steps of conjugate gradients a row from where the row's factors stood. Sweeps
are timed one at a time, in turn. Beside the ratio: validation NDCG@100 of both, and the whole loss of both in float64,
users solved exactly given the items' factors.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.data.io import load_dataset
from distrecvae.evaluation import evaluate
from distrecvae.kernels.least_squares import Factors, solve_rows, user_side
from distrecvae.kernels.sparse import SparseRows
from distrecvae.models.wmf import WMFConfig, weigh_wmf
from distrecvae.training.schemes.least_squares import LeastSquaresTrainer


class Implicit:
    """`implicit`'s factorization of the same loss, a sweep at a time."""

    def __init__(
        self, train: InteractionMatrix, config: WMFConfig, items: torch.Tensor, threads: int
    ) -> None:
        self._model = AlternatingLeastSquares(
            factors=config.latent_dim,
            regularization=config.regularization,
            iterations=1,
            num_threads=threads,
            random_state=0,
        )
        self._model.item_factors = items.numpy().copy()
        users = np.random.default_rng(1).normal(
            scale=float(items.std()), size=(train.n_users, items.shape[1])
        )
        self._model.user_factors = users.astype(np.float32)
        self._confidence = csr_matrix(train.to_scipy().astype(np.float32) * np.float32(1 + config.alpha))

    def step(self) -> None:
        """Train one sweep."""
        self._model.fit(self._confidence, show_progress=False)

    @property
    def items(self) -> torch.Tensor:
        """Items' factors as they stand."""
        return torch.from_numpy(self._model.item_factors)


def whole_loss(train: InteractionMatrix, config: WMFConfig, items: torch.Tensor) -> float:
    """Return the loss of all cells in float64 a training user, users solved exactly."""
    users = user_side(SparseRows.from_matrix(train), weigh_wmf(config))
    solved = solve_rows(users, items.double(), config.regularization)
    cells = users.one * train.n_interactions - float(solved.explained)
    return (cells + config.regularization * float(items.double().square().sum())) / train.n_users


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="dataset folder of `prepare`")
    parser.add_argument("--latent-dim", type=int, default=WMFConfig.latent_dim)
    parser.add_argument("--regularization", type=float, default=WMFConfig.regularization)
    parser.add_argument("--alpha", type=float, default=WMFConfig.alpha)
    parser.add_argument("--sweeps", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="folder for sweeps.csv")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    split = load_dataset(arguments.data)
    config = WMFConfig(
        latent_dim=arguments.latent_dim, regularization=arguments.regularization, alpha=arguments.alpha
    )
    ours = LeastSquaresTrainer(
        split.train, config.latent_dim, config.regularization, weigh_wmf(config), seed=0
    )
    theirs = Implicit(split.train, config, ours.model.items, arguments.threads)
    rows = []
    for sweep in range(arguments.sweeps):
        row: dict[str, float] = {"sweep": sweep + 1, "latent_dim": config.latent_dim}
        for name, step in (("ours", ours.step), ("implicit", theirs.step)):
            started = time.perf_counter()
            step()
            row[f"{name}_s"] = time.perf_counter() - started
        for name, items in (("ours", ours.model.items), ("implicit", theirs.items)):
            model = Factors(items, weigh_wmf(config), config.regularization)
            row[f"{name}_ndcg_100"] = evaluate(model, split.valid).means()["ndcg_100"]
            row[f"{name}_loss"] = whole_loss(split.train, config, items)
        row["ratio"] = row["ours_s"] / row["implicit_s"]
        rows.append(row)
        print({name: float(f"{value:.5g}") for name, value in row.items()}, flush=True)
    ratio = statistics.median(row["ratio"] for row in rows)
    whole = sum(row["ours_s"] for row in rows) / sum(row["implicit_s"] for row in rows)
    print(f"a sweep takes {ratio:.2f} of implicit's in the median, all sweeps {whole:.2f}")
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        name = f"factors-{config.latent_dim}-alpha-{config.alpha:g}.csv"
        with (arguments.out / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
