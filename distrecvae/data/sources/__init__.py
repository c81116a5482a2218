"""Chooses the reader of a source: by `--format`, or by the file's name and its first bytes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from distrecvae.data.sources.columns import ColumnNames, Told
from distrecvae.data.sources.delimited import read_delimited, read_headerless
from distrecvae.data.sources.json_lines import read_json_lines
from distrecvae.data.sources.kinds import refuse_other_kinds
from distrecvae.data.sources.netflix import read_netflix
from distrecvae.data.sources.opening import Part, parts_of
from distrecvae.data.sources.parquet import read_parquet
from distrecvae.data.table import InteractionTable
from distrecvae.errors import ConfigError, DataError

RATED = ("user", "item", "rating", "timestamp")
FORMATS = ("csv", "parquet", "movielens", "netflix", "msd", "recbole", "jsonl")

_READERS: dict[str, Callable[[Part, Told], InteractionTable]] = {
    "csv": read_delimited,
    "recbole": lambda part, told: read_delimited(part, told, typed_header=True),
    "parquet": read_parquet,
    "movielens": lambda part, told: read_headerless(
        part, RATED, "movielens", "\t" if part.name == "u.data" else "::", told
    ),
    "msd": lambda part, told: read_headerless(part, RATED[:3], "msd", "\t", told),
    "jsonl": read_json_lines,
}
_NAMED = ("csv", "parquet", "recbole", "jsonl")
"""Formats whose columns have names."""


def read_table(
    path: Path | str,
    columns: ColumnNames | None = None,
    *,
    source_format: str | None = None,
    member: str | None = None,
    header: bool | None = None,
    missing: Sequence[str] = (),
    encoding: str | None = None,
    max_rows: int | None = None,
    times: bool = False,
) -> InteractionTable:
    """Read any source of interactions, packed or not.

    Args:
        path: a file, a zip, or a folder with an interactions file or the Netflix Prize's parts in it.
        columns: columns as told; others are found by their usual names.
        source_format: one of FORMATS, or None to tell by name and content.
        member: which file of a zip or folder to read.
        header: whether a text's first line names the columns; None to tell by that line.
        missing: texts that stand for an id that is not there; rows with one are left out and counted.
        encoding: of a text; None for what it says itself, or UTF-8.
        max_rows: rows above which the source is refused.
        times: whether times are read, where there are any.

    Raises:
        DataError: missing, ambiguous, empty, damaged, or not of its format; the message says which and where.
        ConfigError: what was told has no meaning for this source.
    """
    path, columns = Path(path), columns or ColumnNames()
    told = Told(
        columns=columns, header=header, missing=tuple(missing), encoding=encoding, max_rows=max_rows, times=times
    )  # fmt: skip
    if path.is_dir() and member is None and not source_format and _all_parquet(path):
        return read_parquet(path, told)
    parts = parts_of(path, member)
    source_format = source_format or _told_by(parts, headless=header is False)
    for option, value in (("--header", header), ("--encoding", encoding)):
        if value is not None and source_format not in ("csv", "recbole"):
            option = "--no-header" if value is False else option
            raise ConfigError(
                f"{option}: {parts[0]} is read as {source_format}, where it has no effect; leave it out"
            )
    if source_format == "netflix":
        return read_netflix(parts, told)
    if len(parts) > 1:
        raise DataError(
            f"{path} has {len(parts)} files of the Netflix Prize's kind; choose one with --member NAME"
        )
    if source_format not in _NAMED and columns != ColumnNames():
        raise DataError(f"{parts[0]} ({source_format}) names no columns; leave the --...-column options out")
    return _READERS[source_format](parts[0], told)


def _told_by(parts: Sequence[Part], *, headless: bool = False) -> str:
    """Return the format that the first part's name and first bytes tell.

    Raises:
        DataError: they tell one that is not read.
    """
    part = parts[0]
    name, head = part.name.casefold(), part.head()
    line = head.lstrip(b"\xef\xbb\xbf").lstrip().partition(b"\n")[0].partition(b"\r")[0].rstrip()
    if head[:4] == b"PAR1" or name.endswith((".parquet", ".pq")):
        return "parquet"
    refuse_other_kinds(part, head)
    if headless:
        return "csv"
    if re.fullmatch(rb"\d+:", line):
        return "netflix"
    if name.endswith(".inter"):
        return "recbole"
    if name == "u.data" or (b"::" in line and b"," not in line):
        return "movielens"
    if name.startswith("train_triplets") or re.fullmatch(rb"[0-9a-f]{40}\tSO[0-9A-Z]{16}\t\d+", line):
        return "msd"
    if line.startswith(b"{"):
        return "jsonl"
    return "csv"


def _all_parquet(folder: Path) -> bool:
    files = [p for p in folder.rglob("*") if p.is_file() and not p.name.startswith((".", "_"))]
    return len(files) > 1 and all(p.suffix in (".parquet", ".pq") for p in files)
