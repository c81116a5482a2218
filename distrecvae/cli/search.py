"""`distrecvae search`: options to settings, where results go, what is printed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from distrecvae.api.asking import asked_search, default_name
from distrecvae.cli.parts.output import say
from distrecvae.cli.parts.places import PLACE, out_option, working_copy_option
from distrecvae.cli.parts.search_options import settings_options
from distrecvae.errors import LOST
from distrecvae.signals import INTERRUPTED


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@settings_options()
@click.option(
    "--config", "config_file", type=click.Path(), help="YAML file of these settings; the command line wins."
)
@out_option(
    help="Results folder, or a URI (s3://bucket/runs/mine) that it is mirrored at.  [default: runs/NAME]"
)
@working_copy_option
@click.option("--name", help="Name of the search under runs/.  [default: MODEL-DATA, numbered]")
@click.option("--resume", is_flag=True, help="Resume the search in the results folder.")
@click.option(
    "--resume-or-start",
    is_flag=True,
    help="Resume the search in the results folder, or start it: for jobs that are restarted automatically.",
)
@click.option("--extend", type=PLACE, metavar="RESULTS",
              help="Resume the search in RESULTS, over or not, by its own settings; with --trials 50 until there "
              "are 50 in all.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Print the plan (space, resources, rungs, memory) and stop.")
@click.option("--like-search", type=click.Path(path_type=Path), metavar="RESULTS",
              help="With --dry-run: estimate time and cost from what that earlier search took.")  # fmt: skip
@click.option("-v", "--verbose", is_flag=True, help="Show Ray's own messages, too.")
def command(
    config_file: str | None,
    out: Path | str | None,
    working_copy: Path | None,
    name: str | None,
    resume: bool,
    resume_or_start: bool,
    extend: Path | str | None,
    dry_run: bool,
    like_search: Path | None,
    verbose: bool,
    **options: Any,
) -> int:
    """Tune a model: many configurations at once, weak ones stopped early, the best one scored.

    Without --data it runs on a small synthetic data set, in at most three minutes on two cores.
    The first trial is where the space starts: the published configuration, unless the space says
    otherwise (the demo's is scaled down). A pass is one trip over the training users;
    a RecVAE cycle of 3 encoder passes and 1 decoder pass costs 4. Interrupt it whenever you
    like: the same command with --resume resumes it.

    \b
    Examples:
      python -m distrecvae.search
      python -m distrecvae.search --data data/ml-1m --trials 50
      python -m distrecvae.search --data data/ml-1m --trials 50 --resume
      python -m distrecvae.search --extend runs/recvae-ml-1m --trials 100
      python -m distrecvae.search --data data/ml-1m --trials 100 \\
          --gpus-per-trial 0.25 --time-budget 28800
      python -m distrecvae.search --data data/ml-1m --out s3://bucket/runs/mine
    """
    if like_search is not None and not dry_run:
        raise click.UsageError("--like-search says what a plan takes its times from; give --dry-run with it")
    given = {key: value for key, value in options.items() if value is not None}
    config, folder, resume, space, uri, grow_to = asked_search(
        given,
        config_file=config_file,
        out=out,
        name=name,
        resume=resume,
        resume_or_start=resume_or_start,
        extend=extend,
        working_copy=working_copy,
        tell=click.echo,
    )

    if out is None and name is None and not resume and folder.name != (first := default_name(config)):
        click.echo(
            f"runs/{first} is there already: results go to {folder}. To resume an earlier one: --resume, with"
            " --out for another one than the latest.",
            err=True,
        )

    # Ray, PyTorch and Optuna are imported when there is something to do for them.
    from rich.console import Console

    from distrecvae.search import launch
    from distrecvae.search.commands import command_line
    from distrecvae.storage.mirror import Mirror

    mirror = None if uri is None else Mirror(folder, uri, say)
    if dry_run:
        plan = launch.dry_run(
            config,
            folder=folder,
            resume=resume,
            verbose=verbose,
            grow_to=grow_to,
            space=space,
            like=like_search,
            mirror=mirror,
        )
        click.echo(plan)
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
        mirror=mirror,
        grow_to=grow_to,
    )
    click.echo(f"\n{outcome.summary}")
    if mirror is not None and mirror.left:
        click.echo(f"\n{mirror.left}")
        return LOST
    if not outcome.complete:
        return LOST if outcome.lost else INTERRUPTED
    return 0 if outcome.has_score else 1
