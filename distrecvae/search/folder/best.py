"""Owns the end of a search: the chosen model on the test users, beside the published configuration, in `best/`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from distrecvae.data.dataset import Split
from distrecvae.data.io import data_facts
from distrecvae.evaluation import Evaluation, evaluate
from distrecvae.layout import BEST_FOLDER
from distrecvae.metrics import METRICS, on_validation
from distrecvae.paired import paired_gain
from distrecvae.runs.trial import best_model
from distrecvae.saved.model import save_model
from distrecvae.search.core.conductor import Conductor
from distrecvae.search.core.records import TrialRecord
from distrecvae.search.folder.marks import LEDGER_KEY
from distrecvae.training import registry
from distrecvae.training.device import usable_device


@dataclass(frozen=True)
class Scored:
    """A trial's best model on both groups of held-out users."""

    record: TrialRecord
    valid: Evaluation
    test: Evaluation


def score_trial(
    conductor: Conductor, record: TrialRecord, split: Split, metric: str
) -> tuple[Scored, dict[str, Any]]:
    """Return the scores of a trial's best model, and its parameters."""
    report = record.best_report(on_validation(metric))
    assert report is not None, "a trial with a score has a report"  # noqa: S101
    # The driver need not have the trials' GPU; the state that a trial left is read anywhere.
    task = replace(conductor.task(record), device=usable_device(None))
    state = best_model(task, int(report["cycle"]), split.train, split.valid)
    config = registry.config_from_dict(task.model, task.config)
    model = registry.load_recommender(task.model, config, split.n_items, state)
    return Scored(record, evaluate(model, split.valid), evaluate(model, split.test)), state


def gain(best: Evaluation, other: Evaluation) -> dict[str, dict[str, float]]:
    """Return the mean paired difference and its standard error by metric, over the same users."""
    found = {name: paired_gain(best.per_user[name], other.per_user[name]) for name in METRICS}
    return {name: {"mean": gain.mean, "standard_error": gain.standard_error} for name, gain in found.items()}


def publish_best(
    conductor: Conductor, split: Split, folder: Path, *, model: str, metric: str, data: str
) -> tuple[Scored, Scored | None] | None:
    """Score the chosen trial on the test users and write `best/`; return it with the first trial's scores.

    Test users are looked at here and nowhere else, after the choice was made on validation users. The first trial,
    the published configuration, is scored beside it so that the gain can be told from luck; it is None where that
    trial has no score. `data` is the dataset folder that `split` was read from. Returns None when no trial has a
    score.
    """
    record = conductor.ledger.best()
    report = None if record is None else record.best_report(on_validation(metric))
    if record is None or report is None:
        return None
    best, state = score_trial(conductor, record, split, metric)
    first = conductor.ledger.records[0]
    published = None
    if first.number != record.number and first.score is not None and first.reports:
        published, _ = score_trial(conductor, first, split, metric)
    metrics: dict[str, Any] = {
        "trial": record.number,
        "selected_by": on_validation(metric),
        "cycle": report["cycle"],
        "passes": report["passes"],
        "valid": best.valid.summary(),
        "test": best.test.summary(),
        LEDGER_KEY: conductor.ledger.mark.to_dict(),
    }
    if published is not None:
        metrics["published"] = {
            "trial": first.number,
            "valid": published.valid.summary(),
            "test": published.test.summary(),
            "gain_valid": gain(best.valid, published.valid),
            "gain_test": gain(best.test, published.test),
        }
    save_model(
        folder / BEST_FOLDER,
        model=model,
        config=registry.config_from_dict(model, record.config),
        state=state,
        item_ids=split.item_ids,
        metrics=metrics,
        data=data_facts(data, split),
    )
    return best, published
