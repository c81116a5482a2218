"""How long a data pass takes: some batches are trained and some users scored, and scaled to all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distrecvae.data.dataset import HeldOutUsers
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.evaluation import Scoring
from distrecvae.precisions import Precision
from distrecvae.training import registry
from distrecvae.training.device import use_threads
from distrecvae.training.trainer import fit

BATCHES = 3
SCORED_USERS = 500


def some_users(
    model: str, config: dict[str, Any], train: InteractionMatrix, valid: HeldOutUsers
) -> tuple[InteractionMatrix, HeldOutUsers] | None:
    """Return as many users as some batches have, and some to be scored; None for a model that has no batches."""
    batch_size = getattr(registry.config_from_dict(model, config), "batch_size", None)
    if batch_size is None:
        return None
    able = np.flatnonzero((valid.fold_in.counts() > 0) & (valid.held_out.counts() > 0))[:SCORED_USERS]
    users = np.arange(min(train.n_users, BATCHES * batch_size))
    return train.take(users), HeldOutUsers(valid.fold_in.take(able), valid.held_out.take(able))


def seconds_of_passes(
    model: str,
    config: dict[str, Any],
    train: InteractionMatrix,
    valid: HeldOutUsers,
    metrics: Sequence[str],
    *,
    device: str,
    precision: Precision,
    threads: int,
) -> tuple[float, float]:
    """Return the seconds that a data pass over these users takes, and their share of an evaluation, a pass.

    The first cycle is not counted: it prepares what later ones reuse.

    Raises:
        DivergedError: a loss is not finite.
    """
    use_threads(threads)
    trainer = registry.make_trainer(
        model,
        registry.config_from_dict(model, config),
        train,
        seed=0,
        device=device,
        precision=precision,
    )
    reports = fit(trainer, valid, Scoring.of(tuple(metrics), train))
    next(reports)
    report = next(reports)
    return report.train_s / trainer.passes_per_cycle, report.evaluate_s / trainer.passes_per_cycle
