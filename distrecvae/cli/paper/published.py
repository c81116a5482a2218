"""`distrecvae published`: a paper's rows run here, ours beside theirs."""

from __future__ import annotations

from pathlib import Path

import click

from distrecvae.cli.parts.output import say
from distrecvae.papers.numbers import PAPERS, SETS
from distrecvae.signals import INTERRUPTED


@click.command(
    "published", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.argument("paper", type=click.Choice(list(PAPERS)))
@click.option("--data", type=click.Path(), required=True, metavar="DIR", help="Dataset folder, or its URI.")
@click.option("--models", metavar="A,B,...", help="Rows of the paper's table.  [default: all of them]")
@click.option("--settings", type=click.Choice(list(SETS)),
              help="Whose settings and numbers to use.  [default: those of the data set that it is]")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR",
              help="Results folder.  [default: runs/published-PAPER-DATA, numbered]")  # fmt: skip
@click.option("--max-passes", type=click.IntRange(1), metavar="N",
              help="Data passes at most, to try it.  [default: as published]")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of all randomness.")
@click.option("--device", metavar="DEVICE", help="cpu, cuda, cuda:1.  [default: cuda if there is a GPU]")
@click.option("--threads", type=click.IntRange(1), metavar="N", help="CPU threads.  [default: all cores]")
@click.option("--resume", is_flag=True, help="Resume what lies in the results folder.")
def command(
    paper: str,
    data: str,
    models: str | None,
    settings: str | None,
    out: Path | None,
    max_passes: int | None,
    seed: int,
    device: str | None,
    threads: int | None,
    resume: bool,
) -> int:
    """Train PAPER's models with their published settings, and print ours beside theirs.

    On MovieLens-20M, Netflix or MSD, prepared as docs/published.md says. A data set is recognized by its
    numbers of users and items. On other data, --settings says whose settings to use; the table then says
    that these are not the published data, and shows no difference. A model that this machine has no room
    for is left out, and named. The exit status is 1 where a row is missing.

    \b
    Examples:
      distrecvae published recvae --data data/ml-20m
      distrecvae published recvae --data data/msd --models multvae,recvae
      distrecvae published recvae --data data/mine --settings ml-20m \\
          --max-passes 20
    """
    from distrecvae.api.folders import results_folder
    from distrecvae.api.published import Wanted, run_published
    from distrecvae.data.prepared import read_data
    from distrecvae.papers.numbers import rows_of, set_of
    from distrecvae.search.commands import command_line, resume_command

    rows, found = rows_of(paper, models), read_data(data)
    folder = results_folder(out, None, f"published-{paper}-{found.name}", resume=resume)
    of, same = set_of(found.split, settings, data)
    wanted = Wanted(
        rows=rows, of=of, same=same, max_passes=max_passes, seed=seed, device=device, threads=threads
    )
    done = run_published(found, folder, wanted, resume=resume, goes_on=resume_command(command_line(), folder))
    say(f"\n{done.text}")
    if done.text.startswith("stopped"):
        return INTERRUPTED
    return 0 if done.complete else 1
