"""`distrecvae list`: the searches below a folder, a line each."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from distrecvae.api.folders import RUNS
from distrecvae.cli.parts.output import print_table, say


@click.command("list", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.argument("folder", type=click.Path(path_type=Path), default=RUNS)
def command(folder: Path) -> None:
    """List the searches in and below FOLDER, the most recently active first.

    FOLDER is runs/ where none is given. A line says how each search stands, how many of its trials
    have ended, its best validation score, how long ago it began, and the space that it takes.
    `killed` means that its files say that it runs, but no process holds its folder.

    \b
    Examples:
      distrecvae list
      distrecvae list /results/autumn
    """
    from distrecvae.search.living.listing import HEAD, rows, searches_below

    found = searches_below(folder)
    if not found:
        say(f"{folder}: no search in it")
        return
    print_table(HEAD, rows(found, now=datetime.now(UTC)))
    for each in found:
        if each.trouble:
            say(each.trouble, err=True)
