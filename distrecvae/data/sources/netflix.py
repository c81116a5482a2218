"""Reads the Netflix Prize files, `combined_data_*.txt` and `mv_*.txt`: a line `N:` opens movie N."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from distrecvae.data.sources.columns import Told
from distrecvae.data.sources.lines import LineError, physical_lines
from distrecvae.data.sources.opening import Chain, Part, Replacing
from distrecvae.data.sources.rows import to_table
from distrecvae.data.sources.watching import Watched
from distrecvae.data.table import InteractionTable
from distrecvae.errors import DataError
from distrecvae.words import first_line

_MOVIE = -1e30
"""Stands for the rating in a movie's line; no rating is so, and if one is, it is refused."""

_LINE = re.compile(rb"\d+:|-?\d*,[^,]*,[^,]*")


def read_netflix(parts: Sequence[Part], told: Told | None = None) -> InteractionTable:
    """Read the parts in the given order as one table of user, movie, rating, and date where times are asked for.

    A movie's line is widened to three fields on the way in (`12:` reads as `12,-1e30,`), so that Arrow parses
    the whole as one table of numbers; each row's movie is then the last such line's.

    Raises:
        DataError: a rating before the first movie line, lines of another form, or damaged.
    """
    told = told or Told()
    place = parts[0].path if parts[0].member or len(parts) == 1 else parts[0].path.parent
    where = str(parts[0]) if len(parts) == 1 else f"{place} ({len(parts)} parts)"
    # Carriage returns go first: what remains of a movie's line is then ":\n" in every variant of these files.
    seen = Watched(Chain(parts), ",", what=where, max_rows=told.max_rows)  # type: ignore[arg-type]
    ended = Replacing(Replacing(seen, b"\r\n", b"\n"), b"\r", b"\n")
    widened = Replacing(ended, b":\n", f",{_MOVIE:g},\n".encode())
    try:
        table = pacsv.read_csv(
            pa.PythonFile(io.BufferedReader(widened), mode="r"),
            read_options=pacsv.ReadOptions(column_names=["first", "rating", "date"], block_size=8 << 20),
            parse_options=pacsv.ParseOptions(quote_char=False),
            convert_options=pacsv.ConvertOptions(
                include_columns=["first", "rating", *(["date"] if told.times else [])],
                column_types={"first": pa.int32(), "rating": pa.float32(), "date": pa.string()},
            ),
        )
    except pa.ArrowInvalid as error:
        found = _first_fault(parts)
        raise DataError(
            f"{where} is not a Netflix Prize file ({found or first_line(error)}); lines are `N:` or user,rating,date"
        ) from error
    first, ratings = table.column("first"), table.column("rating").to_numpy()
    is_movie = ratings == np.float32(_MOVIE)
    if not is_movie.size or not is_movie[0]:
        raise DataError(
            f"{where} does not begin with a movie line `N:`; give the parts as they were published"
        )
    if is_movie.sum() != widened.n_replaced:
        raise DataError(f"{where} has a rating of {_MOVIE:g}, which is none; correct it")
    heads = np.flatnonzero(is_movie)
    rows = np.flatnonzero(~is_movie)
    n_rows = np.diff(np.append(heads, is_movie.size)) - 1
    columns = {
        "user": first.take(pa.array(rows)),
        "item": np.repeat(first.take(pa.array(heads)).to_numpy(), n_rows),
        "rating": ratings[rows],
    }
    if told.times:
        columns["timestamp"] = table.column("date").take(pa.array(rows))
    table = pa.table(columns)
    source = {"path": str(place if len(parts) > 1 else parts[0]), "format": "netflix", "parts": len(parts)}
    names = {"user": "user", "item": "movie", "rating": "rating", "timestamp": "date"}
    return to_table(
        table, source, where, names=names, place=lambda row: _place(parts, row), missing=told.missing
    )


def _first_fault(parts: Sequence[Part]) -> str:
    """Return the first line of another form, in words; empty where there is none."""
    try:
        for part in parts:
            with part.open() as file:
                for number, line in enumerate(physical_lines(file), 1):
                    if line and not _LINE.fullmatch(line):
                        named = f" of {part}" if len(parts) > 1 else ""
                        return f"line {number}{named} is {line[:40].decode(errors='replace')!r}"
                    fields = line.split(b",")
                    if len(fields) == 3 and not _fits(fields):
                        return f"line {number} of {part} is {line[:40].decode(errors='replace')!r}"
    except LineError as error:
        return str(error)
    return ""


def _fits(fields: Sequence[bytes]) -> bool:
    try:
        return (not fields[0] or abs(int(fields[0])) < 2**31) and (
            not fields[1] or float(fields[1]) is not None
        )
    except ValueError:
        return False


def _place(parts: Sequence[Part], row: int) -> str:
    """Return where a row, counted from 0 without movies' lines, stands."""
    left = row
    for part in parts:
        with part.open() as file:
            for number, line in enumerate(physical_lines(file), 1):
                if not line or line.endswith(b":"):
                    continue
                if not left:
                    return f"line {number}" + (f" of {part}" if len(parts) > 1 else "")
                left -= 1
    return f"row {row + 1}"
