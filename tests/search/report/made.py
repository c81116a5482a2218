"""A search's results made in memory, for what draws and describes them. For tests."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from optuna.trial import create_trial

from distrecvae.metrics import METRICS
from distrecvae.search.core.chain import Mark
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.limits import Limits
from distrecvae.search.core.records import Status
from distrecvae.search.folder.best_scores import BestScores, FirstScores, GroupScores, MeanGain
from distrecvae.search.folder.search_json import Status as SearchStatus
from distrecvae.search.report.data import Point, SearchResults, Trial
from distrecvae.search.space.parameters import parse_parameter
from distrecvae.search.space.space import SearchSpace
from tests.search.described import described
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
    status: SearchStatus = "finished",
    scores: BestScores | None = None,
    limits: Limits | None = None,
    rungs: tuple[int, ...] = (4, 12),
    **settings: Any,
) -> SearchResults:
    """Return the results of a search with these trials; `settings` are those of its SearchConfig."""
    config = SearchConfig(**{"data": "data/toy", "trials": max(1, len(trials)), "max_passes": 40, **settings})
    return SearchResults(
        Path("runs/it's"),
        described(config, space, status=status, rungs=rungs),
        space,
        trials,
        scores,
        limits,
        runs=status == "running",
    )


def group_scores(value: float | None, *, n: int = 59, skipped: int = 0) -> GroupScores:
    """Return scores that are all `value`, with an error of 0.01; None for scores over no users."""
    error = None if value is None else 0.01
    return GroupScores(
        mean=dict.fromkeys(METRICS, value),
        standard_error=dict.fromkeys(METRICS, error),
        n_evaluated=0 if value is None else n,
        n_skipped=skipped,
    )


def best_scores(
    trial: int, valid: GroupScores, test: GroupScores, first: FirstScores | None = None
) -> BestScores:
    """Return the scores of a chosen trial."""
    return BestScores(
        trial=trial, selected_by="valid/ndcg_100", cycle=2, passes=8, valid=valid, test=test, ledger=Mark(), first=first
    )  # fmt: skip


def first_scores(
    valid: GroupScores,
    test: GroupScores,
    gain_valid: tuple[float | None, float | None] = (0.0, 0.0),
    gain_test: tuple[float | None, float | None] = (0.0, 0.0),
) -> FirstScores:
    """Return the first trial's scores; a gain over them is a mean and its standard error, of every metric."""
    over_valid, over_test = (
        dict.fromkeys(METRICS, MeanGain(mean=mean, standard_error=error))
        for mean, error in (gain_valid, gain_test)
    )
    return FirstScores(trial=0, valid=valid, test=test, gain_valid=over_valid, gain_test=over_test)
