"""`distrecvae recommend`: a model, a file of histories, and the best items of each user in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from distrecvae.cli.parts.output import say
from distrecvae.cli.parts.places import PLACE
from distrecvae.cli.parts.reading import reading_options
from distrecvae.errors import ConfigError, DataError

FALLBACKS = ("popularity",)
"""Those of `distrecvae.saved.lists`, which is not imported here so that --help starts without PyTorch."""


@click.command(
    "recommend", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option("--model", "folder", type=PLACE, required=True, metavar="DIR",
              help="Results folder of `train` or `search`, or the best/ in it; or its URI.")  # fmt: skip
@click.option("--histories", "source", type=click.Path(path_type=Path), required=True, metavar="FILE",
              help="What users did: a row a user and item, in any format that `prepare` reads.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="FILE",
              help="A .parquet or .csv file to write; one that is there is replaced.")  # fmt: skip
@click.option("--top", type=click.IntRange(1), default=100, show_default=True, metavar="N",
              help="Items a user.")  # fmt: skip
@click.option("--include-seen", is_flag=True, help="Recommend items that a user has, too.")
@click.option("--guard-formulas", is_flag=True,
              help="Put ' before ids that a spreadsheet would run (=cmd...).")  # fmt: skip
@click.option("--allow", type=click.Path(path_type=Path), metavar="FILE",
              help="Recommend only these: a text file with one item id a line.")  # fmt: skip
@click.option(
    "--deny",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Never recommend these; a file of the same form.",
)
@click.option("--fallback", type=click.Choice(FALLBACKS),
              help="What users without a usable history get, at the end; a column `source` says so.  "
              "[default: nothing]")  # fmt: skip
@click.option("--min-rating", type=float, metavar="R",
              help="Use rows with rating > R, strictly (3.5 drops 3.5); items of the others are only not recommended "
              "(-inf: use all).  "
              "[default: as the model's data was prepared]")  # fmt: skip
@reading_options
@click.option("--device", metavar="NAME", help="cpu, cuda, cuda:1.  [default: cuda if there is a GPU]")
@click.option("--threads", type=click.IntRange(1), metavar="N", help="CPU threads.  [default: all cores]")
def command(
    folder: Path | str, source: Path, out: Path, top: int, include_seen: bool, guard_formulas: bool,
    allow: Path | None, deny: Path | None, fallback: str | None, min_rating: float | None,
    user_column: str | None, item_column: str | None, rating_column: str | None, header: bool | None,
    missing: tuple[str, ...], encoding: str | None, max_rows: int | None, source_format: str | None,
    member: str | None, device: str | None, threads: int | None,
) -> None:  # fmt: skip
    """Recommend items to users, from what they did.

    The users need not be those that the model was trained on: only their items count, each once. Items that
    the model does not know are ignored, users without a known one are left out, and both are counted. OUT has
    one row for each user and rank: user_id, rank (from 1), item_id, score. What a user has is not recommended.

    \b
    Examples:
      distrecvae recommend --model runs/mine --histories new.csv --out recs.csv
      distrecvae recommend --model runs/mine --histories new.csv --out r.csv \\
          --deny sold-out.txt --fallback popularity
      distrecvae recommend --model runs/mine/best --histories today.parquet \\
          --user-column buyer --item-column sku --top 20 --out today.csv
    """
    from distrecvae.data.offering import offered, read_list
    from distrecvae.data.recommendations import require_ending
    from distrecvae.data.sources import read_table
    from distrecvae.data.sources.columns import ColumnNames
    from distrecvae.data.summary import reading_notes
    from distrecvae.saved.lists import popularity_for
    from distrecvae.saved.model import histories_for, load_model
    from distrecvae.saved.serving import write_recommendations
    from distrecvae.training.device import usable_device, use_threads

    require_ending(out)
    if out.exists() and out.resolve() == source.resolve():
        raise ConfigError(f"--out {out} is the file of histories; give another name")
    use_threads(threads)
    loaded = load_model(folder, usable_device(device))
    among = offered(loaded.item_ids, *(None if path is None else read_list(path) for path in (allow, deny)))
    popularity_for(fallback, loaded.popularity)
    columns = ColumnNames(user=user_column, item=item_column, rating=rating_column)
    table = read_table(
        source, columns, source_format=source_format, member=member, header=header, missing=missing,
        encoding=encoding, max_rows=max_rows,
    )  # fmt: skip
    for note in reading_notes(table.source):
        say(note, err=True)
    histories = histories_for(loaded, table, min_rating)
    for note in histories.notes(include_seen=include_seen, fallback=fallback):
        say(note, err=True)
    if min_rating is None and table.ratings is not None and loaded.min_rating is not None:
        click.echo(f"ratings above {loaded.min_rating:g} count, as in the model's training data", err=True)
    if not histories.n_users and fallback is None:
        raise DataError(
            f"no user of {source} has an item that counts (the model's ids are like"
            f" {', '.join(map(repr, loaded.item_ids[:3].tolist()))}); look at --item-column and --min-rating"
        )
    del table
    started = time.perf_counter()
    n_users = histories.n_users + (histories.n_left_out if fallback is not None else 0)
    with _progress(n_users) as progress:
        n_rows = write_recommendations(
            loaded,
            histories,
            out,
            top=top,
            include_seen=include_seen,
            guard_formulas=guard_formulas,
            among=among,
            fallback=fallback,
            progress=progress,
        )
    size = out.stat().st_size / 2**20
    say(
        f"{n_users:,} users, at most {top} items each: {out}"
        f" ({n_rows:,} rows, {size:,.1f} MiB, {time.perf_counter() - started:.1f} s)"
    )


@contextmanager
def _progress(n_users: int) -> Iterator[Callable[[int], None]]:
    """Yield a function that hears how many users are done: a bar on stderr where someone watches."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("users"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=n_users)
        yield lambda done: bar.update(task, completed=done)
