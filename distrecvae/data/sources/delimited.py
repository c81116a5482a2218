"""Text tables: CSV, TSV, RecBole's .inter, MovieLens' .dat, Million Song triplets, read by Arrow on all
cores.

Ids are read as dictionaries (one copy of each distinct id, 32 bits a row), so a file of 20 million rows costs
a few hundred megabytes, and ids keep their text until `factorize` decides that they are numbers.

Arrow takes a stray quote for the beginning of a text that continues over lines, and reads fewer rows than there are.
So its bytes are watched (`watching`); where quotes stand as none may that quote, or span lines, an exact reading in
Python (`quotes`) says what they mean, or refuses the file with the line.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv

from distrecvae.data.sources.columns import Columns, Told, no_header_columns, taken_columns
from distrecvae.data.sources.lines import Layout, LineError, first_fault, line_of
from distrecvae.data.sources.opening import Part, Replacing
from distrecvae.data.sources.quotes import quotes_quote
from distrecvae.data.sources.rows import row_place, to_table
from distrecvae.data.sources.sizes import require_room
from distrecvae.data.sources.text import Text, text_of
from distrecvae.data.sources.times import NO_VALUE
from distrecvae.data.sources.watching import Watched
from distrecvae.data.table import InteractionTable
from distrecvae.errors import DataError
from distrecvae.words import first_line

ID = pa.dictionary(pa.int32(), pa.string())

NO_RATING = NO_VALUE
"""Texts that stand for a rating that is not there."""

_BLOCK_BYTES = 8 << 20  # big enough that few dictionaries have to be merged, small enough for a few in flight


def read_delimited(part: Part, told: Told, *, typed_header: bool = False) -> InteractionTable:
    """Read a text table; the delimiter is the one that its first line uses most.

    Args:
        part: the file.
        told: what is known of it.
        typed_header: names carry a type after a colon (`user_id:token`, RecBole); quotes are characters.

    Raises:
        DataError: empty, only a header, no header, a missing column, a row of another width, an empty id, a rating
            that is not a number, a quote that may mean two things, or damaged.
    """
    text = text_of(part, header=told.header is not False, encoding=told.encoding, spaces=True)
    source: dict[str, Any] = {"path": str(part), "format": "recbole" if typed_header else "csv"}
    if text.names is None:
        columns = no_header_columns(part, text.first, told)
    else:
        names = [name.rsplit(":", 1)[0] for name in text.names] if typed_header else list(text.names)
        columns = taken_columns(part, names, told)
    source |= columns.facts()
    layout = Layout(
        delimiter=text.delimiter.encode(),
        n_columns=len(text.first),
        positions={role: at for role, at in columns.positions.items() if role in told.roles},
        names=columns.names,
        first_line=text.first_line,
        quoted_header=text.quoted_header,
    )
    checked = columns if text.names is not None and told.header is None else None
    return _read_table(text, layout, told, source, may_quote=not typed_header, columns=checked)


def read_headerless(
    part: Part, roles: Sequence[str], source_format: str, delimiter: str, told: Told | None = None
) -> InteractionTable:
    """Read a text table without a header whose columns are `roles` in order (user, item, rating, timestamp).

    Raises:
        DataError: as `read_delimited`.
    """
    told = told or Told()
    text = text_of(part, header=False, delimiter=delimiter, encoding=told.encoding)
    layout = Layout(
        delimiter=delimiter.encode(),
        n_columns=len(roles),
        positions={role: position for position, role in enumerate(roles) if role in told.roles},
        names={role: role for role in roles},
        first_line=text.first_line,
    )
    source = {"path": str(part), "format": source_format}
    return _read_table(text, layout, told, source, may_quote=False, columns=None)


def _read_table(
    text: Text,
    layout: Layout,
    told: Told,
    source: Mapping[str, Any],
    *,
    may_quote: bool,
    columns: Columns | None,
) -> InteractionTable:
    part = text.part
    if told.max_rows is None:
        require_room(text.estimated_rows(), part, None, estimated=True)
    table, quoted = _parse(text, layout, told, may_quote=may_quote)
    if not table.num_rows:
        raise DataError(f"{part} has a header and no rows; it must hold interactions")

    def place(row: int) -> str:
        try:
            return f"line {line_of(layout, text.lines, row, quoted=quoted)}"
        except LineError:  # a line beyond what is read exactly
            return row_place(row)

    return to_table(
        table, source, str(part), names=layout.names, place=place, missing=told.missing, columns=columns
    )


def _parse(text: Text, layout: Layout, told: Told, *, may_quote: bool) -> tuple[pa.Table, bool]:
    """Return the wanted columns, and whether quotes quote in them."""
    quoted = may_quote and layout.quoted_header
    try:
        table, seen = _try(text, layout, told, quoted=quoted, spans=False)
        if may_quote and seen.any_quote and not quoted:
            quoted = True
            table, seen = _try(text, layout, told, quoted=True, spans=False)
        if quoted and (seen.misplaced or seen.spans):
            quoted = quotes_quote(layout, text.lines)
            table, seen = _try(text, layout, told, quoted=quoted, spans=quoted and seen.spans)
        if isinstance(table, str):
            first_fault(
                layout, text.lines, quoted=quoted, nothing=frozenset(word.encode() for word in NO_RATING)
            )
            raise DataError(f"{text.part} cannot be read ({table}); write it again as CSV")
    except LineError as error:
        raise DataError(f"{text.part} {error}") from None
    if seen.any_zero:
        raise DataError(f"{text.part} is not text (it has zero bytes); give a CSV, TSV or Parquet file")
    return table, quoted


def _try(
    text: Text, layout: Layout, told: Told, *, quoted: bool, spans: bool
) -> tuple[pa.Table | str, Watched]:
    """Return what Arrow reads, or why it does not; and what was seen of the bytes on the way.

    Without `spans` a line end always ends a record, and lines are cut among cores.
    """
    wanted = list(layout.positions)
    columns = [f"column {i}" for i in range(layout.n_columns)]
    for role in wanted:
        columns[layout.positions[role]] = role
    types = {"user": ID, "item": ID, "rating": pa.float64(), "timestamp": pa.string()}
    delimiter = text.delimiter
    with text.open() as file:
        seen = Watched(file, delimiter, what=str(text.part), max_rows=told.max_rows)
        stream: Any = seen
        if delimiter == "::":
            stream, delimiter = io.BufferedReader(Replacing(seen, b"::", b"\x1f")), "\x1f"
        try:
            table = pacsv.read_csv(
                pa.PythonFile(stream, mode="r"),
                read_options=pacsv.ReadOptions(column_names=columns, block_size=_BLOCK_BYTES),
                parse_options=pacsv.ParseOptions(
                    delimiter=delimiter, quote_char='"' if quoted else False, newlines_in_values=spans
                ),
                convert_options=pacsv.ConvertOptions(
                    include_columns=wanted,
                    column_types={role: types[role] for role in wanted},
                    null_values=list(NO_RATING),
                    strings_can_be_null=False,
                ),
            )
        except pa.ArrowInvalid as error:
            failure = first_line(error)
            if "Empty CSV file" in failure:
                return pa.table({role: pa.array([], types[role]) for role in wanted}), seen
        else:
            return table, seen
    with text.open() as file:  # Arrow may have stopped anywhere
        seen = Watched(file, text.delimiter, what=str(text.part), max_rows=told.max_rows)
        while seen.read(_BLOCK_BYTES):
            pass
    return failure, seen
