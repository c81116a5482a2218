"""`distrecvae clean`: what can be removed from a search's folder."""

from __future__ import annotations

from pathlib import Path

import click

from distrecvae.cli.parts.output import say
from distrecvae.cli.parts.places import PLACE


@click.command("clean", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.argument("results", type=PLACE)
@click.option("--yes", is_flag=True, help="Remove it.")
def command(results: Path | str, yes: bool) -> None:
    """Say what can be removed from the search in RESULTS and how many bytes it takes; with --yes remove it.

    That is what killed processes left, and, of a search that is over, the checkpoints of its
    trials. The ledger, the tables, the report, the event files and best/ stay. A search that runs
    is not touched.

    \b
    Example:
      distrecvae clean runs/recvae-mine --yes
    """
    from distrecvae.search.living.cleaning import clean, dispensable, require_here

    say(str((clean if yes else dispensable)(require_here(results))))
