"""`distrecvae report`: a search's folder to one page."""

from __future__ import annotations

from pathlib import Path

import click

from distrecvae.cli.parts.places import PLACE


@click.command("report", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.argument("results", type=PLACE)
def command(results: Path | str) -> None:
    """Write RESULTS/report.html: what a search found, in figures, on one page.

    RESULTS is a search's folder, or its URI; the search may be finished, interrupted or running. The page
    is one file of about 5 MB that needs no network, reads on a phone and prints.

    \b
    Example:
      distrecvae report runs/recvae-mine
    """
    from distrecvae.search.report.page import write_report, write_report_at

    click.echo(write_report_at(results) if isinstance(results, str) else write_report(results))
