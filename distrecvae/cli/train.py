"""`distrecvae train`: one configuration from data to a scored model, or to one a seed."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from distrecvae.cli.parts.names import complete_config, complete_metric, complete_model
from distrecvae.cli.parts.output import print_folds, print_scores, print_seeds
from distrecvae.cli.parts.places import PLACE
from distrecvae.dotted import trust
from distrecvae.layout import BEST_FOLDER
from distrecvae.precisions import AUTO, PRECISION_CHOICES, PRECISION_HELP
from distrecvae.signals import INTERRUPTED

if TYPE_CHECKING:
    from distrecvae.runs.training_run import RunSettings

# RunSettings has the defaults; it is not imported here so that --help starts without PyTorch.


@click.command("train", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--data", type=click.Path(), metavar="DIR", help="Dataset folder of `prepare`, or its URI.")
@click.option("--model", metavar="NAME", shell_complete=complete_model,
              help="A model of docs/models.md.  [default: recvae]")  # fmt: skip
@click.option(
    "--config",
    "config_source",
    metavar="NAME|FILE",
    shell_complete=complete_config,
    help="A packaged configuration (docs/models.md lists them), or settings in YAML or JSON; also the config.json of "
    "a finished model.",
)
@click.option(
    "--set",
    "words",
    multiple=True,
    metavar="NAME=VALUE",
    help="One setting, over --config's; repeat it. `none` is null.",
)
@click.option("--out", type=PLACE, required=True, metavar="DIR", help="Results folder.")
@click.option(
    "--max-passes", type=click.IntRange(1), metavar="N", help="Data passes at most.  [default: 200]"
)
@click.option(
    "--patience",
    type=click.IntRange(0),
    metavar="N",
    help="Stop after N passes without a better validation score; 0: never.  [default: 40]",
)
@click.option("--metric", metavar="NAME", shell_complete=complete_metric,
              help="Validation metric that chooses the model: ndcg@10, mrr, ...  [default: ndcg_100]")  # fmt: skip
@click.option("--metrics", metavar="A,B,...",
              help="What else is computed of rankings: ndcg@10,map@10,coverage@20, ... or package.module:function@10."
                   "  [default: ndcg_100,recall_20,recall_50]")  # fmt: skip
@click.option("--seed", type=int, metavar="N", help="Seed of all randomness.  [default: 0]")
@click.option(
    "--seeds",
    type=click.IntRange(2),
    metavar="N",
    help="Train with N seeds from --seed on, side by side on Ray; report their mean and standard error.",
)
@click.option(
    "--each-fold",
    is_flag=True,
    help="Train on each fold of --data, a folder that `prepare --folds` wrote; report the mean and its standard error.",
)
@click.option(
    "--address",
    metavar="HOST:PORT",
    help="Ray cluster that --seeds joins, or 'auto'; without it Ray starts here.",
)
@click.option(
    "--refit",
    is_flag=True,
    help="Train on the validation users, too, for the passes in the metrics.json beside --config.",
)
@click.option(
    "--warm-weights",
    type=click.Path(),
    metavar="RUN",
    help="Begin with the weights of the model in this results folder, and with Adam's moments where it kept a "
    "checkpoint; items that it does not know begin fresh. Its settings are the default.",
)
@click.option("--device", metavar="NAME", help="cpu, cuda, cuda:1.  [default: cuda if there is a GPU]")
@click.option(
    "--precision",
    type=click.Choice(PRECISION_CHOICES),
    help=f"{PRECISION_HELP[0].upper()}{PRECISION_HELP[1:]}.  [default: {AUTO}]",
)
@click.option(
    "--threads",
    type=click.IntRange(1),
    metavar="N",
    help="CPU threads; with --seeds, of each seed.  [default: all cores]",
)
@click.option(
    "--checkpoint-every",
    "checkpoint_every_s",
    type=click.FloatRange(0),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between checkpoints, at least; a slow disk gets fewer of them.",
)
@click.option("--resume", is_flag=True, help="Resume the run in --out.")
def command(
    data: str | None,
    model: str | None,
    config_source: str | None,
    words: tuple[str, ...],
    out: Path | str,
    max_passes: int | None,
    patience: int | None,
    metric: str | None,
    metrics: str | None,
    seed: int | None,
    seeds: int | None,
    each_fold: bool,
    address: str | None,
    refit: bool,
    warm_weights: str | None,
    device: str | None,
    precision: str | None,
    threads: int | None,
    checkpoint_every_s: float,
    resume: bool,
) -> int:
    """Train one configuration, keep its best model, score it on the test users.

    A pass is one trip over the training users; a RecVAE cycle of 3 encoder passes and 1 decoder
    pass costs 4. Stop it with Ctrl-C, or any other way, and continue with --resume.

    \b
    Examples:
      distrecvae train --data data/mine --out runs/published
      distrecvae train --data data/mine --out runs/small --set latent_dim=64
      distrecvae train --data data/mine --out runs/joint --config recvae-joint
      distrecvae train --data data/mine --out runs/five --seeds 5 \\
          --config runs/search/best/config.json
      distrecvae train --data data/folds --out runs/folds --each-fold \\
          --config runs/search/best/config.json
      distrecvae train --data data/mine --out runs/ship --refit \\
          --config runs/search/best/config.json
      distrecvae train --data data/today --out runs/today \\
          --warm-weights runs/yesterday
      distrecvae train --out runs/published --resume
    """
    from functools import partial

    trust(model or "")

    from distrecvae.api.folders import require_folder
    from distrecvae.api.train.folder import Order, train_in
    from distrecvae.runs.configuration import read_config
    from distrecvae.runs.seeds import summarize
    from distrecvae.runs.warm import earlier_config

    folder = require_folder(out, "train")
    assert folder is not None, "it is asked for"  # noqa: S101
    given = {
        "max_passes": max_passes, "patience": patience, "metric": metric, "metrics": metrics, "seed": seed,
        "data": data, "warm_weights": warm_weights,
    }  # fmt: skip
    configured = bool(model or config_source or words)
    begun = earlier_config(Path(warm_weights)) if configured and warm_weights and not config_source else None
    order = Order(
        given={name: value for name, value in given.items() if value is not None},
        configuration=partial(read_config, model, config_source or begun, words) if configured else None,
        config_source=config_source,
        seeds=seeds,
        address=address,
        refit=refit,
        device=device,
        precision=precision,
        threads=threads,
        checkpoint_every_s=checkpoint_every_s,
        resume=resume,
    )
    if each_fold:
        from distrecvae.api.train.folds import train_folds_in

        found = train_folds_in(folder, order, goes_on=f"distrecvae train --out {folder} --each-fold --resume")
        if found.complete:
            print_folds(folder, found.summary)
        return 0 if found.complete else INTERRUPTED
    trained = train_in(folder, order, goes_on=f"distrecvae train --out {folder} --resume")
    if not trained.complete:
        return INTERRUPTED
    if trained.seeds:
        print_seeds(folder, summarize(folder, trained.seeds))
    else:
        print_scores(trained.scores)
        _print_next(folder, trained.settings)
    return 0


def _print_next(out: Path, settings: RunSettings) -> None:
    from distrecvae.runs.history import HISTORY_FILE

    best, data = shlex.quote(str(out / BEST_FOLDER)), shlex.quote(settings.data)
    click.echo(
        f"\nmodel    {out / BEST_FOLDER}\nhistory  {out / HISTORY_FILE}\n\nnext:\n"
        f"  distrecvae evaluate --model {best} --data {data}"
    )
    # A refit is what comes after the search: its model is to be used.
    click.echo(
        f"  distrecvae recommend --model {best} --histories histories.csv --out recommendations.parquet"
        if settings.refit
        else f"  distrecvae search --data {data} --model {settings.model}"
    )
