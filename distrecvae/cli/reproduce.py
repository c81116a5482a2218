"""`distrecvae reproduce`: a trial trained again, and compared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from distrecvae.cli.parts.output import say
from distrecvae.cli.parts.places import PLACE

if TYPE_CHECKING:
    from distrecvae.search.living.reproducing import Compared


@click.command(
    "reproduce", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.argument("results", type=PLACE)
@click.option("--trial", type=click.IntRange(0), required=True, metavar="N", help="Which trial.")
@click.option("--until", type=click.IntRange(1), metavar="CYCLE",
              help="The last cycle to train.  [default: as many as the trial had]")  # fmt: skip
@click.option("--data", metavar="DIR", help="Where its data set lies.  [default: where it was]")
@click.option("--device", metavar="DEVICE", help="cpu, cuda, cuda:1.  [default: as it was]")
@click.option("--threads", type=click.IntRange(1), metavar="N", help="CPU threads.  [default: as it was]")
def command(
    results: Path | str,
    trial: int,
    until: int | None,
    data: str | None,
    device: str | None,
    threads: int | None,
) -> int:
    """Train trial N of the search in RESULTS again, from the ledger alone, and compare its reports.

    Each report is the same to the last bit, or what differs is named: versions, device, processor,
    threads. Nothing is written into RESULTS. The exit status is 0 for the same bits, else 1.
    RESULTS is a folder, or the URI where the search is mirrored.

    \b
    Examples:
      distrecvae reproduce runs/recvae-mine --trial 17
      distrecvae reproduce runs/recvae-mine --trial 17 --until 3
    """
    from distrecvae.search.living.reproducing import reproduce

    def tell(each: Compared) -> None:
        differ = f"differs: {', '.join(each.differing)}" if each.differing else "the same"
        say(f"cycle {each.cycle}, {each.passes} passes: {differ}")

    found = reproduce(results, trial, until=until, data=data, device=device, threads=threads, tell=tell)
    say(str(found))
    return 0 if found.same else 1
