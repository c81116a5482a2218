"""Owns the Netflix Prize files, `combined_data_*.txt` and `mv_*.txt`: a line `N:` opens movie N."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from distrecvae.data.sources.delimited import ID, to_table
from distrecvae.data.sources.opening import Chain, Part, Replacing
from distrecvae.data.table import InteractionTable
from distrecvae.errors import DataError


def read_netflix(parts: Sequence[Part]) -> InteractionTable:
    """Read the parts in the given order as one table of user, movie, rating; dates are not read.

    A movie's line is widened to three fields on the way in (`12:` reads as `12:,,`), so that Arrow parses the
    whole as one table; its rows then carry the last movie line's number forward.

    Raises:
        DataError: a rating before the first movie line, lines of another form, or damaged.
    """
    where = str(parts[0]) if len(parts) == 1 else f"{parts[0].path.parent} ({len(parts)} parts)"
    # Carriage returns go first: what remains of a movie's line is then ":\n" in every variant of these files.
    stream = io.BufferedReader(Replacing(Replacing(Chain(parts), b"\r\n", b"\n"), b":\n", b":,,\n"))
    try:
        table = pacsv.read_csv(
            pa.PythonFile(stream, mode="r"),
            read_options=pacsv.ReadOptions(column_names=["user", "rating", "date"], block_size=8 << 20),
            convert_options=pacsv.ConvertOptions(
                include_columns=["user", "rating"],
                column_types={"user": ID, "rating": pa.float64()},
                null_values=[""],
            ),
        )
    except pa.ArrowInvalid as error:
        first = str(error).splitlines()[0][:160]
        raise DataError(
            f"{where} is not a Netflix Prize file ({first}); lines are `N:` or user,rating,date"
        ) from error
    users = table.column("user").unify_dictionaries()
    values = users.chunk(0).dictionary if users.num_chunks else pa.array([], type=pa.string())
    codes = np.concatenate([np.zeros(0, np.int32), *(np.asarray(chunk.indices) for chunk in users.chunks)])
    opens_movie = np.asarray(pc.ends_with(values, ":"))  # of the distinct values only
    is_movie = opens_movie[codes]
    if not is_movie.size or not is_movie[0]:
        raise DataError(
            f"{where} does not begin with a movie line `N:`; give the parts as they were published"
        )
    heads = np.flatnonzero(is_movie)
    movies = pc.replace_substring(values.take(pa.array(codes[heads])), ":", "").dictionary_encode()
    movie_of_row = np.repeat(np.asarray(movies.indices), np.diff(np.append(heads, is_movie.size)) - 1)
    user_code = (np.cumsum(~opens_movie) - 1).astype(np.int32)
    table = pa.table(
        {
            "user": pa.DictionaryArray.from_arrays(
                user_code[codes[~is_movie]], values.filter(pa.array(~opens_movie))
            ),
            "item": pa.DictionaryArray.from_arrays(movie_of_row, movies.dictionary),
            "rating": table.column("rating").filter(pa.array(~is_movie)),
        }
    )
    source = {"path": str(parts[0].path if len(parts) == 1 else parts[0].path.parent), "format": "netflix"}
    names = {"user": "user", "item": "movie", "rating": "rating"}
    return to_table(table, source | {"parts": len(parts)}, where, names=names, first_line=1)
