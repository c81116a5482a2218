"""Rows of a comparison's table without a search. For tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from distrecvae.evaluation import Evaluation
from distrecvae.metrics import METRICS
from distrecvae.search.comparison.row import Row


def scored(values: npt.NDArray[np.float64]) -> Evaluation:
    return Evaluation(dict.fromkeys(METRICS, values), np.arange(values.size), 0)


def row(name: str, valid: float, test: npt.NDArray[np.float64], **more: Any) -> Row:
    """Return a row whose test users have these values of every metric."""
    facts: dict[str, Any] = {
        "name": name, "model": name, "config": {"x": 0.5, "w": [0.25, 0.75]}, "valid": scored(np.full(5, valid)),
        "test": scored(test), "trials": 3, "search_s": 61.0, "train_s": 2.0, "n_parameters": 1234,
    }  # fmt: skip
    return Row(**facts | more)
