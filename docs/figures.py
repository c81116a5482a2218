"""Draw the figures of docs/derivations.md into docs/images: `python docs/figures.py`.

What can be computed is computed by the package's own functions; the others are drawings.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

mpl.use("agg")

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from distrecvae.kernels.active_sets import solve_active_sets
from distrecvae.kernels.composite_prior import log_normal, log_prior
from distrecvae.search.on_ray.interruption import ECHO_S, GRACE_S, LOST_GRACE_S

IMAGES = Path(__file__).parent / "images"
BLUE, ORANGE, GREEN, GRAY = "#1f77b4", "#d95f02", "#2a7f62", "#777777"


def sweep() -> Figure:
    """Return one row's sweep: logits, the running maximum, the total before and after each block."""
    random = np.random.default_rng(3)
    logits, step = random.normal(size=64) + np.linspace(-2.5, 1.5, 64), 16
    figure, (above, below) = plt.subplots(2, 1, figsize=(7, 3.6), sharex=True)
    above.bar(np.arange(64), logits + 5, bottom=-5, width=0.8, color=BLUE, alpha=0.5, label="logits $a_i$")
    largest, total = -np.inf, 0.0
    for start in range(0, 64, step):
        block = logits[start : start + step]
        larger = max(largest, block.max())
        scaled = total * 2 ** (largest - larger) if total else 0.0
        total = scaled + (2 ** (block - larger)).sum()
        above.plot(
            [start - 0.5, start + step - 0.5],
            [larger] * 2,
            color=ORANGE,
            lw=2,
            label=None if start else "largest $m$",
        )
        edges = [start - 0.5, start + step - 0.5]
        below.fill_between(
            edges,
            [scaled] * 2,
            color=GRAY,
            alpha=0.5,
            label=None if start else "total before, scaled by $2^{m-m'}$",
        )
        below.fill_between(
            edges,
            [scaled] * 2,
            [total] * 2,
            color=GREEN,
            alpha=0.5,
            label=None if start else "added by the block",
        )
        largest = larger
        for each in (above, below):
            each.axvline(start - 0.5, color=GRAY, lw=0.6, ls=":")
    above.set_ylabel("to the base of 2")
    below.set(ylabel="total $S$", xlabel="item, in blocks of 16")
    for each in (above, below):
        each.legend(frameon=False, fontsize=8, loc="upper left")
    return figure


def prior() -> Figure:
    """Return the composite prior of a coordinate, the shares of its parts, and the derivative of -log p~."""
    weights = (0.15, 0.75, 0.1)
    z = torch.linspace(-6, 6, 241, dtype=torch.float64, requires_grad=True)
    old = torch.full_like(z, 1.5).detach(), torch.full_like(z, -1.0).detach()
    log_p = log_prior(z, weights, old)
    (pull,) = torch.autograd.grad(-log_p.sum(), z)
    parts = [(0.0, 0.0, "N(0, I)"), (1.5, -1.0, "q_old"), (0.0, 10.0, "N(0, exp(10) I)")]
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(8.5, 2.6))
    x = z.detach().numpy()
    for (mu, logvar, name), weight, color in zip(parts, weights, (BLUE, ORANGE, GREEN), strict=True):
        density = log_normal(z, torch.tensor(mu), torch.tensor(logvar)) + np.log(weight)
        left.semilogy(x, density.detach().exp(), color=color, lw=1, label=name)
        middle.plot(x, (density - log_p).detach().exp(), color=color, lw=1.5)
    left.semilogy(x, log_p.detach().exp(), color="black", lw=2, alpha=0.4, label="their sum")
    left.legend(frameon=False, fontsize=7)
    left.set(title="prior, weighted parts", xlabel="z", ylim=(1e-6, 2))
    middle.set(title="shares r", xlabel="z")
    right.plot(x, pull.detach(), color="black", lw=1.5)
    right.set(title="q, derivative of -log p~", xlabel="z")
    return figure


def active_sets() -> Figure:
    """Return the weights of an item against how much each would grow."""
    torch.manual_seed(5)
    x = (torch.rand(400, 60) < torch.rand(60) * 0.35).double()
    x[:, 1:] = torch.maximum(x[:, 1:], x[:, :-1] * (torch.rand(400, 59) < 0.3))
    gram, item, l1, l2 = x.T @ x, 30, 12.0, 20.0
    solved = solve_active_sets(gram, torch.tensor([item]), l1, l2, 1e-9, 60)
    weight = torch.zeros(60, dtype=torch.float64)
    weight[solved.features.long()] = solved.values
    growth = (gram[item] - l1 - gram @ weight - l2 * weight) / (gram.diagonal() + l2)
    keep = torch.arange(60) != item
    positive = keep & (weight > 0)
    figure, axes = plt.subplots(figsize=(5.5, 3))
    axes.axhline(0, color=GRAY, lw=0.6)
    axes.axvline(0, color=GRAY, lw=0.6)
    axes.scatter(weight[positive], growth[positive], s=18, color=ORANGE, label="in the set F")
    zeros = keep & ~positive
    axes.scatter(weight[zeros], growth[zeros], s=18, color=BLUE, label="zeros: none would grow")
    axes.set(xlabel="weight $w_k$", ylabel="growth of $w_k$")
    axes.legend(frameon=False, fontsize=8)
    return figure


def interruption() -> Figure:
    """Return the time that a search has to end."""
    figure, axes = plt.subplots(figsize=(7, 2.4))
    rows = [
        (3, "first signal", 0.0, GRACE_S, "ends by itself, or is ended after 10 s"),
        (2, "SIGTERM again", 0.0, ECHO_S, "an echo within 1 s is not heard"),
        (1, "second signal", 0.0, 0.15, "KeyboardInterrupt at once"),
        (0, "Ray is lost", 0.0, LOST_GRACE_S, "ends by itself, or is ended after 3 s"),
    ]
    for at, name, start, end, text in rows:
        axes.barh(at, end - start, left=start, height=0.5, color=GREEN if at in (0, 3) else ORANGE, alpha=0.5)
        axes.text(-0.2, at, name, ha="right", va="center", fontsize=9)
        axes.text(min(end, 3.2) + 0.15 if end < GRACE_S else 0.2, at, text, va="center", fontsize=8)
    axes.set(xlim=(0, GRACE_S + 0.5), xlabel="seconds after it", yticks=[])
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    return figure


def ledger() -> Figure:
    """Return the chain of checks, a mark, and a torn line."""
    figure, axes = plt.subplots(figsize=(7.5, 2.6))
    lines = ["begun", "asked, trial 0", "report, trial 0", "ended, trial 0", "asked, tri"]
    for number, text in enumerate(lines):
        _line(axes, 4 - number, number + 1, text, torn=number == 4)
    axes.annotate("", (3.72, 1.3), (5.2, 1.3), arrowprops={"arrowstyle": "->", "color": ORANGE})
    axes.text(5.25, 1.3, "mark in search.json:\n4 lines, check 4", va="center", fontsize=8, color=ORANGE)
    axes.text(
        5.25, 0.3, "no newline: never synced,\nnobody acted on it, cut", va="center", fontsize=8, color=GRAY
    )
    axes.set(xlim=(0, 7.3), ylim=(-0.1, 5.0))
    axes.axis("off")
    return figure


def _line(axes: Axes, y: int, number: int, text: str, *, torn: bool) -> None:
    shape = Rectangle((0.1, y), 1.9 if torn else 2.3, 0.6, fill=False)
    shape.set_linestyle("--" if torn else "-")
    shape.set_edgecolor(GRAY if torn else BLUE)
    axes.add_patch(shape)
    axes.text(0.2, y + 0.3, text, va="center", fontsize=8, family="monospace")
    if torn:
        return
    axes.add_patch(Rectangle((2.4, y), 1.3, 0.6, fill=False, ec=ORANGE))
    axes.text(2.5, y + 0.3, f"check {number}", va="center", fontsize=8, family="monospace")
    if number > 1:
        axes.annotate(
            "", (3.05, y + 0.62), (3.05, y + 0.98), arrowprops={"arrowstyle": "->", "color": ORANGE}
        )


def main() -> None:
    """Write all figures; the same bytes each time."""
    mpl.rcParams.update({"svg.hashsalt": "distrecvae", "svg.fonttype": "none", "font.size": 9})
    for draw in (sweep, prior, active_sets, interruption, ledger):
        figure = draw()
        figure.tight_layout()
        name = draw.__name__.replace("_", "-")
        figure.savefig(IMAGES / f"derivation-{name}.svg", metadata={"Date": None, "Creator": None})
        plt.close(figure)


if __name__ == "__main__":
    main()
