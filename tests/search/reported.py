"""A search's results folder without Ray and without training, for what reads such folders. For tests."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from distrecvae.search.core.conductor import Conductor
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.records import Status as TrialStatus
from distrecvae.search.core.rules import make_rule
from distrecvae.search.folder.search_json import Status, WarmStart, write_description
from distrecvae.search.folder.tables import Tables
from distrecvae.search.space.relative import Sizes
from distrecvae.search.space.space import SearchSpace
from tests.search.described import described

SIZES = Sizes(users=2900, items=1200, interactions=123_456)
"""Of the data set that such a folder tells of: `described` has it."""

Curve = Callable[[dict[str, Any], int], float]


def rising(config: dict[str, Any], passes: int) -> float:
    """Return a validation score of a RecVAE configuration: it rises with passes, learning rate counts most."""
    ceiling: float = (
        0.4 - 0.1 * abs(math.log10(config["learning_rate"] / 1e-3)) - 0.02 * abs(config["dropout"] - 0.4)
    )
    return ceiling * (1 - math.exp(-passes / 20))


def make_search(
    folder: Path, *, space: SearchSpace, curve: Curve = rising, status: Status = "finished",
    stop_after: int | None = None, warm: WarmStart | None = None, **settings: Any,
) -> Ledger:  # fmt: skip
    """Write a search's folder as `run.search` leaves it, TensorBoard files and models aside; return its ledger.

    Args:
        folder: where; made if missing.
        space: what is searched.
        curve: the score of a configuration after so many passes; NaN diverges, an exception fails.
        status: what `search.json` says.
        stop_after: leave the trial running that gives the report of this number.
        warm: what is taken over from another search.
        settings: of the SearchConfig.
    """
    space = space.resolved(SIZES)
    config = SearchConfig(
        **{"model": space.model, "data": "data/toy", "sampler": "tpe", "seed": 2, **settings}
    )
    folder.mkdir(exist_ok=True)
    ledger = Ledger(folder, f"valid/{config.metric}")
    rule = make_rule(config.scheduler, config.first_rung, config.most_passes, config.reduction_factor)
    points = () if warm is None else warm.points(space)
    conductor = Conductor(
        ledger=ledger, space=space, config=config, rule=rule, folder=folder, warm_starts=points
    )
    _run(conductor, curve, stop_after)
    Tables(folder, ledger, space, f"valid/{config.metric}").write()
    about = described(config, space, status=status, rungs=rule.rungs(0))
    write_description(folder, replace(about, warm_start=warm, ledger=ledger.mark))
    return ledger


def publish(folder: Path, trial: int, gain_valid: float, gain_test: float, error: float) -> None:
    """Write `best/metrics.json` as `publish_best` does, with these gains over trial 0."""

    def scores(value: float) -> dict[str, Any]:
        names = ("ndcg_100", "recall_20", "recall_50")
        mean, spread = dict.fromkeys(names, value), dict.fromkeys(names, 0.01)
        return {"mean": mean, "standard_error": spread, "n_evaluated": 59, "n_skipped": 1}

    def gain(value: float) -> dict[str, Any]:
        return {
            name: {"mean": value, "standard_error": error} for name in ("ndcg_100", "recall_20", "recall_50")
        }

    mark = {"lines": 0, "check": ""}
    metrics: dict[str, Any] = {
        "trial": trial, "selected_by": "valid/ndcg_100", "cycle": 2, "passes": 8,
        "valid": scores(0.4), "test": scores(0.3), "ledger": mark, "first": None,
    }  # fmt: skip
    if trial != 0:
        metrics["first"] = {
            "trial": 0, "valid": scores(0.4 - gain_valid), "test": scores(0.3 - gain_test),
            "gain_valid": gain(gain_valid), "gain_test": gain(gain_test),
        }  # fmt: skip
    (folder / "best").mkdir(exist_ok=True)
    (folder / "best" / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")


def _run(conductor: Conductor, curve: Curve, stop_after: int | None) -> None:
    given = 0
    while (task := conductor.next_task()) is not None:
        per_cycle = task.config.get("encoder_passes", 1) + task.config.get("decoder_passes", 0)
        passes, over = 0, False
        while not over and passes + per_cycle <= task.max_passes:
            passes += per_cycle
            try:
                value = curve(task.config, passes)
            except RuntimeError as error:
                conductor.failed(task.number, TrialStatus.FAILED, str(error))
                break
            if math.isnan(value):
                conductor.failed(task.number, TrialStatus.DIVERGED, "loss is nan")
                break
            scores = {"valid/ndcg_100": value, "valid/recall_20": value / 2, "valid/recall_50": value / 3}
            over = conductor.heard(
                task.number,
                {"passes": passes, "cycle": passes // per_cycle, **scores, "train_s": 1.0, "evaluate_s": 0.5},
            )
            given += 1
            if given == stop_after:
                return
        conductor.finished(task.number)
