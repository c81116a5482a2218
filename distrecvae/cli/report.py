"""Owns `distrecvae report`: a search's folder to one page."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("report", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.argument("results", type=click.Path(path_type=Path))
def command(results: Path) -> None:
    """Write RESULTS/report.html: what a search found, in figures, on one page.

    RESULTS is a search's folder; the search may be finished, interrupted or running. The page is
    one file of about 5 MB that needs no network, reads on a phone and prints.

    \b
    Example:
      distrecvae report runs/recvae-mine
    """
    from distrecvae.search.report.page import write_report

    click.echo(write_report(results))
