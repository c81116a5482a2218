"""`distrecvae compare`: options to the searches of a comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from distrecvae.api.asking import asked_comparison, data_name
from distrecvae.api.folders import require_folder, results_folder
from distrecvae.cli.parts.names import complete_entrants
from distrecvae.cli.parts.places import PLACE
from distrecvae.cli.parts.search_options import settings_options
from distrecvae.errors import LOST
from distrecvae.search.core.config import ALL
from distrecvae.signals import INTERRUPTED


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--models", default=ALL, show_default=True, metavar="A,B,...", shell_complete=complete_entrants,
              help="Models, search spaces, configurations (by name, or YAML files), or all.")  # fmt: skip
@settings_options(without=("model", "space", "warm_start", "warm_start_trials"))
@click.option(
    "--config", "config_file", type=click.Path(), help="YAML file of these settings; the command line wins."
)
@click.option("--out", type=PLACE, help="Results folder.  [default: runs/NAME]")
@click.option("--name", help="Name of the comparison under runs/.  [default: compare-DATA, numbered]")
@click.option("--resume", is_flag=True, help="Resume the comparison in the results folder.")
@click.option("--blend/--no-blend", default=True, show_default=True,
              help="Make one model of the searches' best ones in the end, in blend/.")  # fmt: skip
@click.option("--seeds", type=click.IntRange(1), metavar="N",
              help="Train each chosen configuration again with N seeds, and compare their means.")  # fmt: skip
@click.option("--scores", multiple=True, metavar="NAME=PATH",
              help="A system trained elsewhere: a table of user_id, item_id, score; LensKit's lists.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Print each search's plan, seeds included, and stop.")
@click.option("-v", "--verbose", is_flag=True, help="Show Ray's own messages, too.")
def command(
    models: str,
    config_file: str | None,
    out: Path | str | None,
    name: str | None,
    resume: bool,
    blend: bool,
    seeds: int | None,
    scores: tuple[str, ...],
    dry_run: bool,
    verbose: bool,
    **options: Any,
) -> int:
    """Tune several models under one budget and say which is best.

    Each model gets a search of its own with the same number of trials, or the same time: with
    --time-budget and no --trials as many as fit into that many seconds. Each is chosen on validation
    users and scored on test users once; the best one is tested against every other on the same users,
    corrected for the number of comparisons. In the end their best models are blended into one, which is
    usually better than each (`distrecvae blend`). More models can be added later: the same command with
    longer --models and --resume. With --seeds the table has their means, and the error over seeds beside
    that over users. With --scores, systems of others stand in it, under the same test: what they leave
    out is counted and reported. `distrecvae tables` makes the tables again, LaTeX included, from the folder alone.

    \b
    Examples:
      distrecvae compare --models recvae,ease --trials 4 --max-passes 40
      distrecvae compare --data data/ml-1m --trials 24
      distrecvae compare --data data/ml-1m --time-budget 3600 \\
          --models recvae,multvae,ease
      distrecvae compare --data data/ml-1m \\
          --models recvae-published,recvae-mlp,recvae-joint
      distrecvae compare --data data/ml-1m --trials 24 --resume
      distrecvae compare --data data/mine --models ease,recvae --seeds 5 \\
          --scores lenskit-iknn=runs/iknn
    """
    given = {key: value for key, value in options.items() if value is not None}
    config = asked_comparison(given, config_file=config_file)
    folder = results_folder(
        require_folder(out, "compare"), name, f"compare-{data_name(config)}", resume=resume
    )

    from rich.console import Console

    from distrecvae.search.commands import command_line, resume_command
    from distrecvae.search.comparison import comparison, planned
    from distrecvae.search.comparison.entrants import entrants

    listed = entrants([part.strip() for part in models.split(",") if part.strip()], config)
    if dry_run:
        text = planned.plans_text(
            listed, folder=folder, verbose=verbose, resume=resume, seeds=seeds, scores=scores
        )
        click.echo(text)
        return 0
    done = comparison.compare(
        listed,
        folder,
        resume=resume,
        console=Console(),
        verbose=verbose,
        command=resume_command(command_line(), folder),
        blend=blend,
        seeds=seeds,
        scores=scores,
    )
    click.echo(f"\n{done.text}")
    if not done.complete:
        return LOST if done.lost else INTERRUPTED
    return 1 if done.without_score else 0
