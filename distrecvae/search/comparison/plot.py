"""The picture of a comparison: each model's test score with its error, best first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from distrecvae.metrics import title_of
from distrecvae.search.comparison.row import Row, valid_mean
from distrecvae.search.comparison.significance import LEVEL
from distrecvae.search.comparison.table import ranked


def save_plot(path: Path, rows: Sequence[Row], metric: str, title: str) -> None:
    """Write the picture as PNG: means on test users with 95 % intervals, the validation score as a ring."""
    # No state of pyplot, no screen: matplotlib takes a second to import, so it is imported when there is a picture.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    order = ranked(rows, metric)
    figure = Figure(figsize=(8, 1.6 + 0.36 * len(order)), layout="constrained")
    axes = figure.add_subplot()
    for place, (row, gain) in enumerate(order):
        colour = "#1f5fa8" if gain is None else "#7a7a7a" if gain.significant else "#5b93cf"
        mean, error = row.test.mean(metric), row.test.standard_error(metric)
        if row.test.n_evaluated:
            axes.errorbar(mean, place, xerr=1.96 * error, fmt="o", color=colour, capsize=3, markersize=6)
            axes.annotate(
                f"{mean:.3f}",
                (mean, place),
                textcoords="offset points",
                xytext=(0, 7),
                ha="center",
                fontsize=8,
            )
        axes.plot(
            valid_mean(row, metric), place, "o", markerfacecolor="none", markeredgecolor=colour, markersize=8
        )
    axes.set_yticks(range(len(order)), [row.name for row, _ in order])
    axes.set_ylim(len(order) - 0.4, -0.8)  # best first, with room for the first one's number
    axes.set_xlabel(
        f"{title_of(metric)}: test (dot, 95 % interval), validation (ring)\n"
        f"grey: behind the best, p < {LEVEL:g} (paired t-test, Holm)"
    )
    axes.set_title(title, loc="left", fontsize=11)
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    FigureCanvasAgg(figure).print_png(str(path))  # type: ignore[no-untyped-call]
