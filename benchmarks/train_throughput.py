"""How much faster than the textbook is a training cycle? MovieLens-20M's shape, all in turn in one process.

    python benchmarks/train_throughput.py --threads 2 --out benchmarks/results/DATE-train-throughput

One cycle is three encoder passes and one decoder pass over the same synthetic users (power-law popularity).
The textbook is `textbook.py`; this package's engine runs in each precision. The roofline, in the same process and
precision, is the time of what cannot be avoided: the matrix products of a cycle, cut into blocks as they are
fastest, and reading and writing parameters and Adam's moments once an update.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from textbook import Textbook, power_law_users

from distrecvae.kernels.multinomial import block_items
from distrecvae.kernels.precision import best_precision, fast_float32, product_dtype
from distrecvae.models.recvae import RecVAEConfig
from distrecvae.precisions import PRECISIONS, Precision
from distrecvae.training.schemes.alternating import AlternatingTrainer


def roofline(
    config: RecVAEConfig, n_items: int, precision: Precision, device: torch.device
) -> Callable[[], None]:
    """Return the unavoidable work of one update in each pass of a cycle."""
    batch, hidden, latent = config.batch_size, config.hidden_dim, config.latent_dim
    dtype = product_dtype(precision) or torch.float32

    def full(*shape: int) -> torch.Tensor:
        return torch.full(shape, 0.1, dtype=dtype, device=device)

    block = block_items(batch, n_items, device.type)
    starts = range(0, n_items, block)
    z, weight, code, gradient = (
        full(batch, latent),
        full(n_items, latent),
        full(batch, latent),
        full(n_items, latent),
    )
    logits = full(batch, block)
    h, out, w, square = full(batch, hidden), full(batch, hidden), full(hidden, hidden), full(hidden, hidden)
    flat, both, wide = full(batch, 2 * latent), full(hidden, 2 * latent), full(hidden, 2 * latent)
    memory = [torch.zeros(n_items * hidden, device=device) for _ in range(4)]

    def encode() -> None:
        for _ in range(4):
            torch.mm(h, w, out=out)
        torch.mm(h, both, out=flat)

    def encode_backward() -> None:
        for _ in range(4):
            torch.mm(out, w.T, out=h)
            torch.mm(h.T, out, out=square)
        torch.mm(flat, both.T, out=out)
        torch.mm(h.T, flat, out=wide)

    def update(elements: int) -> None:
        parameters, first, second, change = (part[:elements] for part in memory)
        torch.add(parameters, change, out=parameters)
        torch.add(first, change, out=first)
        torch.add(second, change, out=second)

    def run() -> None:
        with fast_float32():
            encode()  # q_old's posterior
            for _ in range(config.encoder_passes):
                encode()
                for start in starts:
                    some = weight[start : start + block]
                    part = logits[:, : some.shape[0]]
                    torch.mm(z, some.T, out=part)
                    torch.mm(part, some, out=code)
                encode_backward()
                update(n_items * hidden)
                for tensor in (h, w, out, flat):
                    tensor.fill_(0.1)
            for _ in range(config.decoder_passes):
                encode()
                for start in starts:
                    some = weight[start : start + block]
                    part = logits[:, : some.shape[0]]
                    torch.mm(z, some.T, out=part)
                    torch.mm(part.T, z, out=gradient[start : start + block])
                update(n_items * latent)

    return run


def seconds(work: Callable[[], object], device: torch.device) -> float:
    started = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=2_000)
    parser.add_argument("--items", type=int, default=20_108)
    parser.add_argument("--per-user", type=int, default=100, help="draws a user; duplicates leave about 93")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, help="folder for throughput.csv")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device)
    train, config = power_law_users(arguments.users, arguments.items, arguments.per_user), RecVAEConfig()
    print(
        f"{train.n_users} users x {train.n_items} items, {train.n_interactions / train.n_users:.1f} a user;"
        f" {device}, {arguments.threads} threads; auto takes {best_precision(device)}"
    )
    updates = train.n_users / config.batch_size
    work: dict[str, Callable[[], object]] = {
        "textbook": Textbook(config, train, device=arguments.device).step
    }
    for precision in PRECISIONS:
        engine = AlternatingTrainer(config, train, seed=0, device=device, precision=precision)
        work[precision] = engine.step
        work[f"{precision}_roofline"] = roofline(config, train.n_items, precision, device)
    for step in work.values():
        step()
        step()
    rows = []
    for repeat in range(arguments.repeats):
        row = {"repeat": float(repeat)}
        for name, step in work.items():
            row[f"{name}_s"] = seconds(step, device) * (updates if name.endswith("roofline") else 1)
        rows.append(row)
        print({name: round(value, 3) for name, value in row.items()}, flush=True)

    def median(name: str, over: str) -> float:
        return statistics.median(row[f"{name}_s"] / row[f"{over}_s"] for row in rows)

    for name in ("textbook", *PRECISIONS):
        speed = 4 * train.n_users / statistics.median(row[f"{name}_s"] for row in rows)
        line = f"{name:10} {speed:9,.0f} users/s (a user a pass)"
        if name != "textbook":
            line += f", {median('textbook', name):5.1f} times the textbook"
            line += f", {median(f'{name}_roofline', name):.2f} of the roofline"
        print(line)
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        with (arguments.out / "throughput.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows({name: round(value, 4) for name, value in row.items()} for row in rows)


if __name__ == "__main__":
    main()
