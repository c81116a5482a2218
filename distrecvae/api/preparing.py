"""`distrecvae.prepare`: makes a data set from a table in memory, or from a file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from distrecvae.api.folders import require_folder
from distrecvae.api.given import carried_out_by
from distrecvae.data.days.like import read_like
from distrecvae.data.download import default_folder
from distrecvae.data.download import download as fetch
from distrecvae.data.prepared import Data, prepare_data, read_data
from distrecvae.data.pro_sg import write_pro_sg
from distrecvae.data.sources.columns import ColumnNames
from distrecvae.data.splitting.options import SplitOptions
from distrecvae.data.synthetic import N_ITEMS, N_USERS
from distrecvae.errors import ConfigError, DataError, ResultsError

if TYPE_CHECKING:
    from typing import TypeAlias

    DataLike: TypeAlias = Data | str | PathLike[str]

_COLUMNS = ("user_column", "item_column", "rating_column", "timestamp_column")


def _prepare(given: dict[str, Any]) -> Data:
    source, name = given.pop("source", None), given.pop("download", None)
    synthetic = given.pop("synthetic", False)
    asked = [
        text
        for text, there in (
            ("a source", source is not None),
            ("--download", name),
            ("--synthetic", synthetic),
        )
        if there
    ]
    earlier = given.pop("like", None)
    like = (
        None if earlier is None else earlier.like() if isinstance(earlier, Data) else read_like(str(earlier))
    )
    if len(asked) != 1 and (asked or like is None):
        found = " and ".join(asked) if asked else "none of them"
        raise ConfigError(f"give exactly one of a source, --download and --synthetic, not {found}")
    if like is not None and not asked:
        again = like.again()
        source, synthetic = again.pop("source"), again.get("users") is not None
        given = again | given
    if not synthetic and given.keys() & {"users", "items"}:
        raise ConfigError("--users and --items go with --synthetic; leave them out")
    if source is not None and not isinstance(source, pd.DataFrame | str | PathLike):
        raise DataError(f"the source is a {type(source).__name__}; give a DataFrame or a path")
    out, export = given.pop("out", None), given.pop("export_pro_sg", None)
    for target in (place for each in (out, export) if (place := require_folder(each, "prepare")) is not None):
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise ResultsError(
                f"{target} already exists; an existing folder is never overwritten: choose another"
            )
    to = given.pop("download_to", None)
    if name is not None:
        source = fetch(name, Path(to) if to else default_folder())
        given.setdefault("preset", name)
    columns = ColumnNames(**{c.removesuffix("_column"): str(given.pop(c)) for c in _COLUMNS if c in given})
    given |= {name: str(given[name]) for name in ("valid_from", "test_from") if name in given}
    if isinstance(given.get("missing"), str):
        given["missing"] = (given["missing"],)
    source = source if source is None or isinstance(source, pd.DataFrame) else Path(source)
    data = prepare_data(source, columns=columns, source_format=given.pop("format", None), like=like, **given)
    if export is not None:
        write_pro_sg(data.split, Path(export))
    return data if out is None else data.save(Path(out))


@carried_out_by(_prepare)
def prepare(
    source: pd.DataFrame | str | PathLike[str] | None = None,
    *,
    out: str | PathLike[str] | None = None,
    like: DataLike | None = None,
    preset: str | None = None,
    min_rating: float | None = SplitOptions.min_rating,
    min_user_interactions: int = SplitOptions.min_user_interactions,
    min_item_interactions: int = SplitOptions.min_item_interactions,
    held_out_users: int | float = SplitOptions.held_out_users,
    held_out_fraction: float = SplitOptions.held_out_fraction,
    split: str = SplitOptions.split,
    held_out_by: str = SplitOptions.held_out_by,
    valid_from: str | float | datetime = SplitOptions.valid_from,
    test_from: str | float | datetime = SplitOptions.test_from,
    leave: int = SplitOptions.leave,
    folds: int | None = SplitOptions.folds,
    seed: int = SplitOptions.seed,
    user_column: str | int | None = None,
    item_column: str | int | None = None,
    rating_column: str | int | None = None,
    timestamp_column: str | int | None = None,
    header: bool | None = None,
    missing: Sequence[str] = (),
    encoding: str | None = None,
    max_rows: int | None = None,
    format: str | None = None,
    member: str | None = None,
    download: str | None = None,
    download_to: str | PathLike[str] | None = None,
    synthetic: bool = False,
    users: int = N_USERS,
    items: int = N_ITEMS,
    export_pro_sg: str | PathLike[str] | None = None,
) -> Data:
    """Split a table of user-item interactions, by users or by time; nothing is written unless `out` says where.

    Args:
        source: a pandas DataFrame, or a file or folder as `distrecvae prepare` takes it; a folder that is split already
            is read as it is. Columns are found by their usual names (`user_id`, `userId`, `item`, `rating`, ...).
        out: dataset folder to write; it must not exist.
        like: an earlier data set: what is not given is as it was there, and its users keep their groups, so that
            yesterday's model can be scored on today's test users. Without a source its own is read again.
        preset: a published protocol ("ml-20m", "netflix", "msd", ...); other arguments override it.
        min_rating: keep rows with a rating above it, strictly: 3.5 drops 3.5 itself; None keeps every row.
        min_user_interactions: drop users with fewer.
        min_item_interactions: drop items with fewer, before users are dropped.
        held_out_users: validation users, and as many test users: a count (600), or a fraction of all (0.1).
        held_out_fraction: share of a held-out user's items that must be predicted.
        split: what is divided: "users" into groups, by "global-time" the interactions at two moments, by "leave-last"
            each user's last items from the others.
        held_out_by: which items of a held-out user must be predicted: "random" ones, or by "time" the latest.
        valid_from: with global-time: train on what came before; a date, a number as the times are, or a share of the
            interactions ("80%": their last fifth begins there).
        test_from: with global-time: validate on what came before, test on what came from then on.
        leave: with leave-last: each user's last so many items are for the test, as many before them for validation.
        folds: make so many data sets, in each of which other users are tested; the first is returned, and `.folds` has
            them all, for `train(..., each_fold=True)`.
        seed: of the split; with `synthetic` of the data, 0 where it is not given.
        user_column: column of user ids.
        item_column: column of item ids.
        rating_column: column of ratings or counts; "none": there is none.
        timestamp_column: column of times, read where the split goes by them.
        header: whether a text's first line names its columns; None to tell by that line. Without one columns are told
            by position, 1 for the first.
        missing: texts that stand for an id that is not there, such as "NA", or "" for an empty one: rows with one are
            left out and counted. Otherwise an empty id is refused, and others are ids.
        encoding: of a text, such as "latin-1"; None for what its byte order mark says, or UTF-8.
        max_rows: refuse a source with more rows; None lets the memory decide.
        format: of a file ("csv", "parquet", "movielens", ...); None to tell by name and content.
        member: which file of a zip or folder to read.
        download: fetch MovieLens ("ml-1m", "ml-20m", ...) in the place of `source`; implies its preset.
        download_to: where downloads are kept.
        synthetic: make a data set in the place of `source`.
        users: of the synthetic data.
        items: of the synthetic data.
        export_pro_sg: also write the split in the layout of Liang et al., into this folder.

    Raises:
        DataError: the source cannot be read, or too little is left of it.
        ConfigError: an argument is out of its range, or has no effect.
        ResultsError: a folder to write exists.
    """
    raise NotImplementedError  # never run: `carried_out_by` takes the call


def as_data(data: DataLike | None) -> Data | None:
    """Return the data set that a call was given: prepared in memory, or a prepared folder (or its URI).

    Raises:
        DataError: it is something else, or damaged.
    """
    if data is None or isinstance(data, Data):
        return data
    if isinstance(data, str | PathLike):
        return read_data(str(data))
    raise DataError(
        f"the data is a {type(data).__name__}; give what distrecvae.prepare returned, or a dataset folder"
    )
