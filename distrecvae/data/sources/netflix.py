"""Owns the Netflix Prize files, `combined_data_*.txt` and `mv_*.txt`: a line `N:` opens movie N."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from distrecvae.data.sources.delimited import to_table
from distrecvae.data.sources.opening import Chain, Part, Replacing
from distrecvae.data.table import InteractionTable
from distrecvae.errors import DataError
from distrecvae.words import first_line


def read_netflix(parts: Sequence[Part]) -> InteractionTable:
    """Read the parts in the given order as one table of user, movie, rating; dates are not read.

    A movie's line is widened to three fields on the way in (`12:` reads as `12,-1,`), so that Arrow parses
    the whole as one table of numbers; each row's movie is then the last such line's.

    Raises:
        DataError: a rating before the first movie line, lines of another form, or damaged.
    """
    where = str(parts[0]) if len(parts) == 1 else f"{parts[0].path.parent} ({len(parts)} parts)"
    # Carriage returns go first: what remains of a movie's line is then ":\n" in every variant of these files.
    stream = io.BufferedReader(Replacing(Replacing(Chain(parts), b"\r\n", b"\n"), b":\n", b",-1,\n"))
    try:
        table = pacsv.read_csv(
            pa.PythonFile(stream, mode="r"),
            read_options=pacsv.ReadOptions(column_names=["first", "rating", "date"], block_size=8 << 20),
            convert_options=pacsv.ConvertOptions(
                include_columns=["first", "rating"],
                column_types={"first": pa.int32(), "rating": pa.float32()},
            ),
        )
    except pa.ArrowInvalid as error:
        first = first_line(error)
        raise DataError(
            f"{where} is not a Netflix Prize file ({first}); lines are `N:` or user,rating,date"
        ) from error
    first, ratings = table.column("first").to_numpy(), table.column("rating").to_numpy()
    is_movie = ratings == -1
    if not is_movie.size or not is_movie[0]:
        raise DataError(
            f"{where} does not begin with a movie line `N:`; give the parts as they were published"
        )
    heads = np.flatnonzero(is_movie)
    keep = ~is_movie
    table = pa.table(
        {
            "user": first[keep],
            "item": np.repeat(first[heads], np.diff(np.append(heads, is_movie.size)) - 1),
            "rating": ratings[keep],
        }
    )
    source = {"path": str(parts[0].path if len(parts) == 1 else parts[0].path.parent), "format": "netflix"}
    names = {"user": "user", "item": "movie", "rating": "rating"}
    return to_table(table, source | {"parts": len(parts)}, where, names=names, first_line=1)
