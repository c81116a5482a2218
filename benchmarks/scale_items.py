"""How do a batch's seconds and a training's memory grow with the number of items?

    python benchmarks/scale_items.py --threads 2 --out benchmarks/results/DATE-scale-items

For each number of items a process of its own trains one batch of users (500, about 93 interactions each) for some
cycles of one encoder and one decoder pass. `held` is what parameters, gradients, Adam's moments and q_old take, which
nothing can save; `beyond` is the rest of the process's peak over what it took before: that must not grow.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from textbook import power_law_users

from distrecvae.models.recvae import RecVAEConfig
from distrecvae.training import registry

MIB = 1 << 20


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(arguments: argparse.Namespace, n_items: int) -> None:
    torch.set_num_threads(arguments.threads)
    train = power_law_users(arguments.users, n_items, 100)
    config = RecVAEConfig(hidden_dim=arguments.hidden, latent_dim=arguments.latent, encoder_passes=1)
    before = peak_bytes()
    trainer = registry.make_trainer("recvae", config, train, seed=0, precision=arguments.precision)
    model = trainer.model
    assert isinstance(model, torch.nn.Module)
    sizes = {
        side: sum(p.numel() for p in getattr(model, side).parameters()) for side in ("encoder", "decoder")
    }
    held = 4 * (5 * sizes["encoder"] + 4 * sizes["decoder"])
    seconds = []
    for _ in range(arguments.repeats + 1):
        started = time.perf_counter()
        trainer.step()
        seconds.append((time.perf_counter() - started) / 2)
    estimate, _ = registry.memory_bytes("recvae", config, train, precision=arguments.precision)
    peak = peak_bytes() - before
    print(
        json.dumps(
            {
                "items": n_items,
                "seconds_a_batch": round(statistics.median(seconds[1:]), 4),
                "peak_mib": round(peak / MIB),
                "held_mib": round(held / MIB),
                "beyond_mib": round((peak - held) / MIB),
                "estimated_mib": round(estimate / MIB),
            }
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, nargs="+", default=[20_000, 100_000, 300_000, 1_000_000])
    parser.add_argument("--users", type=int, default=500)
    parser.add_argument("--hidden", type=int, default=600)
    parser.add_argument("--latent", type=int, default=200)
    parser.add_argument("--precision", default="bfloat16")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, help="folder for scale.csv")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        measure(arguments, arguments.one)
        return
    rows = []
    for n_items in arguments.items:
        command = [sys.executable, *sys.argv, "--one", str(n_items)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        row = json.loads(done.stdout)
        row["microseconds_an_item"] = round(1e6 * row["seconds_a_batch"] / n_items, 3)
        rows.append(row)
        print(row, flush=True)
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        with (arguments.out / "scale.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
