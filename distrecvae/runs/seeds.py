"""Several trainings of one configuration that differ in their seed: where they lie, and what they are together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from distrecvae.checks import is_whole
from distrecvae.errors import CheckpointError
from distrecvae.files import write_json
from distrecvae.layout import BEST_FOLDER, METRICS_FILE
from distrecvae.saved.tensors import read_json

SEEDS_FILE = "seeds.json"


def seed_folder(folder: Path, seed: int) -> Path:
    """Return where the run of one seed lies."""
    return folder / f"seed-{seed}"


def write_seeds(folder: Path, seeds: Sequence[int]) -> None:
    """Write down which seeds are trained in `folder`."""
    write_json(folder / SEEDS_FILE, {"seeds": list(seeds)})


def read_seeds(folder: Path) -> tuple[int, ...] | None:
    """Return the seeds that are trained in `folder`; None where it holds a single run or nothing.

    Raises:
        CheckpointError: the file is damaged.
    """
    path = folder / SEEDS_FILE
    if not path.exists():
        return None
    seeds = read_json(path).get("seeds")
    if not isinstance(seeds, list) or not seeds or not all(map(is_whole, seeds)):
        raise CheckpointError(f"{path} is damaged (no list of seeds); restore it or train again")
    return tuple(seeds)


def summarize(folder: Path, seeds: Sequence[int]) -> dict[str, Any]:
    """Write `metrics.json` from the seeds' finished runs, and return what is in it.

    By group of users: each metric of every seed, the mean over seeds, and its standard error (deviation with n - 1,
    over sqrt(n)); None where a seed has no score, over no users, and for the error of a single seed, which tells
    nothing of others. That error is of training's randomness alone; the users are the same for all seeds, and what
    another choice of users would do is in each seed's own `best/metrics.json`. `best_seed` is the best on validation
    users.
    """
    runs = [read_json(seed_folder(folder, seed) / BEST_FOLDER / METRICS_FILE) for seed in seeds]
    selected_by = runs[0]["selected_by"]
    summary: dict[str, Any] = {"seeds": list(seeds), "selected_by": selected_by}
    for group in ("valid", "test"):
        scores = {name: [run[group]["mean"][name] for run in runs] for name in runs[0][group]["mean"]}
        over_seeds = {name: _mean(values) for name, values in scores.items()}
        summary[group] = {
            "mean": {name: mean for name, (mean, _) in over_seeds.items()},
            "standard_error": {name: error for name, (_, error) in over_seeds.items()},
            "per_seed": scores,
        }
    chosen = summary["valid"]["per_seed"][selected_by.removeprefix("valid/")]
    summary["best_seed"] = seeds[int(np.argmax(chosen))]
    write_json(folder / METRICS_FILE, summary)
    return summary


def _mean(values: Sequence[float | None]) -> tuple[float | None, float | None]:
    """Return the mean and its standard error, each None where there is none."""
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None, None
    error = float(np.std(known, ddof=1) / np.sqrt(len(known))) if len(known) > 1 else None
    return float(np.mean(known)), error
