"""Owns which reader reads a source: told by `--format`, or by the file's name and its first bytes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from distrecvae.data.sources.columns import ColumnNames
from distrecvae.data.sources.delimited import read_delimited, read_headerless
from distrecvae.data.sources.netflix import read_netflix
from distrecvae.data.sources.opening import Part, parts_of
from distrecvae.data.sources.parquet import read_parquet
from distrecvae.data.table import InteractionTable
from distrecvae.errors import DataError

RATED = ("user", "item", "rating", "timestamp")
FORMATS = ("csv", "parquet", "movielens", "netflix", "msd", "recbole")

_READERS: dict[str, Callable[[Part, ColumnNames], InteractionTable]] = {
    "csv": read_delimited,
    "recbole": lambda part, wanted: read_delimited(part, wanted, typed_header=True),
    "parquet": read_parquet,
    "movielens": lambda part, _: read_headerless(
        part, RATED, "movielens", "\t" if part.name == "u.data" else "::"
    ),
    "msd": lambda part, _: read_headerless(part, RATED[:3], "msd", "\t"),
}


def read_table(
    path: Path | str,
    columns: ColumnNames | None = None,
    *,
    source_format: str | None = None,
    member: str | None = None,
) -> InteractionTable:
    """Read any source of interactions, packed or not.

    Args:
        path: a file, a zip, or a folder with an interactions file or the Netflix Prize's parts in it.
        columns: columns as told; others are found by their usual names.
        source_format: one of FORMATS, or None to tell by name and content.
        member: which file of a zip or folder to read.

    Raises:
        DataError: missing, ambiguous, empty, damaged, or not of its format; the message says which and where.
    """
    path, columns = Path(path), columns or ColumnNames()
    if path.is_dir() and member is None and not source_format and _all_parquet(path):
        return read_parquet(path, columns)
    parts = parts_of(path, member)
    source_format = source_format or _told_by(parts)
    if source_format == "netflix":
        return read_netflix(parts)
    if len(parts) > 1:
        raise DataError(
            f"{path} has {len(parts)} files of the Netflix Prize's kind; choose one with --member NAME"
        )
    if source_format not in ("csv", "parquet", "recbole") and columns != ColumnNames():
        raise DataError(f"{parts[0]} ({source_format}) names no columns; leave the --...-column options out")
    return _READERS[source_format](parts[0], columns)


def _told_by(parts: Sequence[Part]) -> str:
    """Return the format that the first part's name and first bytes tell."""
    part = parts[0]
    name, head = part.name.casefold(), part.head()
    line = head.partition(b"\n")[0].rstrip(b"\r")
    if head[:4] == b"PAR1" or name.endswith((".parquet", ".pq")):
        return "parquet"
    if re.fullmatch(rb"\d+:", line):
        return "netflix"
    if name.endswith(".inter"):
        return "recbole"
    if name == "u.data" or (b"::" in line and b"," not in line):
        return "movielens"
    if name.startswith("train_triplets") or re.fullmatch(rb"[0-9a-f]{40}\tSO[0-9A-Z]{16}\t\d+", line):
        return "msd"
    return "csv"


def _all_parquet(folder: Path) -> bool:
    files = [p for p in folder.rglob("*") if p.is_file() and not p.name.startswith((".", "_"))]
    return len(files) > 1 and all(p.suffix in (".parquet", ".pq") for p in files)
