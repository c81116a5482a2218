"""Owns `distrecvae train`: one configuration from data to a scored model, or to one a seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from distrecvae.cli.names import complete_config, complete_model
from distrecvae.cli.output import print_scores, print_seeds
from distrecvae.cli.train_settings import implied_by_refit, new_settings, old_settings, refuse_used
from distrecvae.cli.training import train_seeds_to_end, train_to_end
from distrecvae.errors import ConfigError
from distrecvae.layout import BEST_FOLDER
from distrecvae.precisions import AUTO, PRECISION_CHOICES, PRECISION_HELP
from distrecvae.signals import INTERRUPTED

if TYPE_CHECKING:
    from distrecvae.data.dataset import Split
    from distrecvae.evaluation import Evaluation
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
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Results folder.")
@click.option(
    "--max-passes", type=click.IntRange(1), metavar="N", help="Data passes at most.  [default: 200]"
)
@click.option(
    "--patience",
    type=click.IntRange(0),
    metavar="N",
    help="Stop after N passes without a better validation NDCG@100; 0: never.  [default: 40]",
)
@click.option("--seed", type=int, metavar="N", help="Root of all randomness.  [default: 0]")
@click.option(
    "--seeds",
    type=click.IntRange(2),
    metavar="N",
    help="Train with N seeds from --seed on, side by side on Ray; report their mean and standard error.",
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
    help="CPU threads; with --seeds of each.  [default: all cores]",
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
@click.option("--resume", is_flag=True, help="Go on with the run in --out.")
def command(
    data: str | None,
    model: str | None,
    config_source: str | None,
    words: tuple[str, ...],
    out: Path,
    max_passes: int | None,
    patience: int | None,
    seed: int | None,
    seeds: int | None,
    address: str | None,
    refit: bool,
    device: str | None,
    precision: str | None,
    threads: int | None,
    checkpoint_every_s: float,
    resume: bool,
) -> int:
    """Train one configuration, keep its best model, score it on the test users.

    A pass is one trip over the training users; a RecVAE cycle of 3 encoder passes and 1 decoder
    pass costs 4. Stop it with Ctrl-C, or any other way, and go on with --resume.

    \b
    Examples:
      distrecvae train --data data/mine --out runs/published
      distrecvae train --data data/mine --out runs/small --set latent_dim=64
      distrecvae train --data data/mine --out runs/joint --config recvae-joint
      distrecvae train --data data/mine --out runs/five --seeds 5 \\
          --config runs/search/best/config.json
      distrecvae train --data data/mine --out runs/ship --refit \\
          --config runs/search/best/config.json
      distrecvae train --out runs/published --resume
    """
    from distrecvae.files import exclusive
    from distrecvae.runs.seeds import read_seeds, seed_folder, summarize, write_seeds
    from distrecvae.training.device import usable_device, use_threads

    given = {"max_passes": max_passes, "patience": patience, "seed": seed, "data": data}
    given = {name: value for name, value in given.items() if value is not None}
    if refit:
        given |= implied_by_refit(given, config_source, seeds, resume=resume)
    configured = bool(model or config_source or words)
    use_threads(threads)
    device = usable_device(device)
    many = seeds is not None
    if address is not None and not many and not (resume and read_seeds(out)):
        raise ConfigError(f"--address {address} without --seeds: one run needs no cluster; leave it out")
    if not resume:
        split, settings = new_settings(given, model, config_source, words, precision, device)
        numbers = tuple(range(settings.seed, settings.seed + (seeds or 1)))
        refuse_used(out)
    else:
        begun = read_seeds(out)
        if many and (begun is None or len(begun) > (seeds or 0)):
            raise ConfigError(
                f"{out} was begun with {len(begun or [0])} seed(s), --seeds is {seeds}; runs of several seeds may only"
                " grow: start anew in another folder"
            )
        many = begun is not None
        place = seed_folder(out, begun[0]) if begun else out
        configuration = (model, config_source, words) if configured else None
        split, settings = old_settings(place, given, configuration, precision)
        numbers = tuple(range(settings.seed, settings.seed + (seeds or len(begun or [0]))))
    with exclusive(out):
        if not resume:
            refuse_used(out)
        if not many:
            scores = _run(out, settings, split, device, checkpoint_every_s, _resume_line(out))
            if scores is None:
                return INTERRUPTED
            _print_next(out, settings)
            return 0
        write_seeds(out, numbers)
        own = {seed_folder(out, number): replace(settings, seed=number) for number in numbers}
        if _run_seeds(out, own, split, device, threads, checkpoint_every_s, address):
            click.echo(f"stopped; go on with:\n  {_resume_line(out)}")
            return INTERRUPTED
        print_seeds(out, summarize(out, numbers))
    return 0


def _run_seeds(
    out: Path,
    own: Mapping[Path, RunSettings],
    split: Split,
    device: str,
    threads: int | None,
    checkpoint_every_s: float,
    address: str | None,
) -> bool:
    """Train and score each seed's run; return whether they were stopped before by a signal."""
    from distrecvae.runs import training_run as runs

    for place, settings in own.items():
        runs.write_settings(place, settings)
    if train_seeds_to_end(
        out,
        own,
        split,
        device=device,
        threads=threads,
        checkpoint_every_s=checkpoint_every_s,
        address=address,
    ):
        return True
    click.echo("")
    for place, settings in own.items():
        run = runs.TrainingRun(place, settings, split, device=device, checkpoint_every_s=checkpoint_every_s)
        run.finish()
        click.echo(f"seed {settings.seed}: {run.ended}")
    click.echo("")
    return False


def _run(
    out: Path, settings: RunSettings, split: Split, device: str, checkpoint_every_s: float, resume_line: str
) -> dict[str, Evaluation] | None:
    """Train in `out` and return the scores by group; None where it was stopped before by a signal."""
    from distrecvae.runs import training_run as runs
    from distrecvae.runs.refit import RefitRun

    kind = RefitRun if settings.refit else runs.TrainingRun
    run = kind(out, settings, split, device=device, checkpoint_every_s=checkpoint_every_s)
    runs.write_settings(out, settings)
    users, interactions = split.train.n_users, split.train.n_interactions
    if settings.refit:
        users += split.valid.n_users
        interactions += split.valid.fold_in.n_interactions + split.valid.held_out.n_interactions
    click.echo(
        f"{settings.model} on {users:,} training{' and validation' if settings.refit else ''} users x"
        f" {split.n_items:,} items ({interactions:,} interactions), at most {settings.max_passes} passes,"
        f" {settings.precision}"
    )
    if run.passes:
        click.echo(f"going on after {run.passes} passes")
    if train_to_end(run, settings):
        run.save()
        click.echo(f"stopped after {run.passes} passes; go on with:\n  {resume_line}")
        return None
    scores = run.finish()
    best = run.best
    assert best is not None  # noqa: S101  (a finished run has a cycle)
    chosen = "" if settings.refit else f"; best after {best['passes']} passes (cycle {best['cycle']})"
    click.echo(f"\n{run.ended}{chosen}")
    print_scores(scores)
    return scores


def _print_next(out: Path, settings: RunSettings) -> None:
    from distrecvae.runs import training_run as runs

    click.echo(
        f"\nmodel    {out / BEST_FOLDER}\nhistory  {out / runs.HISTORY_FILE}\n\nnext:\n"
        f"  distrecvae evaluate --model {out / BEST_FOLDER} --data {settings.data}\n"
        f"  distrecvae search --data {settings.data} --model {settings.model}"
    )


def _resume_line(out: Path) -> str:
    return f"distrecvae train --out {out} --resume"
