"""`distrecvae continue`: continues a trial that has ended."""

from __future__ import annotations

from pathlib import Path

import click

from distrecvae.cli.parts.output import say
from distrecvae.cli.parts.places import PLACE


@click.command("continue", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.argument("results", type=PLACE)
@click.option("--trial", type=click.IntRange(0), required=True, metavar="N", help="Which trial.")
@click.option("--max-passes", type=click.IntRange(1), required=True, metavar="N",
              help="Data passes in all, at most.")  # fmt: skip
@click.option("--data", metavar="DIR", help="Where its data set lies.  [default: where it was]")
def command(results: Path | str, trial: int, max_passes: int, data: str | None) -> None:
    """Continue trial N of the search in RESULTS from its checkpoint, as a part of the search.

    The trial may have finished or been stopped; no rung stops it now. A running search trains it
    beside its other trials, and this command ends when the search has answered. A search that does
    not run is resumed here for this trial, and publishes the best model again. Checkpoints of the
    best few trials and of the first one are kept; without one the trial is trained again from its
    first pass. RESULTS is a folder, or the URI where the search is mirrored.

    \b
    Example:
      distrecvae continue runs/recvae-mine --trial 17 --max-passes 800
    """
    from distrecvae.api.going_on import let_train_on
    from distrecvae.search.commands import command_line

    say(let_train_on(results, trial, max_passes, tell=say, command=command_line(), data=data))
