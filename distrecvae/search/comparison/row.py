"""A row of a comparison: what a model's search found, what its seeds gave, or what another system scored."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from distrecvae.data.dataset import Split
from distrecvae.elsewhere.scoring import ScoredElsewhere
from distrecvae.evaluation import Evaluation, Scoring, evaluate
from distrecvae.layout import BEST_FOLDER
from distrecvae.metrics import METRICS
from distrecvae.saved.model import load_model
from distrecvae.search.folder.search_json import read_description
from distrecvae.search.folder.tables import read_trials
from distrecvae.training.device import usable_device
from distrecvae.training.registry import config_to_dict

ELSEWHERE = "scores from elsewhere"
"""What stands in the place of a model's name in the row of a system that was trained elsewhere."""


@dataclass(frozen=True)
class Seeds:
    """The chosen configuration under several seeds.

    Attributes:
        numbers: the seeds; empty where scores from elsewhere do not say them.
        valid: by metric name, each seed's mean over validation users; empty where there is none.
        test: the same over test users.
    """

    numbers: tuple[int, ...]
    valid: Mapping[str, tuple[float, ...]]
    test: Mapping[str, tuple[float, ...]]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(next(iter(self.test.values()), ()))

    def standard_error(self, name: str) -> float:
        """Return the standard error of the test mean over seeds (deviation with n - 1, over sqrt(n)); NaN of one."""
        values = np.array(self.test[name], dtype=np.float64)
        return float(values.std(ddof=1) / math.sqrt(values.size)) if values.size > 1 else math.nan


@dataclass(frozen=True)
class Row:
    """What a model's search found, or what a system scored that was trained elsewhere.

    With seeds, a user's value is the mean over them: errors and tests over users are of that.

    Attributes:
        name: of the row.
        model: registry name; `ELSEWHERE` for another system.
        config: the chosen configuration, JSON-able.
        valid: its scores on the validation users, by which it was chosen; None where a system has none.
        test: its scores on the test users.
        trials: configurations tried; None where that is not known, as all that follows.
        search_s: seconds of the search, from its start to its end.
        train_s: seconds of the chosen trial, its validation included.
        n_parameters: numbers in the chosen model.
        seeds: what they gave one by one; None for the search's own model alone.
        notes: what of the held-out users was not scored, a line each.
    """

    name: str
    model: str
    config: dict[str, Any]
    valid: Evaluation | None
    test: Evaluation
    trials: int | None
    search_s: float | None
    train_s: float | None
    n_parameters: int | None
    seeds: Seeds | None = None
    notes: tuple[str, ...] = ()


def valid_mean(row: Row, metric: str) -> float:
    """Return the row's mean over validation users, by which models are chosen; not a number where there is none."""
    return math.nan if row.valid is None else row.valid.mean(metric)


def read_row(name: str, folder: Path, split: Split, metrics: Sequence[str] = METRICS) -> Row:
    """Return the row of a finished search: its model, loaded from `best/`, scores the users again."""
    loaded = load_model(folder / BEST_FOLDER, usable_device(None))
    trials = read_trials(folder)
    scoring = Scoring.of(metrics, split.train)
    chosen = trials["trial"] == loaded.metrics["trial"]
    return Row(
        name=name,
        model=loaded.model,
        config=config_to_dict(loaded.config),
        valid=evaluate(loaded.recommender, split.valid, scoring),
        test=evaluate(loaded.recommender, split.test, scoring),
        trials=len(trials),
        search_s=read_description(folder).elapsed_s,
        train_s=float(trials.loc[chosen, "duration_s"].iloc[0]),
        n_parameters=loaded.n_parameters,
    )


def elsewhere_row(name: str, found: Sequence[ScoredElsewhere], sources: Sequence[str]) -> Row:
    """Return the row of a system that was trained elsewhere, once or with several seeds.

    Args:
        name: of the row.
        found: its scores, a seed each.
        sources: where they were read.
    """
    valid = [each.valid for each in found if each.valid is not None]
    return Row(
        name=name,
        model=ELSEWHERE,
        config={"scores": list(sources)},
        valid=mean_over_seeds(valid) if len(valid) == len(found) else None,
        test=mean_over_seeds([each.test for each in found]),
        trials=None,
        search_s=None,
        train_s=None,
        n_parameters=None,
        seeds=None if len(found) == 1 else seeds_of((), valid, [each.test for each in found]),
        notes=tuple(dict.fromkeys(note for each in found for note in each.notes)),
    )


def seeds_of(numbers: Sequence[int], valid: Sequence[Evaluation], test: Sequence[Evaluation]) -> Seeds:
    """Return the means of several seeds' scores, by metric; those on validation users only where all have them."""

    def means(scored: Sequence[Evaluation]) -> dict[str, tuple[float, ...]]:
        if len(scored) < len(test):
            return {}
        return {name: tuple(each.mean(name) for each in scored) for name in scored[0].names}

    return Seeds(tuple(numbers), means(valid), means(test))


def mean_over_seeds(scored: Sequence[Evaluation]) -> Evaluation:
    """Return each user's mean over several seeds' scores of the same users."""
    first = scored[0]
    return Evaluation(
        {name: np.mean([each.per_user[name] for each in scored], axis=0) for name in first.per_user},
        first.users,
        first.n_skipped,
        {name: float(np.mean([each.overall[name] for each in scored])) for name in first.overall},
    )
