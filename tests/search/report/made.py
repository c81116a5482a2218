"""A search's results made in memory, for what draws and describes them. For tests."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from optuna.trial import create_trial

from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.records import Status
from distrecvae.search.report.data import Point, SearchResults, Trial
from distrecvae.search.space.parameters import parse_parameter
from distrecvae.search.space.space import SearchSpace
from tests.search.reported import rising

RECVAE = SearchSpace.load("recvae-demo")

SPACE = SearchSpace(
    "recvae",
    {
        "rate": parse_parameter("rate", {"type": "float", "low": 1e-4, "high": 1e-2, "log": True}),
        "width": parse_parameter("width", {"type": "int", "low": 1, "high": 5}),
        "kind": parse_parameter("kind", {"type": "categorical", "choices": ["a", None, True]}),
    },
    {"rate": 1e-3, "width": 2, "kind": "a"},
)


def troubled(config: dict[str, Any], passes: int) -> float:
    if config["learning_rate"] > 2.2e-3:
        return math.nan
    if config["dropout"] > 0.6:
        raise RuntimeError("no memory </script><b>left</b>")
    return rising(config, passes)


def made_trial(
    number: int,
    score: float | None = None,
    *,
    curve: Sequence[tuple[int, float, float]] = (),
    status: Status = Status.FINISHED,
    reason: str = "",
    values: Mapping[str, Any] | None = None,
    **more: Any,
) -> Trial:
    """Return a trial; `curve` has (passes, value, seconds) for each report, `values`, or `more`, go over the start."""
    points = tuple(Point(*point) for point in curve)
    passes = points[-1].passes if points else 0
    return Trial(
        number=number,
        status=status,
        score=score,
        scores={"ndcg_100": score},
        best_passes=passes if points else None,
        passes=passes,
        cycles=len(points),
        duration_s=1.5 * len(points),
        values={"rate": 1e-3, "width": 2, "kind": "a", **(values or {}), **more},
        reason=reason,
        curve=points,
        suggested=create_trial(value=0.0),
    )


def made_results(
    *trials: Trial,
    space: SearchSpace = SPACE,
    status: str = "finished",
    published: Any = None,
    **settings: Any,
) -> SearchResults:
    """Return the results of a search with these trials; `settings` are those of its SearchConfig."""
    config = SearchConfig(**{"data": "data/toy", "trials": max(1, len(trials)), "max_passes": 40, **settings})
    description = {
        "status": status,
        "distrecvae": "0.1.0",
        "command": "distrecvae search --data 'my data'",
        "started": "2026-11-25T10:00:00+00:00",
        "elapsed_s": 75.0,
        "settings": asdict(config),
        "data": "my data",
        "dataset": {"fingerprint": "abc", "n_items": 1200, "train_users": 2900, "train_interactions": 123456},
        "plan": {"rungs": [4, 12], "device_name": "a CPU", "precision": "float32"},
        "versions": {"python": "3.11", "optuna": "5.0.0"},
        "platform": "Linux",
    }
    return SearchResults(Path("runs/it's"), description, space, config.metric, trials, published)
