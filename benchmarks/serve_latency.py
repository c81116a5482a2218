"""How long does a request for recommendations take, alone and a hundred users at a time, on one core?

    python benchmarks/serve_latency.py --out benchmarks/results/DATE-serve-latency

A request is `LoadedModel.recommend`, as the service of docs/ship.md calls it, from lists of item ids to a DataFrame.
The models are of MovieLens-20M's size: a RecVAE of the published configuration with random weights, and item weights
as dense as EASE's. A request's parts are timed as well, in the same round: the scores alone (the network, and the
product with all items' weights), and the ranking of these scores with what the user has masked. What is left is ids.
Times are of this process's own thread (CPU) and of the clock; on a machine that others use, the CPU's are the figures.
"""

from __future__ import annotations

import argparse
import csv
import gc
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recommend_throughput import random_recvae
from textbook import power_law_users

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.evaluation import Recommender
from distrecvae.kernels.item_weights import ItemWeights
from distrecvae.kernels.precision import fast_float32
from distrecvae.ranking import rank
from distrecvae.saved.model import LoadedModel


def timed(act: Callable[[], Any]) -> tuple[float, float, Any]:
    """Return CPU and wall milliseconds, and what came of it."""
    cpu, wall = time.thread_time(), time.perf_counter()
    found = act()
    return (time.thread_time() - cpu) * 1e3, (time.perf_counter() - wall) * 1e3, found


def measure(
    model: LoadedModel, users: InteractionMatrix, size: int, requests: int, top: int
) -> dict[str, list[float]]:
    """Return the milliseconds of each request of `size` users and of its parts."""
    ids = model.item_ids
    times: dict[str, list[float]] = {}
    for request in range(-5, requests):  # the first ones warm up
        start = (request + 5) * size % (users.n_users - size + 1)
        some = users.slice(start, start + size)
        asked = [ids[some.indices[some.indptr[n] : some.indptr[n + 1]]].tolist() for n in range(size)]

        def scores(some: InteractionMatrix = some) -> torch.Tensor:
            with fast_float32():
                return model.recommender.score(some)

        def whole(asked: list[list[Any]] = asked) -> Any:
            return model.recommend(asked, top=top)

        cpu, wall, _ = timed(whole)
        score_cpu, _, scored = timed(scores)
        rank_cpu, _, _ = timed(partial(rank, scored, some, top))
        if request >= 0:
            row = {"cpu": cpu, "wall": wall, "score_cpu": score_cpu, "rank_cpu": rank_cpu}
            for name, value in row.items():
                times.setdefault(name, []).append(value)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=20_108)
    parser.add_argument("--per-user", type=int, default=85, help="draws a user; duplicates leave about 80")
    parser.add_argument("--top", type=int, default=20)
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--out", type=Path, help="folder for latency.csv")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    users = power_law_users(2000, arguments.items, arguments.per_user)
    torch.manual_seed(0)
    recommenders: dict[str, Recommender] = {
        "recvae": random_recvae(users),
        "ease": ItemWeights(torch.randn(arguments.items, arguments.items)),
    }
    rows = []
    for ids, item_ids in (("numbers", np.arange(arguments.items) * 7), ("texts", None)):
        if item_ids is None:
            item_ids = np.array([f"item {n * 7}" for n in range(arguments.items)], dtype=object)
        for name, recommender in recommenders.items():
            model = LoadedModel(name, None, recommender, item_ids, {})
            for size, requests in ((1, arguments.requests), (100, max(10, arguments.requests // 10))):
                gc.collect()
                times = measure(model, users, size, requests, arguments.top)
                row: dict[str, Any] = {"model": name, "ids": ids, "users": size, "requests": requests}
                for part, values in times.items():
                    for percentile in (50, 99):
                        row[f"{part}_p{percentile}_ms"] = round(float(np.percentile(values, percentile)), 3)
                rows.append(row)
                print(row, flush=True)
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        with (arguments.out / "latency.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
