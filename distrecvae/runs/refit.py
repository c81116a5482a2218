"""The last training of a chosen configuration: on training and validation users together, for a known budget."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from distrecvae.data.dataset import Split
from distrecvae.data.days.matching import positions_among
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import CheckpointError, ConfigError
from distrecvae.layout import METRICS_FILE
from distrecvae.runs.training_run import Run, RunSettings
from distrecvae.saved.tensors import read_json


def chosen_passes(folder: Path) -> int:
    """Return after how many passes the model in `folder` was the best, by its `metrics.json`.

    Raises:
        ConfigError: that file is missing or does not say so.
    """
    path = folder / METRICS_FILE
    try:
        passes = read_json(path).get("passes")
    except CheckpointError:
        passes = None
    if not isinstance(passes, int) or passes < 1:
        raise ConfigError(
            f"{path} does not say after how many passes the model was the best; give them with --max-passes"
        )
    return passes


def with_validation_users(split: Split) -> InteractionMatrix:
    """Return the training users' rows and, below them, the validation users': what both parts of a row hold.

    A validation user who is a training user, too, has one row: theirs, with what was held out in it.
    """
    shown, hidden = split.valid.fold_in, split.valid.held_out
    users = [np.repeat(np.arange(part.n_users), part.counts()) for part in (shown, hidden)]
    whole = InteractionMatrix.from_pairs(
        np.concatenate(users),
        np.concatenate([shown.indices, hidden.indices]),
        n_users=shown.n_users,
        n_items=split.n_items,
    )
    if split.overlapping:
        return _merged(split, whole)
    return InteractionMatrix(
        np.concatenate([split.train.indptr, split.train.indptr[-1] + whole.indptr[1:]]),
        np.concatenate([split.train.indices, whole.indices]),
        split.n_items,
    )


def _merged(split: Split, whole: InteractionMatrix) -> InteractionMatrix:
    """Return the training users' rows with those of `whole`, the validation users, in or below them."""
    n_train = split.train.n_users
    at = positions_among(split.user_ids[n_train : n_train + whole.n_users], split.user_ids[:n_train])
    new = at < 0
    at[new] = n_train + np.arange(np.count_nonzero(new))
    trained = np.repeat(np.arange(n_train), split.train.counts())
    return InteractionMatrix.from_pairs(
        np.concatenate([trained, np.repeat(at, whole.counts())]),
        np.concatenate([split.train.indices, whole.indices]),
        n_users=n_train + int(np.count_nonzero(new)),
        n_items=split.n_items,
    )


class RefitRun(Run):
    """A refit in its folder; arguments and errors as for `Run`.

    Nothing is scored on the way: the validation users are trained on, and test users are looked at once, at the end.
    The last model is the one that is kept.
    """

    def __init__(
        self,
        folder: Path,
        settings: RunSettings,
        split: Split,
        *,
        device: str = "cpu",
        checkpoint_every_s: float = 30.0,
    ) -> None:
        train = with_validation_users(split)
        super().__init__(
            folder,
            settings,
            split,
            train=train,
            valid=None,
            chosen={"refit": True, "train_users": train.n_users},
            identity={"refit": True},
            device=device,
            checkpoint_every_s=checkpoint_every_s,
        )
