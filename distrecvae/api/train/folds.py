"""Trains one configuration on each fold of a data set; for command line and Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from distrecvae.api.train.folder import Order, train_in
from distrecvae.api.train.loop import say
from distrecvae.api.train.settings import new_settings, refuse_used
from distrecvae.data.prepared import Data, read_data
from distrecvae.errors import ConfigError, ResultsError
from distrecvae.evaluation import Evaluation
from distrecvae.layout import DATA_FOLDER
from distrecvae.metrics import on_validation
from distrecvae.runs.folds import fold_places, read_n_folds, summarize_folds, write_n_folds
from distrecvae.runs.training_run import read_settings, write_settings
from distrecvae.training.device import usable_device


@dataclass(frozen=True)
class TrainedFolds:
    """How the trainings on folds ended.

    Attributes:
        complete: none was stopped early by a signal.
        n_folds: how many folds there are.
        summary: their joint `metrics.json`; empty if they are not complete.
        ended: why it is over, or how far it came, for people.
    """

    complete: bool
    n_folds: int
    summary: Mapping[str, Any]
    ended: str


def train_folds_in(out: Path, order: Order, *, goes_on: str, data: Data | None = None) -> TrainedFolds:
    """Train as ordered on each fold, one after the other, and write their joint scores.

    Args:
        out: the results folder; the run on each fold lies in a folder of its own in it.
        order: what to do on each; its data is the folder of all folds.
        goes_on: what to type to resume, shown if a signal stops it.
        data: the first fold, which knows the others, where the caller has it.

    Raises:
        DistrecvaeError: what was asked for, the data or the folder does not fit.
    """
    others = {
        "seeds": order.seeds,
        "refit": order.refit or None,
        "warm-weights": order.given.get("warm_weights"),
    }
    for option in (option for option, value in others.items() if value is not None):
        raise ConfigError(
            f"--each-fold with --{option}: each fold is trained on once, afresh; leave one of them out"
        )
    n_folds = read_n_folds(out)
    if order.resume:
        if n_folds is None:
            raise ResultsError(f"{out} holds no runs on folds; leave --each-fold out, or --resume")
        if data is not None or "data" in order.given:
            order = replace(
                order, given={name: value for name, value in order.given.items() if name != "data"}
            )
        anew = replace(order, configuration=None)
    else:
        n_folds = _begin(out, order, data)
        anew = replace(order, given={}, configuration=None, precision=None, resume=True)
    scores: list[Mapping[str, Evaluation]] = []
    for number, place in enumerate(fold_places(out, n_folds), 1):
        say(f"fold {number} of {n_folds}:")
        trained = train_in(place, anew, goes_on=goes_on)
        if not trained.complete:
            return TrainedFolds(False, n_folds, {}, trained.ended)
        scores.append(trained.scores)
        say("")
    metric = read_settings(fold_places(out, n_folds)[0]).metric
    summary = summarize_folds(out, scores, on_validation(metric))
    return TrainedFolds(True, n_folds, summary, f"{n_folds} folds are trained on")


def _begin(out: Path, order: Order, data: Data | None) -> int:
    """Write down what is trained on each fold, and return how many there are."""
    if data is None:
        if "data" not in order.given:
            raise ConfigError(
                "--data is missing; give a folder of folds (`distrecvae prepare --folds K` makes one)"
            )
        data = read_data(order.given["data"])
    folds = data.folds
    if not folds:
        raise ConfigError(
            f"--each-fold: {data.folder or 'the data'} has no folds; make some with `distrecvae prepare --folds K`"
        )
    device = usable_device(order.device)
    places = fold_places(out, len(folds))
    begun = []
    for place, fold in zip(places, folds, strict=True):
        given = {**order.given, "data": fold.folder or str(place / DATA_FOLDER)}
        begun.append(new_settings(given, order.configuration, order.precision, device, fold.split)[1])
    refuse_used(out)
    for place, fold, settings in zip(places, folds, begun, strict=True):
        place.mkdir(parents=True, exist_ok=True)
        if fold.folder is None:
            replace(fold, folds=()).save(place / DATA_FOLDER)
        write_settings(place, settings)
    write_n_folds(out, len(folds))
    return len(folds)
