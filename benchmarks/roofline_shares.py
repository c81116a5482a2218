"""Where does the time of a training cycle go beside its roofline, and would Adam on slices of items be faster?

    python benchmarks/roofline_shares.py --out benchmarks/results/DATE-roofline-shares

One thread, MovieLens-20M's shape, the published configuration, as in `train_throughput.py`, whose roofline it takes.
All times are of the thread's own (CPU), so that other work on the machine weighs less. Four questions: which share of
its roofline a cycle holds in each precision; how much longer it is in bfloat16 where logits are summed under a running
maximum (as on other devices) instead of shifted in their product; which operators have the time, by PyTorch's profiler;
and what the first layer's update costs whole (gradient written, then Adam) and on slices whose gradient is in cache.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import scipy.sparse as sp
import torch
from textbook import power_law_users
from torch.optim.adam import adam
from torch.profiler import ProfilerActivity, profile
from train_throughput import roofline

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.kernels import multinomial
from distrecvae.kernels.sparse import SparseRows, scatter_sum
from distrecvae.models.recvae import RecVAEConfig
from distrecvae.precisions import PRECISIONS
from distrecvae.training.schemes.alternating import AlternatingTrainer

ADAM: dict[str, Any] = {
    "amsgrad": False, "beta1": 0.9, "beta2": 0.999, "lr": 5e-4, "weight_decay": 0.0, "eps": 1e-8, "maximize": False,
    "fused": True,
}  # fmt: skip
SLICES = (256, 1024, 2048)


def cpu_s(work: Callable[[], object]) -> float:
    """Return the thread's seconds."""
    started = time.thread_time()
    work()
    return time.thread_time() - started


def updates(users: InteractionMatrix, width: int) -> dict[str, Callable[[], object]]:
    """Return ways of one update of the first layer, each with parameters and moments of its own."""
    rows = SparseRows.from_matrix(users)
    values, dense = torch.rand(rows.items.numel()), torch.randn(rows.n_rows, width)
    n_items = rows.n_items
    parts = [[torch.zeros(n_items, width) for _ in range(3)] for _ in range(2)]
    gradient = torch.zeros(n_items, width)

    def whole() -> None:
        scatter_sum(rows, values, dense, out=gradient)
        weight, first, second = parts[0]
        adam([weight], [gradient], [first], [second], [], [torch.zeros(())], **ADAM)

    def sliced(size: int) -> None:
        shape = (rows.n_rows, n_items)
        offsets = rows.offsets.numpy().astype(np.int32)
        by_item = sp.csr_array((values.numpy(), rows.items.numpy(), offsets), shape=shape).tocsc()
        starts = torch.from_numpy(by_item.indptr.astype(np.int32))
        at, data = torch.from_numpy(by_item.indices.astype(np.int32)), torch.from_numpy(by_item.data)
        for start in range(0, n_items, size):
            stop = min(start + size, n_items)
            low, high = int(starts[start]), int(starts[stop])
            some = torch.sparse_csr_tensor(
                starts[start : stop + 1] - low, at[low:high], data[low:high], (stop - start, rows.n_rows),
                check_invariants=False,
            )  # fmt: skip
            place = gradient[: stop - start]  # the same memory for each slice
            torch.addmm(place, some, dense, beta=0.0, out=place)
            weight, first, second = ([part[start:stop]] for part in parts[1])
            adam(weight, [place], first, second, [], [torch.zeros(())], **ADAM)

    return {"whole": whole, **{f"slices_of_{size}": partial(sliced, size) for size in SLICES}}


def operators(step: Callable[[], object]) -> list[tuple[str, float]]:
    """Return each operator's share of the time that operators take, greatest first."""
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        step()
    found = [(event.key, event.self_cpu_time_total) for event in profiled.key_averages()]
    total = sum(time_us for _, time_us in found)
    return sorted(((name, time_us / total) for name, time_us in found), key=lambda each: -each[1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=1_000)
    parser.add_argument("--items", type=int, default=20_108)
    parser.add_argument("--per-user", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, help="folder for the tables")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cpu = torch.device("cpu")
    train, config = power_law_users(arguments.users, arguments.items, arguments.per_user), RecVAEConfig()
    a_cycle = train.n_users / config.batch_size
    tables: dict[str, list[dict[str, Any]]] = {"cycles": [], "operators": [], "updates": []}
    for precision in PRECISIONS:
        engine = AlternatingTrainer(config, train, seed=0, device=cpu, precision=precision)
        floor = roofline(config, train.n_items, precision, cpu)
        for step in (engine.step, floor, engine.step):
            step()
        for repeat in range(arguments.repeats):
            taken, least = cpu_s(engine.step), a_cycle * cpu_s(floor)
            with mock.patch.object(multinomial, "pays", return_value=False):
                longer = cpu_s(engine.step)
            row = {"precision": precision, "repeat": repeat, "cycle_s": taken, "roofline_s": least}
            row |= {"share": least / taken, "running_maximum_s": longer, "ratio": longer / taken}
            tables["cycles"].append(row)
        share, ratio = (
            statistics.median(row[name] for row in tables["cycles"] if row["precision"] == precision)
            for name in ("share", "ratio")
        )
        print(f"{precision}: {share:.2f} of its roofline; under a running maximum {ratio:.3f} times as long")
        for name, share in operators(engine.step)[:14]:
            tables["operators"].append({"precision": precision, "operator": name, "share": round(share, 4)})
            print(f"  {share:6.1%} {name}")
    ways = updates(power_law_users(config.batch_size, arguments.items, arguments.per_user), config.hidden_dim)
    for repeat in range(-2, arguments.repeats):
        times = {f"{name}_ms": 1e3 * cpu_s(way) for name, way in ways.items()}
        if repeat >= 0:
            tables["updates"].append({"repeat": repeat, **times})
    for name in ways:
        print(f"{name} {statistics.median(row[f'{name}_ms'] for row in tables['updates']):.2f} ms an update")
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        for name, rows in tables.items():
            with (arguments.out / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)


if __name__ == "__main__":
    main()
