"""The critical-difference diagram: models on a line by their mean ranks, bars over those that are not told apart."""

from __future__ import annotations

from pathlib import Path

from distrecvae.search.comparison.ranks import Ranks


def save_diagram(path: Path, ranks: Ranks, title: str, kind: str = "png") -> None:
    """Write the diagram, as PNG or another kind that matplotlib knows (PDF and SVG stay sharp in print)."""
    # No state of pyplot, no screen: matplotlib takes a second to import, so it is imported when there is a picture.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    n_models, bars = len(ranks.names), ranks.alike()
    left = (n_models + 1) // 2  # names to the left: the better half
    depth = 0.45 + 0.2 * len(bars)
    lowest = depth + 0.35 * max(left, n_models - left)
    figure = Figure(figsize=(8, 1.2 + 0.75 * (lowest + 0.9)), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlim(1 - 0.35 * (n_models - 1), n_models + 0.35 * (n_models - 1))
    axes.set_ylim(lowest + 0.2, -1.1)
    axes.plot([1, n_models], [0, 0], color="black", linewidth=1)
    for rank in range(1, n_models + 1):
        axes.plot([rank, rank], [0, -0.12], color="black", linewidth=1)
        axes.annotate(str(rank), (rank, -0.18), ha="center", va="bottom", fontsize=9)
    for place, (name, mean) in enumerate(zip(ranks.names, ranks.mean, strict=True)):
        on_left = place < left
        level = depth + 0.35 * (place if on_left else n_models - 1 - place)
        end = 0.9 if on_left else n_models + 0.1
        axes.plot([mean, mean, end], [0, level, level], color="#5f5f5f", linewidth=0.8)
        axes.annotate(
            f"{name} ({mean:.2f})", (end, level), ha="right" if on_left else "left", va="center", fontsize=9,
            textcoords="offset points", xytext=(-3 if on_left else 3, 0),
        )  # fmt: skip
    for number, (first, last) in enumerate(bars):
        height = 0.25 + 0.2 * number
        axes.plot(
            [ranks.mean[first] - 0.03, ranks.mean[last] + 0.03], [height, height], color="#1f5fa8",
            linewidth=4, solid_capstyle="butt",
        )  # fmt: skip
    reach = min(ranks.critical_difference, n_models - 1.0)
    axes.plot([1, 1 + reach], [-0.75, -0.75], color="black", linewidth=1.5, marker="|")
    beyond = "" if ranks.can_tell else ", more than there is room for: nothing can be told apart"
    axes.annotate(
        f"CD = {ranks.critical_difference:.2f}{beyond}", (1, -0.82), ha="left", va="bottom", fontsize=9
    )
    axes.set_title(title, loc="left", fontsize=11)
    axes.axis("off")
    FigureCanvasAgg(figure)
    figure.savefig(str(path), format=kind)
