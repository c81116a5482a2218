"""How much faster than the textbook is a training cycle? MovieLens-20M's shape, both in turn in one process.

    python benchmarks/train_throughput.py --threads 2 --out benchmarks/results/DATE-train-throughput

One cycle is three encoder passes and one decoder pass over the same synthetic users (power-law popularity).
The textbook is written below as the equations read: dense rows, autograd, log_softmax times x, everything in
every pass. The roofline is the time, in the same process, of what cannot be avoided: the matrix products of
the cycle and reading and writing parameters, gradients and Adam's moments once an update.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.models.recvae import RecVAE, RecVAEConfig, kl_divergence, new_encoder
from distrecvae.training.alternating import AlternatingTrainer


def power_law_users(n_users: int, n_items: int, per_user: int) -> InteractionMatrix:
    generator = np.random.default_rng(0)
    popularity = 1 / np.arange(1, n_items + 1) ** 0.8
    cumulated = np.cumsum(popularity / popularity.sum())
    items = np.minimum(np.searchsorted(cumulated, generator.random(n_users * per_user)), n_items - 1)
    users = np.repeat(np.arange(n_users), per_user)
    return InteractionMatrix.from_pairs(users, items, n_users=n_users, n_items=n_items)


class Textbook:
    """RecVAE as its equations read: the gradient of everything, by autograd, from dense rows."""

    def __init__(self, config: RecVAEConfig, train: InteractionMatrix) -> None:
        self.config, self.train = config, train.to_scipy()
        torch.manual_seed(0)
        self.model, self.old = RecVAE(config, train.n_items), new_encoder(config, train.n_items)
        sides = (self.model.encoder, self.model.decoder)
        self.optimizers = [torch.optim.Adam(side.parameters(), lr=config.learning_rate) for side in sides]

    def encode(
        self, encoder: torch.nn.Module, x: torch.Tensor, dropout: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mu and logvar of dense rows."""
        normalized = F.dropout(x / x.norm(dim=1, keepdim=True), dropout)
        first = encoder.get_submodule("fc1")
        mu, logvar = encoder(normalized @ first.get_parameter("weight") + first.get_parameter("bias"))
        return mu, logvar

    def step(self) -> None:
        """Train one cycle."""
        config = self.config
        for pass_ in range(config.encoder_passes + config.decoder_passes):
            encoder_pass = pass_ < config.encoder_passes
            if pass_ == config.encoder_passes:
                self.old.load_state_dict(self.model.encoder.state_dict())
            order = np.random.default_rng(pass_).permutation(self.train.shape[0])
            for start in range(0, order.size, config.batch_size):
                x = torch.from_numpy(self.train[order[start : start + config.batch_size]].toarray())
                mu, logvar = self.encode(self.model.encoder, x, config.dropout if encoder_pass else 0.0)
                z = mu + torch.randn_like(mu) * (logvar / 2).exp()
                with torch.no_grad():
                    old = self.encode(self.old, x, 0.0)
                logits = z @ self.model.decoder.weight.T + self.model.decoder.bias
                log_likelihood = (F.log_softmax(logits, dim=1) * x).sum(dim=1)
                assert config.gamma is not None
                kl = config.gamma * x.sum(dim=1) * kl_divergence(z, mu, logvar, config.mixture_weights, old)
                for optimizer in self.optimizers:
                    optimizer.zero_grad()
                (kl - log_likelihood).mean().backward()  # type: ignore[no-untyped-call]
                self.optimizers[0 if encoder_pass else 1].step()


def roofline(config: RecVAEConfig, n_items: int) -> Callable[[], None]:
    """Return the unavoidable work of one update of each pass of a cycle."""
    batch, hidden, latent = config.batch_size, config.hidden_dim, config.latent_dim
    z, weight, logits = torch.randn(batch, latent), torch.randn(n_items, latent), torch.empty(batch, n_items)
    code, h, w = torch.empty(batch, latent), torch.randn(batch, hidden), torch.randn(hidden, hidden)
    both, small, flat = (
        torch.randn(hidden, 2 * latent),
        torch.empty(batch, hidden),
        torch.empty(batch, 2 * latent),
    )
    gradient, square, wide = (
        torch.empty(n_items, latent),
        torch.empty(hidden, hidden),
        torch.empty(hidden, 2 * latent),
    )
    memory = [torch.zeros(n_items * hidden) for _ in range(4)]

    def forward() -> None:
        for _ in range(4):
            torch.mm(h, w, out=small)
        torch.mm(h, both, out=flat)

    def update(elements: int) -> None:
        parameters, first, second, change = (part[:elements] for part in memory)
        torch.add(parameters, change, out=parameters)
        torch.add(first, change, out=first)
        torch.add(second, change, out=second)

    def run() -> None:
        for _ in range(config.encoder_passes):
            forward()
            for _ in range(4):
                torch.mm(small, w, out=h)
                torch.mm(h.T, small, out=square)
            torch.mm(flat, both.T, out=small)
            torch.mm(h.T, flat, out=wide)
            torch.mm(z, weight.T, out=logits)
            torch.mm(logits, weight, out=code)
            update(n_items * hidden)
            for part in (h, w, small, flat):
                part.fill_(0.1)
        for _ in range(config.decoder_passes):
            forward()
            torch.mm(z, weight.T, out=logits)
            torch.mm(logits.T, z, out=gradient)
            update(n_items * latent)

    return run


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=1_000)
    parser.add_argument("--items", type=int, default=20_108)
    parser.add_argument("--per-user", type=int, default=100, help="draws a user; duplicates leave about 80")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, help="folder for throughput.csv")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    train, config = power_law_users(arguments.users, arguments.items, arguments.per_user), RecVAEConfig()
    print(f"{train.n_users} users x {train.n_items} items, {train.n_interactions / train.n_users:.1f} a user")
    ours, textbook = AlternatingTrainer(config, train, seed=0), Textbook(config, train)
    floor, updates = roofline(config, train.n_items), train.n_users / config.batch_size
    for work in (ours.step, textbook.step, floor):
        work()
    rows = []
    for repeat in range(arguments.repeats):
        row = {
            "repeat": repeat,
            "textbook_s": seconds(textbook.step),
            "ours_s": seconds(ours.step),
            "roofline_s": seconds(floor) * updates,
        }
        rows.append(row)
        print({name: round(value, 3) for name, value in row.items()}, flush=True)
    ratio = statistics.median(row["textbook_s"] / row["ours_s"] for row in rows)
    share = statistics.median(row["roofline_s"] / row["ours_s"] for row in rows)
    speeds = [
        4 * train.n_users / statistics.median(row[name] for row in rows) for name in ("textbook_s", "ours_s")
    ]
    print(f"textbook {speeds[0]:,.0f} users/s, ours {speeds[1]:,.0f} users/s (a user a pass)")
    print(f"median ratio {ratio:.2f}, share of the roofline {share:.2f}")
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        with (arguments.out / "throughput.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
