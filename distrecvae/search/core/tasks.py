"""Makes a trial's task of its record: what is needed to run it, or to repeat it; and says which ones a kill left."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from distrecvae import rng
from distrecvae.metrics import on_validation
from distrecvae.precisions import Precision
from distrecvae.runs.trial import TrialTask
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.records import TrialRecord
from distrecvae.search.core.requests import REOPENING


def trial_task(
    record: TrialRecord,
    config: SearchConfig,
    *,
    device: str,
    precision: Precision,
    max_passes: int | None = None,
    checkpoint_every_s: float | None = None,
    ledger: Mapping[str, Any] | None = None,
) -> TrialTask:
    """Return what is needed to run (or repeat) a trial: a trial is a function of it.

    Args:
        record: the trial.
        config: the search's settings.
        device: a torch device.
        precision: of the matrix products.
        max_passes: its budget; None for its own, or the search's.
        checkpoint_every_s: seconds between its checkpoints, at least; None for the search's.
        ledger: how long the search's ledger is.
    """
    return TrialTask(
        number=record.number,
        model=config.model,
        config=record.config,
        seed=rng.trial_seed(config.seed, record.config),
        max_passes=max_passes or record.max_passes or config.most_passes,
        metric=on_validation(config.metric),
        metrics=config.scored,
        device=device,
        precision=precision,
        checkpoint_every_s=config.checkpoint_every_s if checkpoint_every_s is None else checkpoint_every_s,
        ledger=ledger,
    )


def undecided(lines: Iterable[Mapping[str, Any]]) -> int | None:
    """Return the trial whose report was the last thing that a killed driver wrote: what follows was not decided yet.

    All other reports were decided on at once. They are not judged again, by what was reported since.
    """
    last: Mapping[str, Any] = {}
    for line in lines:
        last = last if line["kind"] == "resumed" else line
    return int(last["trial"]) if last.get("kind") == "report" else None


def left_in_turn(ledger: Ledger) -> list[TrialRecord]:
    """Return the trials that a killed search left: in the order in which they were asked for, or asked to train on."""
    turn = {number: len(ledger.lines) + number for number in ledger.records}  # since it was opened
    for position, line in enumerate(ledger.lines):
        if line["kind"] == "asked":
            turn[line["trial"]] = position
        elif line["kind"] == "steered" and line["done"] and line["what"]["action"] in REOPENING:
            turn[line["what"]["trials"][0]] = position
    return sorted(ledger.unfinished(), key=lambda record: turn[record.number])
