"""`distrecvae report`: searches to one page."""

from __future__ import annotations

from pathlib import Path

import click

from distrecvae.cli.parts.places import PLACE


@click.command("report", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.argument("results", type=PLACE, nargs=-1, required=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where the page is written.  [default: report.html in RESULTS; of several, in the folder around them]",
)
def command(results: tuple[Path | str, ...], out: Path | None) -> None:
    """Write report.html: what a search found, in figures, on one page.

    RESULTS is a search's folder, or its URI; the search may be finished, interrupted or running. Of
    several, or of a comparison's folder, one page has them beside each other and each one below.
    Click on a trial to see its curve, its configuration and why it ended as it did.

    The page is one file of about 5 MB that needs no network, works on a phone and in dark mode, and
    prints. A running search rewrites it now and then, and the page reloads itself until that is over.

    \b
    Examples:
      distrecvae report runs/recvae-mine
      distrecvae report runs/recvae-mine runs/recvae-wider --out both.html
    """
    from distrecvae.search.report.writing import write_reports

    click.echo(write_reports(results, out))
