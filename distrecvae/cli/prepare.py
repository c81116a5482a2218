"""`distrecvae prepare`: from a user-item file to a dataset folder, and the account of what was
dropped."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from distrecvae.api.folders import require_folder
from distrecvae.cli.parts.output import say
from distrecvae.cli.parts.places import PLACE
from distrecvae.cli.parts.reading import reading_options
from distrecvae.cli.parts.splitting import splitting_options
from distrecvae.data.dataset import Split
from distrecvae.data.days.like import read_like
from distrecvae.data.download import DOWNLOADS, default_folder, download
from distrecvae.data.explaining import asked, explain
from distrecvae.data.io import is_dataset
from distrecvae.data.prepared import prepare_data
from distrecvae.data.pro_sg import write_pro_sg
from distrecvae.data.sources.columns import ColumnNames
from distrecvae.data.splitting.folds import fold_folders
from distrecvae.data.splitting.options import SplitOptions
from distrecvae.data.summary import describe
from distrecvae.data.synthetic import N_ITEMS, N_USERS
from distrecvae.data.table import InteractionTable
from distrecvae.errors import ConfigError, ResultsError
from distrecvae.words import printable


@click.command("prepare")
@click.argument("source", required=False, type=click.Path(path_type=Path))
@click.option("--out", type=PLACE, metavar="DIR", help="Dataset folder to write; must not exist.")
@click.option(
    "--like",
    "earlier",
    metavar="DIR",
    help="An earlier dataset folder: options not given are as they were there, and its users keep their groups, so "
    "that yesterday's model can be scored on today's test users. Without SOURCE its source is read again.",
)
@splitting_options
@reading_options
@click.option(
    "--timestamp-column",
    metavar="NAME",
    help="Column of times, read where the split goes by them.  [default: found by name]",
)
@click.option(
    "--download", "name", type=click.Choice(list(DOWNLOADS)), help="Fetch MovieLens; implies its preset."
)
@click.option(
    "--download-to",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where downloads are kept.  [default: ~/.cache/distrecvae]",
)
@click.option("--synthetic", is_flag=True, help="Make a data set with clusters of taste and popular items.")
@click.option("--users", type=int, metavar="N", help=f"Users of --synthetic.  [default: {N_USERS}]")
@click.option("--items", type=int, metavar="N", help=f"Items of --synthetic.  [default: {N_ITEMS}]")
@click.option(
    "--explain",
    "explained",
    multiple=True,
    metavar="user=ID|item=ID",
    help="Say what happened to the rows of one user or item; without --out nothing is written.",
)
@click.option(
    "--export-pro-sg",
    "export",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Also write the split in the layout of Liang et al. (train.csv, validation_tr.csv, ...).",
)
def command(
    source: Path | None, out: Path | str | None, earlier: str | None, preset: str | None, source_format: str | None,
    member: str | None, name: str | None, download_to: Path | None, synthetic: bool, users: int | None,
    items: int | None, export: Path | None, seed: int | None, user_column: str | None, item_column: str | None,
    rating_column: str | None, timestamp_column: str | None, header: bool | None, missing: tuple[str, ...],
    encoding: str | None, max_rows: int | None, explained: tuple[str, ...], **split: Any,
) -> None:  # fmt: skip
    """Split a table of user-item interactions, by users or by time, and write a dataset folder.

    SOURCE is a CSV, TSV or Parquet file with a user and an item column, a MovieLens .dat, Netflix Prize or
    Million Song file, a RecBole .inter, a zip or gzip of one, or a folder that is split already: train, valid
    and test files, as RecBole, LensKit and RecPack have them, too, or Liang et al.'s. Users are divided into
    train, validation and test (the strong-generalization protocol), unless --split says otherwise; see
    docs/protocol.md.

    \b
    Examples:
      distrecvae prepare clicks.csv --out data/clicks
      distrecvae prepare ratings.parquet --min-rating 3.5 --out data/mine
      distrecvae prepare purchases.csv --out data/shop \\
          --user-column buyer --item-column sku
      distrecvae prepare ratings_Books.csv --out data/books --no-header \\
          --user-column 1 --item-column 2 --rating-column 3
      distrecvae prepare ml-20m.zip --preset ml-20m --out data/ml-20m
      distrecvae prepare --download ml-1m --out data/ml-1m
      distrecvae prepare today.csv --like data/yesterday --out data/today
      distrecvae prepare clicks.csv --split leave-last --out data/last
      distrecvae prepare clicks.csv --out data/time --split global-time \\
          --valid-from 2024-01-01 --test-from 2024-04-01
      distrecvae prepare clicks.csv --folds 5 --out data/folds
      distrecvae prepare clicks.csv --explain user=1234 --explain item=B07
      distrecvae prepare data/mine --export-pro-sg pro_sg
      distrecvae prepare --synthetic --users 5000 --items 2000 --out data/demo
    """
    sources = [
        text
        for text, given in (("SOURCE", source), ("--download", name), ("--synthetic", synthetic))
        if given
    ]
    if len(sources) != 1 and (sources or earlier is None):
        found = " and ".join(sources) if sources else "none of them"
        raise click.UsageError(f"give exactly one of SOURCE, --download and --synthetic, not {found}")
    asked_for = [asked(text) for text in explained]
    out = require_folder(out, "prepare")
    if out is None and export is None and not asked_for:
        raise click.UsageError("give --out DIR, the dataset folder to write")
    like = read_like(earlier) if earlier is not None else None
    made_anew: dict[str, Any] = {"source": source, "users": users, "items": items, "seed": seed}
    if like is not None and not sources:
        again = like.again()
        made_anew = {name: again.get(name) if value is None else value for name, value in made_anew.items()}
        source, synthetic = made_anew["source"], made_anew["source"] is None
    if (users is not None or items is not None) and not synthetic:
        raise click.UsageError("--users and --items go with --synthetic")
    for target in (out, export):
        if target is not None and target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise ResultsError(
                f"{target} already exists; an existing folder is never overwritten: choose another"
            )
    columns = ColumnNames(
        user=user_column, item=item_column, rating=rating_column, timestamp=timestamp_column
    )
    stage = _Stages()
    if out is not None and source is not None and is_dataset(source):
        given = any(
            value is not None for value in (preset, seed, like, *asdict(columns).values(), *split.values())
        )
        if not given:
            raise ConfigError(
                f"{source} is a prepared dataset already; --out has nothing to do: use it as --data {source}"
            )
    if name is not None:
        made_anew["source"] = _downloaded(name, download_to or default_folder())
        preset = preset or name
    accounts: list[str] = []

    def explains(table: InteractionTable, options: SplitOptions, made: Split) -> None:
        for kind, id_ in asked_for:
            accounts.extend(explain(table, options, made, kind, id_))

    data = prepare_data(
        **made_anew,
        columns=columns,
        source_format=source_format,
        member=member,
        header=header,
        missing=missing,
        encoding=encoding,
        max_rows=max_rows,
        preset=preset,
        like=like,
        stage=stage,
        watcher=explains if asked_for else None,
        **split,
    )
    result, protocol = data.split, data.protocol
    if out is not None:
        with stage("writing", str(out)):
            data.save(out)
    if export is not None:
        with stage("writing", str(export)):
            write_pro_sg(result, export)
    _summary(result, protocol, out, export)
    for line in accounts:
        say(line)


class _Stages:
    """Says on stderr what is being done and how long it took; a spinner where someone watches."""

    @contextmanager
    def __call__(self, doing: str, what: str) -> Iterator[None]:
        from rich.console import Console

        console = Console(stderr=True)
        started = time.perf_counter()
        with console.status(f"{doing} {escape(printable(what))}") if console.is_terminal else nullcontext():
            yield
        say(f"{doing} {what}: {time.perf_counter() - started:.1f} s", err=True)


def _downloaded(name: str, folder: Path) -> Path:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    console = Console(stderr=True)
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(name, total=None)
        return download(
            name,
            folder,
            say=lambda line: click.echo(line, err=True),
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )


def _summary(split: Split, protocol: Mapping[str, Any], out: Path | None, export: Path | None) -> None:
    for line in describe(split, protocol):
        say(line)
    if export is not None:
        say(f"exported   {export} (layout of Liang et al.)")
    if out is not None:
        say(f"written    {out} (fingerprint {split.fingerprint[:12]})")
        data = fold_folders(out)[:1] or [out]
        say(f"\nnext: python -m distrecvae.search --data {shlex.quote(str(data[0]))}")
