"""Tables and a picture of replayed searches: what is committed of a comparison.

    python benchmarks/recvae_bench.py draw --runs runs.parquet more.parquet --out folder

Writes `searches.csv` (a row a search), `summary.csv` (a row for each method, table and workers) and `closed.png` (the
share of searches that closed 90 % of the gap, by cost).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from bench.compare import MOST, intervals

KEPT = ["method", "table", "workers", "seed", "cost_50", "cost_90", "passes_90", "trials"]


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--methods", default="default,guided", help="in the picture")
    arguments = parser.parse_args(argv)
    frame = pd.concat([pd.read_parquet(path) for path in arguments.runs], ignore_index=True)
    frame = frame.drop_duplicates(["method", "table", "workers", "seed"])
    frame[KEPT].round(3).to_csv(arguments.out / "searches.csv", index=False)
    summary = intervals(frame)
    summary.to_csv(arguments.out / "summary.csv", index=False)
    print(summary.to_string(index=False))
    picture(frame[frame["method"].isin(arguments.methods.split(","))], arguments.out / "closed.png")


def picture(frame: pd.DataFrame, path: Path) -> None:
    """Draw the share of searches that got there by cost: a panel a table and number of workers, a line a method."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    tables, workers = list(frame["table"].unique()), sorted(frame["workers"].unique())
    size = (2.6 * len(tables), 2.4 * len(workers))
    figure, axes = plt.subplots(len(workers), len(tables), figsize=size, sharey=True, squeeze=False)
    for i, at_once in enumerate(workers):
        for j, table in enumerate(tables):
            axis = axes[i, j]
            for method in frame["method"].unique():
                chosen = (
                    (frame["method"] == method) & (frame["table"] == table) & (frame["workers"] == at_once)
                )
                costs = np.sort(frame.loc[chosen, "cost_90"].to_numpy(float))
                if len(costs):
                    share = np.arange(1, len(costs) + 1) / len(costs)
                    axis.step(np.append(0, costs), np.append(0, share), where="post", label=method)
            axis.set_xlim(0, MOST[int(at_once)])
            axis.set_ylim(0, 1)
            axis.set_title(f"{table}, {at_once} worker{'s' if at_once > 1 else ''}", fontsize=8)
            axis.tick_params(labelsize=7)
    axes[0, 0].legend(fontsize=7, loc="lower right")
    figure.supxlabel("whole trainings of the published configuration, by the clock", fontsize=8)
    figure.supylabel("share of searches", fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
