"""`distrecvae.train`: turns a call's arguments into a training."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distrecvae.api.folders import require_folder, results_folder
from distrecvae.api.given import carried_out_by
from distrecvae.api.preparing import as_data
from distrecvae.api.results import SearchResult, TrainResult
from distrecvae.api.searching import place_in
from distrecvae.api.train.folder import Order, train_in
from distrecvae.api.train.folds import train_folds_in
from distrecvae.dotted import trust
from distrecvae.errors import ConfigError
from distrecvae.layout import BEST_FOLDER, CONFIG_FILE
from distrecvae.precisions import AUTO
from distrecvae.runs.configuration import read_config
from distrecvae.runs.folds import fold_places
from distrecvae.runs.seeds import seed_folder, summarize
from distrecvae.runs.training_run import RunSettings
from distrecvae.runs.warm import earlier_config
from distrecvae.search.commands import python_call
from distrecvae.training.registry import config_from_dict, config_to_dict

if TYPE_CHECKING:
    from distrecvae.api.preparing import DataLike


def _train(given: dict[str, Any]) -> TrainResult:
    data, out, resume = as_data(given.pop("data", None)), place_in(given, "out"), given.pop("resume", False)
    model, config, settings = given.pop("model", None), given.pop("config", None), given.pop("set", {})
    if (warm := given.pop("warm_weights", None)) is not None:
        if isinstance(warm, SearchResult | TrainResult):
            warm = warm.chosen if isinstance(warm, TrainResult) else warm.folder
        warm = str(warm)
    trust(model or "")
    configured = model is not None or config is not None or bool(settings)
    if isinstance(config, SearchResult | TrainResult):
        config = (
            (config.chosen if isinstance(config, TrainResult) else config.folder) / BEST_FOLDER / CONFIG_FILE
        )
    source = None if config is None or isinstance(config, Mapping) else str(config)
    if config is None and warm is not None:
        config = earlier_config(Path(warm))
    read = partial(_configuration, model, config, settings)
    called = f"train-{read()[0].rpartition(':')[2]}"
    folder = results_folder(require_folder(out, "train"), None, called, resume=resume)
    if (patience := given.get("patience")) is not None and patience < 0:
        raise ConfigError(f"--patience {patience} must be 0 (never) or more")
    runs: dict[str, Any] = {
        name: given.pop(name)
        for name in ("max_passes", "patience", "metric", "metrics", "seed")
        if name in given
    }
    if warm is not None:
        runs["warm_weights"] = warm
    every_s, folds = given.pop("checkpoint_every", 30.0), given.pop("each_fold", False)
    order = Order(
        given=runs,
        configuration=read if configured else None,
        config_source=source,
        checkpoint_every_s=every_s,
        resume=resume,
        **given,
    )
    if folds:
        found = train_folds_in(
            folder, order, goes_on=python_call("train", out=folder, each_fold=True, resume=True), data=data
        )
        first = fold_places(folder, found.n_folds)[0]
        return TrainResult(folder, found.complete, found.ended, (), first, folds=found.n_folds)
    trained = train_in(folder, order, goes_on=python_call("train", out=folder, resume=True), data=data)
    chosen = folder
    if trained.seeds and trained.complete:
        chosen = seed_folder(folder, summarize(folder, trained.seeds)["best_seed"])
    return TrainResult(folder, trained.complete, trained.ended, trained.seeds, chosen)


def _configuration(
    model: str | None, config: str | Path | Mapping[str, Any] | None, settings: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Return the model's name and whole configuration: defaults, under the source's settings, under `settings`."""
    if isinstance(config, Mapping):
        own = config.get("config", config)
        named = config.get("model") if "config" in config else None
        if model is not None and named not in (None, model):
            raise ConfigError(f"the config is of {named}, but --model is {model}; leave one of them out")
        chosen, begun = read_config(model or named, None, ())[0], dict(own)
    else:
        chosen, begun = read_config(model, config, ())
    return chosen, config_to_dict(config_from_dict(chosen, {**begun, **settings}))


@carried_out_by(_train)
def train(
    data: DataLike | None = None,
    *,
    model: str | None = None,
    config: str | PathLike[str] | Mapping[str, Any] | SearchResult | TrainResult | None = None,
    set: Mapping[str, Any] | None = None,
    out: str | PathLike[str] | None = None,
    max_passes: int = RunSettings.max_passes,
    patience: int = RunSettings.patience or 0,
    metric: str = RunSettings.metric,
    metrics: str = ",".join(RunSettings.metrics),
    seed: int = RunSettings.seed,
    seeds: int | None = None,
    each_fold: bool = False,
    address: str | None = None,
    refit: bool = False,
    warm_weights: TrainResult | SearchResult | str | PathLike[str] | None = None,
    device: str | None = None,
    precision: str = AUTO,
    threads: int | None = None,
    checkpoint_every: float = Order.checkpoint_every_s,
    resume: bool = False,
) -> TrainResult:
    """Train one configuration, keep its best model, score it on the test users.

    Args:
        data: what `prepare` returned, or a dataset folder; a training that is resumed knows its own. Data in memory is
            written into the results folder.
        model: a model of docs/models.md; None for that of `config`, or RecVAE.
        config: a packaged configuration, a file of settings, a dict of them, or a finished search or training, whose
            configuration is taken.
        set: single settings, over those of `config`.
        out: results folder; None for runs/train-MODEL, numbered.
        max_passes: data passes at most.
        patience: stop after so many passes without a better validation score; 0: never.
        metric: validation metric that chooses the model, such as "ndcg@10".
        metrics: what else is computed of rankings, such as "ndcg@10,map@10,coverage@20".
        seed: root of all randomness.
        seeds: train with so many seeds from `seed` on, side by side on Ray.
        each_fold: train on each fold of the data, which `prepare(folds=...)` made, one after the other; the scores are
            means over folds.
        address: Ray cluster that `seeds` join.
        refit: train on the validation users, too, for as many passes as were best where `config` was chosen.
        warm_weights: begin with the weights of the model in this results folder, and with Adam's moments where it kept
            a checkpoint; items that it does not know begin fresh. Its settings are the default.
        device: "cpu", "cuda", "cuda:1"; None for a GPU where there is one.
        precision: of the matrix products.
        threads: CPU threads; with `seeds` of each; None for all cores.
        checkpoint_every: seconds between checkpoints, at least.
        resume: resume the run in the results folder.

    Raises:
        DistrecvaeError: what was asked for, the data or the folder does not fit.
    """
    raise NotImplementedError  # never run: `carried_out_by` takes the call
