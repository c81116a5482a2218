"""The trainings of one configuration on each fold of a data set: where they lie, and what they are together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from distrecvae.checks import is_whole
from distrecvae.data.splitting.folds import fold_name
from distrecvae.errors import CheckpointError
from distrecvae.evaluation import Evaluation
from distrecvae.files import write_json
from distrecvae.layout import METRICS_FILE
from distrecvae.saved.tensors import read_json

FOLDS_FILE = "folds.json"


def fold_places(folder: Path, n_folds: int) -> list[Path]:
    """Return where the run on each fold lies."""
    return [folder / fold_name(number) for number in range(1, n_folds + 1)]


def write_n_folds(folder: Path, n_folds: int) -> None:
    """Write down how many folds are trained on in `folder`."""
    write_json(folder / FOLDS_FILE, {"folds": n_folds})


def read_n_folds(folder: Path) -> int | None:
    """Return on how many folds the runs in `folder` are; None where it holds something else, or nothing.

    Raises:
        CheckpointError: the file is damaged.
    """
    path = folder / FOLDS_FILE
    if not path.exists():
        return None
    n_folds: Any = read_json(path).get("folds")
    if not is_whole(n_folds) or n_folds < 2:
        raise CheckpointError(f"{path} is damaged (no number of folds); restore it or train again")
    return int(n_folds)


def summarize_folds(folder: Path, scores: Sequence[Mapping[str, Evaluation]], metric: str) -> dict[str, Any]:
    """Write `metrics.json` from the scores on each fold, and return what is in it.

    By group of users: each metric on every fold, the mean over folds, and its standard error (deviation with n - 1,
    over sqrt(n)). Of the test users, each of whom is in one fold, the mean over all of them and its standard error, too
    (`over_users`); what is one value of all lists has none. None stands for what is not a number, over no users.

    Args:
        folder: of all runs.
        scores: of each fold, by group of users.
        metric: that chose the models.
    """
    summary: dict[str, Any] = {"folds": len(scores), "selected_by": metric}
    for group in ("valid", "test"):
        found = [each[group] for each in scores]
        names = found[0].names
        values = {name: [each.mean(name) for each in found] for name in names}
        summary[group] = {
            "mean": {name: _known(float(np.mean(values[name]))) for name in names},
            "standard_error": {
                name: _known(float(np.std(values[name], ddof=1) / math.sqrt(len(found)))) for name in names
            },
            "per_fold": {name: [_known(value) for value in values[name]] for name in names},
        }
        if group == "test":
            all_users = Evaluation(
                {name: np.concatenate([each.per_user[name] for each in found]) for name in found[0].per_user},
                np.arange(sum(each.n_evaluated for each in found)),
                sum(each.n_skipped for each in found),
            )
            summary[group]["over_users"] = all_users.summary()
    write_json(folder / METRICS_FILE, summary)
    return summary


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
