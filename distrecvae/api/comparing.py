"""`distrecvae.compare`: turns a call's arguments into a comparison, and its end into a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distrecvae.api.asking import asked_comparison, data_name
from distrecvae.api.folders import require_folder, results_folder
from distrecvae.api.given import carried_out_by
from distrecvae.api.preparing import as_data
from distrecvae.api.quiet import quiet_imports
from distrecvae.api.results import Comparison, SearchResult
from distrecvae.api.searching import place_in, settings_in
from distrecvae.layout import BEST_FOLDER, DATA_FOLDER, SUMMARY_FILE
from distrecvae.search.core.config import ALL, SearchConfig

if TYPE_CHECKING:
    from distrecvae.api.preparing import DataLike


def _compare(given: dict[str, Any]) -> Comparison:
    asked = dict(given)
    data, models = as_data(given.pop("data", None)), given.pop("models", ALL)
    out, name = require_folder(place_in(given, "out"), "compare"), given.pop("name", None)
    config_file, resume = given.pop("config", None), given.pop("resume", False)
    verbose, blend = given.pop("verbose", False), given.pop("blend", True)
    seeds, scores = given.pop("seeds", None), scores_in(given.pop("scores", ()))
    settings = settings_in(given)
    if data is not None:
        settings["data"] = data.name if data.folder is None else data.folder
    config = asked_comparison(settings, config_file=None if config_file is None else str(config_file))
    folder = results_folder(out, name, f"compare-{data_name(config)}", resume=resume)
    if data is not None and data.folder is None:
        config = replace(config, data=str(folder / DATA_FOLDER))

    # Ray, PyTorch and Optuna are imported when there is something to do for them.
    with quiet_imports():
        from distrecvae.search.commands import python_call
        from distrecvae.search.comparison import comparison
        from distrecvae.search.comparison.entrants import entrants

    listed = models.split(",") if isinstance(models, str) else [str(each) for each in models]
    searched = entrants([part.strip() for part in listed if part.strip()], config)
    again = {key: value for key, value in asked.items() if key not in ("data", "out", "name", "resume")}
    where = {} if data is None else {"data": config.data}
    done = comparison.compare(
        searched,
        folder,
        resume=resume,
        verbose=verbose,
        command=python_call("compare", **where, **again, out=folder, resume=True),
        in_python=True,
        data=data,
        blend=blend,
        seeds=seeds,
        scores=scores,
    )
    searches = {
        each.name: _search_of(folder / each.name, config.metric)
        for each in searched
        if (folder / each.name / BEST_FOLDER).exists()
    }
    return Comparison(folder, done.complete, done.text, searches, done.without_score)


def scores_in(given: Mapping[str, Any] | Sequence[str]) -> tuple[str, ...]:
    """Return a NAME=PATH for each, from a mapping of names to a path or several, or from such texts."""
    if isinstance(given, str):
        return (given,)
    if not isinstance(given, Mapping):
        return tuple(map(str, given))
    return tuple(
        f"{name}={path}"
        for name, paths in given.items()
        for path in ([paths] if isinstance(paths, str | PathLike) else paths)
    )


def _search_of(folder: Path, metric: str) -> SearchResult:
    return SearchResult(folder, True, (folder / SUMMARY_FILE).read_text(encoding="utf-8").rstrip(), metric)


@carried_out_by(_compare)
def compare(
    data: DataLike | None = None,
    *,
    models: str | Sequence[str] = ALL,
    trials: int = SearchConfig.trials,
    max_passes: int | None = SearchConfig.max_passes,
    min_passes: int | None = SearchConfig.min_passes,
    reduction_factor: int = SearchConfig.reduction_factor,
    metric: str = SearchConfig.metric,
    metrics: str = SearchConfig.metrics,
    sampler: str | None = SearchConfig.sampler,
    scheduler: str = SearchConfig.scheduler,
    precision: str = SearchConfig.precision,
    concurrent: int | None = SearchConfig.concurrent,
    cpus_per_trial: int = SearchConfig.cpus_per_trial,
    gpus_per_trial: float | None = SearchConfig.gpus_per_trial,
    time_budget: float | None = SearchConfig.time_budget_s,
    checkpoint_every: float = SearchConfig.checkpoint_every_s,
    keep_checkpoints: int | str = SearchConfig.keep_checkpoints,
    address: str | None = SearchConfig.address,
    elastic: bool = SearchConfig.elastic,
    log_to: str | None = SearchConfig.log_to,
    storage: str | None = SearchConfig.storage,
    notify: str | None = SearchConfig.notify,
    price_per_hour: float | None = SearchConfig.price_per_hour,
    enough: float | None = SearchConfig.enough,
    widen: bool = SearchConfig.widen,
    seed: int = SearchConfig.seed,
    config: str | PathLike[str] | None = None,
    out: str | PathLike[str] | None = None,
    name: str | None = None,
    resume: bool = False,
    blend: bool = True,
    seeds: int | None = None,
    scores: Mapping[str, str | PathLike[str] | Sequence[str | PathLike[str]]] | Sequence[str] | None = None,
    verbose: bool = False,
) -> Comparison:
    """Tune several models under one budget and say which is best.

    Each is chosen on validation users and scored on test users once; the best one is tested against every other on the
    same users, corrected for the number of comparisons. With `time_budget` and no `trials`, as many as fit into it.

    Args:
        data: what `prepare` returned, or a dataset folder; None for a small synthetic one.
        models: models, search spaces, configurations (by name, or YAML files), or "all".
        trials: configurations to try, each model.
        max_passes: data passes that a trial gets at most; None for what the space says, or 200.
        min_passes: data passes before a trial may be stopped; None for a fifth of `max_passes`, with "guided" a
            fifteenth.
        reduction_factor: one trial in this many continues at a rung; rungs grow by the same factor.
        metric: validation metric to maximise, such as "ndcg@10".
        metrics: what else is computed of rankings, such as "ndcg@10,map@10,coverage@20".
        sampler: how configurations are proposed; None for "tpe", for all models alike.
        scheduler: how weak trials are stopped early.
        precision: of the matrix products.
        concurrent: trials at once; None for as many as fit.
        cpus_per_trial: CPU cores, and training threads, a trial.
        gpus_per_trial: GPUs a trial; fractions share one; None for 1 where there are GPUs.
        time_budget: seconds, each model, after which running trials are stopped.
        checkpoint_every: seconds between a running trial's checkpoints, at least.
        keep_checkpoints: of how many of a search's best trials they are kept, beside the first one's; or "all".
        address: Ray cluster to join; None to use this process's Ray, or to start one here.
        elastic: nodes may join the cluster while the comparison runs.
        log_to: tell an experiment tracker, too: "mlflow" or "wandb".
        storage: copy the trials to an Optuna study, too.
        notify: tell a command or a URL of a new best, of trouble and of the end; "env:NAME" for one in a variable.
        price_per_hour: what an hour of a GPU costs you, or of a core; the summary then says what the search cost.
        enough: end the search where a further hour can be expected to bring less than this of `metric`.
        widen: where the best trials lie at the end of a range, let it grow by half at that end.
        seed: root of all randomness.
        config: YAML file of these settings; arguments win.
        out: results folder; None for runs/NAME.
        name: of the comparison under runs/; None for compare-DATA, numbered.
        resume: resume the comparison in the results folder; it may have more models than it was started with.
        blend: make one model of the searches' best ones in the end, in blend/; `load` takes its folder.
        seeds: train each chosen configuration again with so many seeds from `seed` on, and compare their means.
        scores: systems that were trained elsewhere: by name the Parquet or CSV file of user_id, item_id, score, or a
            folder of LensKit's lists; several files are several seeds. "NAME=PATH" each will do, too.
        verbose: show what Ray says, too.

    Raises:
        DistrecvaeError: the input, a space, the machine or the folder does not fit; no search was started then.
    """
    raise NotImplementedError  # never run: `carried_out_by` takes the call
