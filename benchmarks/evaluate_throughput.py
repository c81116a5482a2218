"""How much faster is an evaluation than the dense NumPy way? MovieLens-20M's shape, both in turn in one process.

    python benchmarks/evaluate_throughput.py --threads 2 --out benchmarks/results/DATE-evaluate-throughput

Both evaluate the same synthetic users (power-law popularity, 80 % of a user's items folded in) with the same
RecVAE of the published size: random weights, and the items' popularity as the decoder's bias, so that there
are hits to count. The dense way is written below as the published code does it: batches of 500, scores from
dense rows, fold-in items masked through a SciPy matrix, a partition of all scores for each metric, held-out items
as dense rows. Its partition is NumPy's, vectorized where the CPU allows; the published code's, Bottleneck's, is not.

The first ratio is of whole evaluations, the second one leaves out the time within `score` on both sides. The
metrics of every user must agree to 1e-6, unless two of the best scores are equal but for rounding: NumPy's
partition orders such a pair as it falls, and dense products round otherwise than sparse ones. Those users are
counted.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import torch
from textbook import power_law_users

from distrecvae.data.dataset import HeldOutUsers
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.evaluation import Recommender, evaluate
from distrecvae.models.recvae import RecVAE, RecVAEConfig

Float32Array = npt.NDArray[np.float32]
Metrics = dict[str, npt.NDArray[np.float64]]
Way = tuple[Callable[[Recommender, HeldOutUsers], Metrics], Recommender]


class Timed:
    """Scores as its model does and adds up the time that this takes."""

    def __init__(self, model: Recommender) -> None:
        self.model, self.score_s = model, 0.0

    @property
    def n_items(self) -> int:
        """Number of items."""
        return self.model.n_items

    def score(self, fold_in: InteractionMatrix) -> torch.Tensor:
        """Return the model's scores."""
        started = time.perf_counter()
        scores = self.model.score(fold_in)
        self.score_s += time.perf_counter() - started
        return scores


class FromDenseRows:
    """Scores as RecVAE does, from rows with a place for every item."""

    def __init__(self, model: RecVAE) -> None:
        self.model = model

    @property
    def n_items(self) -> int:
        """Number of items."""
        return self.model.n_items

    def score(self, fold_in: InteractionMatrix) -> torch.Tensor:
        """Return the model's scores."""
        first, decoder = self.model.encoder.fc1, self.model.decoder
        with torch.no_grad():
            x = torch.from_numpy(fold_in.to_scipy().toarray())
            mu, _ = self.model.encoder((x / x.norm(dim=1, keepdim=True)) @ first.weight + first.bias)
            return torch.addmm(decoder.bias, mu, decoder.weight.T)


def held_out_users(interactions: InteractionMatrix) -> HeldOutUsers:
    """Return the users with a fifth of their items, drawn at random, held out."""
    users = np.repeat(np.arange(interactions.n_users), interactions.counts())
    hidden = np.random.default_rng(1).random(users.size) < 0.2
    parts = [
        InteractionMatrix.from_pairs(
            users[part],
            interactions.indices[part],
            n_users=interactions.n_users,
            n_items=interactions.n_items,
        )
        for part in (~hidden, hidden)
    ]
    return HeldOutUsers(*parts)


def popular_recvae(popularity: npt.NDArray[np.int64]) -> RecVAE:
    torch.manual_seed(0)
    model = RecVAE(RecVAEConfig(), popularity.size)
    with torch.no_grad():
        model.decoder.bias.copy_(torch.from_numpy(np.log1p(popularity)))
    return model


def dense_ndcg(scores: Float32Array, held_out: sp.csr_matrix, k: int) -> npt.NDArray[np.float64]:
    """Return NDCG@k as published: a partition, a sort of its first part, and a look into SciPy's rows."""
    rows = np.arange(scores.shape[0])[:, np.newaxis]
    part = np.argpartition(-scores, k, axis=1)[:, :k]
    best = part[rows, np.argsort(-scores[rows, part], axis=1)]
    discounts = 1.0 / np.log2(np.arange(2, k + 2))
    hits = sp.csr_array(held_out[rows, best]).toarray()
    gained = (hits * discounts).sum(axis=1)
    ideal = np.array([discounts[: min(n, k)].sum() for n in held_out.getnnz(axis=1)])
    return np.asarray(gained / ideal, dtype=np.float64)


def dense_recall(scores: Float32Array, held_out: sp.csr_matrix, k: int) -> npt.NDArray[np.float64]:
    """Return Recall@k as published: a partition, and two dense matrices of booleans."""
    rows = np.arange(scores.shape[0])[:, np.newaxis]
    recommended = np.zeros_like(scores, dtype=bool)
    recommended[rows, np.argpartition(-scores, k, axis=1)[:, :k]] = True
    relevant = (held_out > 0).toarray()
    found = np.logical_and(relevant, recommended).sum(axis=1)
    return np.asarray(found / np.minimum(k, relevant.sum(axis=1)), dtype=np.float64)


def dense_evaluation(model: Recommender, users: HeldOutUsers, batch_size: int = 500) -> Metrics:
    """Return the metrics of each user with something folded in and something held out."""
    counted = np.flatnonzero((users.fold_in.counts() > 0) & (users.held_out.counts() > 0))
    shown, hidden = (sp.csr_matrix(part.to_scipy()) for part in (users.fold_in, users.held_out))
    batches = []
    for start in range(0, counted.size, batch_size):
        batch = counted[start : start + batch_size]
        scores = model.score(users.fold_in.take(batch)).cpu().numpy()
        scores[shown[batch].nonzero()] = -np.inf
        held_out = hidden[batch]
        batches.append(
            (
                dense_ndcg(scores, held_out, 100),
                dense_recall(scores, held_out, 20),
                dense_recall(scores, held_out, 50),
            )
        )
    return {
        name: np.concatenate(values)
        for name, values in zip(
            ("ndcg_100", "recall_20", "recall_50"), zip(*batches, strict=True), strict=True
        )
    }


def undecided(model: Recommender, users: HeldOutUsers, who: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return which of the users `who` have neighbours among their 101 best scores equal but for rounding."""
    scores = model.score(users.fold_in.take(who)).cpu().numpy()
    scores[users.fold_in.take(who).to_scipy().nonzero()] = -np.inf
    best = -np.sort(-scores, axis=1)[:, :101]
    return np.asarray((best[:, :-1] - best[:, 1:] <= 1e-6 * np.abs(best[:, 1:])).any(axis=1))


def agree(ours: Metrics, dense: Metrics, model: Recommender, users: HeldOutUsers) -> None:
    """End the program if metrics differ where the scores decide them."""
    differ = np.max([np.abs(ours[name] - dense[name]) for name in ours], axis=0) > 1e-6
    counted = np.flatnonzero((users.fold_in.counts() > 0) & (users.held_out.counts() > 0))
    if not undecided(model, users, counted[differ]).all():
        sys.exit(f"metrics of {differ.sum()} of {differ.size} users differ by more than 1e-6")
    print(f"metrics agree to 1e-6; users with equal scores in another order: {differ.sum()} of {differ.size}")
    print({name: round(float(values.mean()), 5) for name, values in ours.items()})


def measured(
    evaluation: Callable[[Recommender, HeldOutUsers], Metrics], model: Recommender, users: HeldOutUsers
) -> tuple[Metrics, float, float]:
    """Return the metrics, the seconds of all, and those without the model's."""
    timed, started = Timed(model), time.perf_counter()
    metrics = evaluation(timed, users)
    seconds = time.perf_counter() - started
    return metrics, seconds, seconds - timed.score_s


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--items", type=int, default=20_108)
    parser.add_argument("--per-user", type=int, default=85, help="draws a user; duplicates leave about 80")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, help="folder for throughput.csv")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    interactions = power_law_users(arguments.users, arguments.items, arguments.per_user)
    users, model = held_out_users(interactions), popular_recvae(interactions.item_counts())
    print(
        f"{users.n_users} users x {users.n_items} items, {interactions.n_interactions / users.n_users:.1f} a user"
    )
    ways: dict[str, Way] = {
        "dense": (dense_evaluation, FromDenseRows(model)),
        "ours": (lambda model, users: dict(evaluate(model, users).per_user), model),
    }
    few = HeldOutUsers(users.fold_in.slice(0, 1_000), users.held_out.slice(0, 1_000))
    for way, scorer in ways.values():  # the first batches of a process wait for memory and threads
        way(scorer, few)
    rows = []
    for repeat in range(arguments.repeats):
        row, metrics = {"repeat": float(repeat)}, {}
        for name, (way, scorer) in ways.items():
            metrics[name], row[f"{name}_s"], row[f"{name}_without_scoring_s"] = measured(way, scorer, users)
        rows.append(row)
        print({name: round(value, 3) for name, value in row.items()}, flush=True)
    agree(metrics["ours"], metrics["dense"], model, users)
    for what, suffix in (("whole evaluation", "_s"), ("without scoring", "_without_scoring_s")):
        medians = {name: statistics.median(row[name + suffix] for row in rows) for name in ways}
        ratio = statistics.median(row["dense" + suffix] / row["ours" + suffix] for row in rows)
        print(
            f"{what}: dense {medians['dense']:.2f} s, ours {medians['ours']:.2f} s, median ratio {ratio:.2f}"
        )
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        with (arguments.out / "throughput.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
