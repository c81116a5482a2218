"""How long does recommending 100 of 20,108 items to 100,000 users take, and how much memory?

    python benchmarks/recommend_throughput.py --threads 2 --out benchmarks/results/DATE-recommend-throughput

The whole command is timed, `distrecvae recommend`, in a process of its own: reading the histories, scoring, ranking,
writing. The model is a RecVAE of the published size with random weights, and the items' popularity as the decoder's
bias; the users are synthetic, with a power law of popularity. What is written is then held to dense rows and a stable
NumPy argsort of all scores in float64, for some users: the same items at every rank where the scores decide it. Two
scores equal but for rounding may stand in either order.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from textbook import power_law_users

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.models.recvae import RecVAE, RecVAEConfig
from distrecvae.saved.model import save_model

TIE = 1e-5
"""Scores that differ by less, relative to the greatest, may be ranked either way."""


def random_recvae(users: InteractionMatrix) -> RecVAE:
    torch.manual_seed(0)
    model = RecVAE(RecVAEConfig(), users.n_items)
    with torch.no_grad():
        model.decoder.bias.copy_(torch.from_numpy(np.log1p(users.item_counts())))
    return model.requires_grad_(False)


def write_inputs(folder: Path, users: InteractionMatrix, model: RecVAE) -> None:
    """Write the model, and the histories as a Parquet file of ids; an item's id is 7 times its position."""
    save_model(
        folder / "model",
        model="recvae",
        config=RecVAEConfig(),
        state=model.state_dict(),
        item_ids=np.arange(users.n_items) * 7,
        metrics={},
    )
    who = np.repeat(np.arange(users.n_users), users.counts())
    table = pa.table({"user_id": who, "item_id": users.indices.astype(np.int64) * 7})
    pq.write_table(table, folder / "histories.parquet")


def run_command(folder: Path, out: Path, top: int, threads: int) -> tuple[float, float]:
    """Run `distrecvae recommend`; return its seconds and its greatest resident memory in MiB."""
    command = [sys.executable, "-m", "distrecvae", "recommend", "--model", str(folder / "model")]
    command += ["--histories", str(folder / "histories.parquet"), "--top", str(top), "--out", str(out)]
    started, most = time.perf_counter(), 0
    with subprocess.Popen([*command, "--threads", str(threads)]) as process:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                most = max(most, watched.memory_info().rss)
            except psutil.Error:
                break
            time.sleep(0.02)
        if process.wait():
            sys.exit(f"the command ended with status {process.returncode}")
    return time.perf_counter() - started, most / 2**20


def check(model: RecVAE, users: InteractionMatrix, written: Path, top: int, n_checked: int) -> None:
    """End the program if what was written is not what a sort of all dense scores gives."""
    table = pq.read_table(written)
    items = table["item_id"].to_numpy().reshape(users.n_users, top) // 7
    scores = table["score"].to_numpy().reshape(users.n_users, top)
    assert np.array_equal(table["user_id"].to_numpy(), np.repeat(np.arange(users.n_users), top))
    who = np.random.default_rng(2).choice(users.n_users, n_checked, replace=False)
    x = users.take(who).to_scipy().toarray().astype(np.float64)
    double = model.double()
    first, decoder = double.encoder.fc1, double.decoder
    with torch.no_grad():
        rows = torch.from_numpy(x / np.linalg.norm(x, axis=1, keepdims=True))
        mu, _ = double.encoder(rows @ first.weight + first.bias)
        dense = torch.addmm(decoder.bias, mu, decoder.weight.T).numpy()
    dense[x > 0] = -np.inf
    best = np.argsort(-dense, axis=1, kind="stable")[:, :top]
    at_rank = np.take_along_axis(dense, best, 1)
    ours = np.take_along_axis(dense, items[who], 1)
    scale = np.abs(at_rank).max(axis=1, keepdims=True)
    if (
        not (np.abs(ours - at_rank) <= TIE * scale).all()
        or not (np.abs(scores[who] - ours) <= TIE * scale).all()
    ):
        sys.exit("the ranking is not that of a dense argsort")
    swapped = int((best != items[who]).sum())
    print(
        f"{n_checked} users agree with a dense float64 argsort; {swapped} of {best.size} places are ties swapped"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--items", type=int, default=20_108)
    parser.add_argument("--per-user", type=int, default=85, help="draws a user; duplicates leave about 80")
    parser.add_argument("--top", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--checked", type=int, default=200, help="users held to a dense argsort")
    parser.add_argument("--out", type=Path, help="folder for throughput.csv")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    users = power_law_users(arguments.users, arguments.items, arguments.per_user)
    model, rows = random_recvae(users), []
    print(f"{users.n_users} users x {users.n_items} items, {users.n_interactions / users.n_users:.1f} a user")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder, users, model)
        for repeat in range(arguments.repeats):
            for ending in ("parquet", "csv"):
                out = folder / f"recs.{ending}"
                seconds, memory = run_command(folder, out, arguments.top, arguments.threads)
                size = out.stat().st_size / 2**20
                rows.append(
                    {"repeat": repeat, "format": ending, "seconds": round(seconds, 2), "peak_mib": round(memory),
                     "file_mib": round(size)}
                )  # fmt: skip
                print(rows[-1], flush=True)
        check(model, users, folder / "recs.parquet", arguments.top, arguments.checked)
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        with (arguments.out / "throughput.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
