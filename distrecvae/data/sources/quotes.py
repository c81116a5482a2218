"""Decides whether the quotes of a table quote or are characters of its texts, or refuses the table with the line.

A reader that takes every quote for the beginning of a text reads fewer rows than there are, without a word.
"""

from __future__ import annotations

from distrecvae.data.sources.lines import (
    QUOTE,
    REMEDY,
    Layout,
    LineError,
    OpenLines,
    Record,
    is_number,
    of_another_width,
    records,
)


def quotes_quote(layout: Layout, open_lines: OpenLines) -> bool:
    """Return whether the quotes of a table quote; False: they are characters of its texts, as an inch's sign is.

    They quote where all of them are placed as RFC 4180 says. They do not where no field is quoted from end to end, and
    every line is a record by itself. All else, and a quoted text whose lines might as well be records, is refused.

    Args:
        layout: how the table is written.
        open_lines: gives its lines after the header, from the first one at each call.

    Raises:
        LineError: what quotes mean in a line cannot be told.
    """
    try:
        for record in records(open_lines(), layout.delimiter, quoted=True, first_line=layout.first_line):
            if len(record.fields) != layout.n_columns:
                raise of_another_width(record, layout)
            _require_ids(record, layout)
            if record.spanned:
                _require_one_meaning(record, layout)
        return True
    except LineError as error:
        may_be_plain = not error.ambiguous or layout.delimiter == b"\t"
        if may_be_plain and not layout.quoted_header and _all_plain_records(layout, open_lines):
            return False
        raise


def _require_ids(record: Record, layout: Layout) -> None:
    for role, position in layout.positions.items():
        if role == "rating":
            continue
        field = record.fields[position]
        if field != field.strip() and _in_quotes(field.strip()):
            raise LineError(
                f"has a space beside the quotes of the {role} id in line {record.line}, which makes them a part of it;"
                " remove such spaces"
            )
        if record.spanned and b"\n" in field:
            raise LineError(
                f"has a quote in line {record.line} that makes the {role} id continue in the next line, as no id does;"
                f" {REMEDY}"
            )


def _require_one_meaning(record: Record, layout: Layout) -> None:
    if all(_looks_whole(line, record, layout) for line in record.spanned if line):
        raise LineError(
            f"has a quote in line {record.line} that is closed {len(record.spanned) - 1} line(s) further, though each"
            f" of these lines looks like a row of its own; {REMEDY}",
            ambiguous=True,
        )


def _in_quotes(text: bytes) -> bool:
    return len(text) > 1 and text.startswith(QUOTE) and text.endswith(QUOTE)


def _looks_whole(line: bytes, record: Record, layout: Layout) -> bool:
    """Tell whether a line of a quoted text would be a row by itself: its fields as many, and of their kinds."""
    fields = _alone(line, layout.delimiter)
    if len(fields) != layout.n_columns:
        return False
    for role, position in layout.positions.items():
        field = fields[position]
        if role == "rating":
            if field.strip() and not is_number(field.strip()):
                return False
        # Ids have no spaces, unless this record's has; texts do.
        elif not field.strip() or (b" " in field and b" " not in record.fields[position]):
            return False
    return True


def _alone(line: bytes, delimiter: bytes) -> list[bytes]:
    """Return the fields of a line by itself, where a quote quotes only if it is closed in the line."""
    fields: list[bytes] = []
    at = 0
    while True:
        end = line.find(delimiter, at)
        if line.startswith(QUOTE, at):
            closing = line.find(QUOTE + delimiter, at + 1)
            if closing >= 0:
                end = closing + 1
            elif line.endswith(QUOTE) and len(line) > at + 1:
                end = -1
        if end < 0:
            return [*fields, line[at:]]
        fields.append(line[at:end])
        at = end + len(delimiter)


def _all_plain_records(layout: Layout, open_lines: OpenLines) -> bool:
    """Tell whether every line is a record by itself, and no field is quoted from end to end."""
    others = layout.n_columns - 1
    for line in open_lines():
        if line and line.count(layout.delimiter) != others:
            return False
        if QUOTE in line and any(_in_quotes(field.strip()) for field in line.split(layout.delimiter)):
            return False
    return True
