"""Owns `distrecvae train`: one configuration from data to a scored model, or to one a seed."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distrecvae.cli.names import complete_config, complete_model
from distrecvae.cli.output import print_scores, print_seeds
from distrecvae.cli.training import train_to_end
from distrecvae.errors import ConfigError, DivergedError, ResultsError
from distrecvae.models.choices import AUTO, PRECISION_CHOICES, PRECISION_HELP

if TYPE_CHECKING:
    from distrecvae.data.dataset import Split
    from distrecvae.evaluation import Evaluation
    from distrecvae.training.run import RunSettings

# RunSettings has the defaults; it is not imported here so that --help starts without PyTorch.
INTERRUPTED = 130


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
    help="Train with N seeds from --seed on, one after the other; report their mean and standard error.",
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
@click.option("--threads", type=click.IntRange(1), metavar="N", help="CPU threads.  [default: all cores]")
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
      distrecvae train --data data/mine --out runs/small --set latent_dim=64 --set gamma=0.01
      distrecvae train --data data/mine --out runs/joint --config recvae-joint
      distrecvae train --data data/mine --out runs/again --config runs/search/best/config.json
      distrecvae train --data data/mine --out runs/five --config runs/search/best/config.json --seeds 5
      distrecvae train --data data/mine --out runs/ship --config runs/search/best/config.json --refit
      distrecvae train --out runs/published --resume
    """
    from distrecvae.files import exclusive
    from distrecvae.training.device import usable_device, use_threads
    from distrecvae.training.seeds import read_seeds, seed_folder, summarize, write_seeds

    given = {"max_passes": max_passes, "patience": patience, "seed": seed, "data": data}
    given = {name: value for name, value in given.items() if value is not None}
    if refit:
        given |= _refit(given, config_source, seeds, resume=resume)
    configured = bool(model or config_source or words)
    use_threads(threads)
    device = usable_device(device)
    many = seeds is not None
    if not resume:
        split, settings = _new_settings(given, model, config_source, words, precision, device)
        numbers = tuple(range(settings.seed, settings.seed + (seeds or 1)))
        _refuse_used(out)
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
        split, settings = _old_settings(place, given, configuration, precision)
        numbers = tuple(range(settings.seed, settings.seed + (seeds or len(begun or [0]))))
    with exclusive(out):
        if not resume:
            _refuse_used(out)
        if not many:
            scores = _run(out, settings, split, device, checkpoint_every_s, _resume_line(out))
            if scores is None:
                return INTERRUPTED
            _print_next(out, settings)
            return 0
        write_seeds(out, numbers)
        for number in numbers:
            click.echo(f"\nseed {number}")
            own = replace(settings, seed=number)
            try:
                scores = _run(
                    seed_folder(out, number), own, split, device, checkpoint_every_s, _resume_line(out)
                )
            except DivergedError as error:
                raise DivergedError(f"seed {number}: {error}") from None
            if scores is None:
                return INTERRUPTED
        click.echo("")
        print_seeds(out, summarize(out, numbers))
    return 0


def _run(
    out: Path, settings: RunSettings, split: Split, device: str, checkpoint_every_s: float, resume_line: str
) -> dict[str, Evaluation] | None:
    """Train in `out` and return the scores by group; None where it was stopped before by a signal."""
    from distrecvae.training import run as runs
    from distrecvae.training.refit import RefitRun

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
    from distrecvae.training import run as runs

    click.echo(
        f"\nmodel    {out / runs.BEST_FOLDER}\nhistory  {out / runs.HISTORY_FILE}\n\nnext:\n"
        f"  distrecvae evaluate --model {out / runs.BEST_FOLDER} --data {settings.data}\n"
        f"  distrecvae search --data {settings.data} --model {settings.model}"
    )


def _refit(
    given: dict[str, Any], config_source: str | None, seeds: int | None, *, resume: bool
) -> dict[str, Any]:
    """Return the settings that --refit implies: as many passes as were best where the configuration was chosen."""
    from distrecvae.training.refit import chosen_passes

    if seeds is not None or "patience" in given:
        other = "--patience" if seeds is None else "--seeds"
        raise ConfigError(
            f"--refit with {other}: a refit has no validation users to choose by; leave one of them out"
        )
    if resume or "max_passes" in given:
        return {"refit": True}
    if config_source is None:
        raise ConfigError("--refit needs --config FOLDER/config.json of a finished model, or --max-passes")
    return {"refit": True, "max_passes": chosen_passes(Path(config_source).parent)}


def _new_settings(
    given: dict[str, Any],
    model: str | None,
    config_source: str | None,
    words: tuple[str, ...],
    precision: str | None,
    device: str,
) -> tuple[Split, RunSettings]:
    """Return the data and the settings of a new run."""
    from distrecvae.data.io import load_dataset
    from distrecvae.training.device import device_facts
    from distrecvae.training.registry import precision_for
    from distrecvae.training.run import RunSettings
    from distrecvae.training.settings import read_config

    if "data" not in given:
        raise ConfigError("--data is missing; give a dataset folder (`distrecvae prepare` makes one)")
    chosen, config = read_config(model, config_source, words)
    split = load_dataset(given["data"])
    settings = RunSettings(
        model=chosen,
        config=config,
        fingerprint=split.fingerprint,
        precision=precision_for(chosen, precision or AUTO, device_facts(device).precision),
        **_with_patience(given),
    )
    return split, settings


def _old_settings(
    out: Path,
    given: dict[str, Any],
    configuration: tuple[str | None, str | None, tuple[str, ...]] | None,
    precision: str | None,
) -> tuple[Split, RunSettings]:
    """Return the data and the settings of the run in `out`, with what was given anew."""
    from distrecvae.data.io import load_dataset
    from distrecvae.training.run import read_settings
    from distrecvae.training.settings import read_config

    settings = read_settings(out)
    if configuration is not None and read_config(*configuration) != (settings.model, settings.config):
        raise ConfigError(f"{out} was begun with another configuration; leave it out or start anew")
    if given.get("refit", settings.refit) != settings.refit:
        raise ConfigError(f"{out} was begun without --refit; leave it out, or start anew in another folder")
    if given.get("seed", settings.seed) != settings.seed:
        raise ConfigError(f"{out} was begun with seed {settings.seed}; leave --seed out, or start anew")
    names = {field.name for field in fields(settings)} & given.keys()
    if precision not in (None, AUTO, settings.precision):
        raise ConfigError(f"{out} was begun in {settings.precision}; leave --precision out, or start anew")
    settings = replace(settings, **_with_patience({name: given[name] for name in names}))
    return load_dataset(settings.data), settings


def _with_patience(given: dict[str, Any]) -> dict[str, Any]:
    """Return the settings with a patience of 0 as None, never."""
    return {**given, "patience": given["patience"] or None} if "patience" in given else given


def _refuse_used(out: Path) -> None:
    if out.is_dir() and any(path.name != ".lock" for path in out.iterdir()):
        raise ResultsError(
            f"{out} is not empty; --resume goes on with the run in it, or choose another folder"
        )


def _resume_line(out: Path) -> str:
    return f"distrecvae train --out {out} --resume"
