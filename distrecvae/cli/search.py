"""Owns `distrecvae search`: options to settings, where results go, what is printed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from distrecvae.api.asking import asked_search, default_name
from distrecvae.cli.parts.search_options import settings_options
from distrecvae.errors import LOST
from distrecvae.signals import INTERRUPTED


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@settings_options()
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
@click.option("--extend", type=click.Path(path_type=Path), metavar="RESULTS",
              help="Go on with the search in RESULTS, over or not, by its own settings; with --trials 50 until there "
              "are 50 in all.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Print the plan (space, resources, rungs, memory) and stop.")
@click.option("-v", "--verbose", is_flag=True, help="Show what Ray says, too.")
def command(
    config_file: str | None,
    out: Path | None,
    name: str | None,
    resume: bool,
    resume_or_start: bool,
    extend: Path | None,
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
      python -m distrecvae.search --extend runs/recvae-ml-1m --trials 100
      python -m distrecvae.search --data data/ml-1m --trials 100 \\
          --gpus-per-trial 0.25 --time-budget 28800
    """
    given = {key: value for key, value in options.items() if value is not None}
    config, folder, resume, space = asked_search(
        given,
        config_file=config_file,
        out=out,
        name=name,
        resume=resume,
        resume_or_start=resume_or_start,
        extend=extend,
    )

    if out is None and name is None and not resume and folder.name != (first := default_name(config)):
        click.echo(
            f"runs/{first} is there already: results go to {folder}. To go on with an earlier one: --resume, with"
            " --out for another one than the latest.",
            err=True,
        )

    # Ray, PyTorch and Optuna are imported when there is something to do for them.
    from rich.console import Console

    from distrecvae.search import launch
    from distrecvae.search.commands import command_line

    if dry_run:
        click.echo(launch.dry_run(config, folder=folder, verbose=verbose, space=space))
        return 0
    console = Console()
    outcome = launch.search(
        config,
        folder,
        resume=resume,
        console=console,
        verbose=verbose,
        command=command_line(),
        space=space,
    )
    click.echo(f"\n{outcome.summary}")
    if not outcome.complete:
        return LOST if outcome.lost else INTERRUPTED
    return 0 if outcome.has_score else 1
