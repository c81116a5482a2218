"""Owns `distrecvae search`: options to settings, where results go, what is printed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import click

from distrecvae.errors import ConfigError, ResultsError
from distrecvae.models.choices import PRECISION_CHOICES
from distrecvae.search.config import DEMO, SAMPLERS, SearchConfig, read_settings
from distrecvae.search.stopping import RULES

RUNS = Path("runs")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_F = TypeVar("_F", bound=Callable[..., Any])

# Option, setting, type. Help and defaults are SearchConfig's.
_OPTIONS: tuple[tuple[str, str, Any], ...] = (
    ("--data", "data", click.Path()),
    ("--model", "model", str),
    ("--space", "space", str),
    ("--trials", "trials", int),
    ("--max-passes", "max_passes", int),
    ("--min-passes", "min_passes", int),
    ("--reduction-factor", "reduction_factor", int),
    ("--metric", "metric", str),
    ("--sampler", "sampler", click.Choice(SAMPLERS)),
    ("--scheduler", "scheduler", click.Choice(RULES)),
    ("--precision", "precision", click.Choice(PRECISION_CHOICES)),
    ("--concurrent", "concurrent", int),
    ("--cpus-per-trial", "cpus_per_trial", int),
    ("--gpus-per-trial", "gpus_per_trial", float),
    ("--time-budget", "time_budget_s", float),
    ("--checkpoint-every", "checkpoint_every_s", float),
    ("--address", "address", str),
    ("--elastic", "elastic", bool),
    ("--seed", "seed", int),
)

# What a search without --data is: small enough for three minutes on two cores.
DEMO_SETTINGS: dict[str, Any] = {"trials": 12, "max_passes": 60}


def _settings_options(function: _F) -> _F:
    by_name = {f.name: f for f in fields(SearchConfig)}
    for option, name, kind in reversed(_OPTIONS):
        setting = by_name[name]
        default = "" if setting.default in (None, False) else f"  [default: {setting.default}]"
        words = setting.metadata["help"]
        text = f"{words[0].upper()}{words[1:]}.{default}"
        form = {"is_flag": True} if kind is bool else {"type": kind}
        function = click.option(option, name, default=None, help=text, **form)(function)
    return function


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@_settings_options
@click.option(
    "--config", "config_file", type=click.Path(), help="YAML file of these settings; the command line wins."
)
@click.option("--out", type=click.Path(path_type=Path), help="Results folder.  [default: runs/NAME]")
@click.option("--name", help="Name of the search under runs/.  [default: MODEL-DATA, numbered]")
@click.option("--resume", is_flag=True, help="Go on with the search in the results folder.")
@click.option(
    "--resume-or-start",
    is_flag=True,
    help="Go on with the search in the results folder, or start it: for jobs that are begun again by themselves.",
)
@click.option("--dry-run", is_flag=True, help="Print the plan (space, resources, rungs, memory) and stop.")
@click.option("-v", "--verbose", is_flag=True, help="Show what Ray says, too.")
def command(
    config_file: str | None,
    out: Path | None,
    name: str | None,
    resume: bool,
    resume_or_start: bool,
    dry_run: bool,
    verbose: bool,
    **options: Any,
) -> int:
    """Tune a model: many configurations at once, weak ones stopped early, the best one scored.

    Without --data it runs on a small synthetic data set, in at most three minutes on two cores.
    The first trial is where the space starts: the published configuration, unless the space says
    otherwise (the demo's is scaled down). A pass is one trip over the training users;
    a RecVAE cycle of 3 encoder passes and 1 decoder pass costs 4. Interrupt it whenever you
    like: the same command with --resume goes on.

    \b
    Examples:
      python -m distrecvae.search
      python -m distrecvae.search --data data/ml-1m --trials 50
      python -m distrecvae.search --data data/ml-1m --trials 50 --resume
      python -m distrecvae.search --data data/ml-1m --gpus-per-trial 0.25 --time-budget 28800
    """
    given = {key: value for key, value in options.items() if value is not None}
    from_file = read_settings(config_file) if config_file else {}
    demo = {} if "data" in given or from_file.get("data") else DEMO_SETTINGS
    config = SearchConfig.from_mapping({**demo, **from_file, **given}, source=config_file or "command line")
    if out is not None and name is not None:
        raise ConfigError(
            f"--out {out} and --name {name}: only one of them can say where results go; leave one out"
        )
    if out is not None and _URI.match(str(out)):
        raise ConfigError(
            f"--out {out}: results are added to as the search runs, which object storage cannot do; give a folder on"
            " storage that all nodes mount, and copy it there at the end"
        )
    if resume and resume_or_start:
        raise ConfigError(
            "--resume and --resume-or-start: the second one resumes where there is something; give one"
        )
    going_on = resume or resume_or_start
    folder = out or _run_folder(
        name or _default_name(config), numbered=name is None, resume=going_on, must_exist=resume
    )

    # Ray, PyTorch and Optuna are imported when there is something to do for them.
    from rich.console import Console

    from distrecvae.search import run
    from distrecvae.search.summary import command_line

    if dry_run:
        click.echo(run.dry_run(config, folder=folder, verbose=verbose))
        return 0
    console = Console()
    outcome = run.search(
        config,
        folder,
        resume=resume or (resume_or_start and run.begun(folder)),
        console=console,
        verbose=verbose,
        command=command_line(),
    )
    click.echo(f"\n{outcome.summary}")
    if not outcome.complete:
        return 130
    return 0 if outcome.has_score else 1


def _default_name(config: SearchConfig) -> str:
    data = DEMO if config.data is None else Path(config.data).resolve().name
    return f"{config.model}-{data}"


def _run_folder(name: str, *, numbered: bool, resume: bool, must_exist: bool) -> Path:
    """Return runs/NAME; an unnamed new search gets the next number, an unnamed resumed one is the latest."""
    if not numbered:
        return RUNS / name
    pattern = re.compile(re.escape(name) + r"(?:-(\d+))?")
    taken = {}
    for path in RUNS.glob(f"{name}*"):
        match = pattern.fullmatch(path.name)
        if match and path.is_dir() and any(path.iterdir()):
            taken[int(match[1] or 1)] = path
    if resume and (taken or must_exist):
        if not taken:
            raise ResultsError(
                f"there is no {RUNS / name} to resume; leave out --resume, or say where with --out"
            )
        return taken[max(taken)]
    number = max(taken, default=0) + 1
    return RUNS / (name if number == 1 else f"{name}-{number}")
