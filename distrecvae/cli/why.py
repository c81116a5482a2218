"""`distrecvae why`: what the ledger tells of a trial."""

from __future__ import annotations

from pathlib import Path

import click

from distrecvae.cli.parts.output import say
from distrecvae.cli.parts.places import PLACE


@click.command("why", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.argument("results", type=PLACE)
@click.option("--trial", type=click.IntRange(0), required=True, metavar="N", help="Which trial.")
def command(results: Path | str, trial: int) -> None:
    """Explain trial N of the search in RESULTS.

    How it ended and its rank; the bar at each rung, which rivals set it, and which curve it lost to;
    how it was proposed, what the sampler knew by then, and which of its values were likelier among
    the good trials. All of it comes from the ledger; the search may be over or running.
    RESULTS is a folder, or the URI where the search is mirrored.

    \b
    Example:
      distrecvae why runs/recvae-mine --trial 17
    """
    from distrecvae.search.living.why import why

    say(str(why(results, trial)))
