"""Reads text as lines and records, exactly: which line a record begins in, and which line is wrong and why.

Read in Python, line by line: taken where Arrow's fast reading met quotes that may mean two things, or failed, and the
line is to be named. The rule is RFC 4180's: a field that begins with a quote ends with one, quotes in it are doubled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

LONGEST_LINE = 8 << 20
"""Bytes of a line or a quoted text beyond which it is none: no row of a table is so long."""

OpenLines = Callable[[], Iterator[bytes]]
"""Gives the lines of a table after its header, without their ends, from the first one at each call."""

QUOTE = b'"'
REMEDY = "double it where it is a character, or write the file without quotes"


class LineError(Exception):
    """A line breaks a rule. The text names it, by its number from 1, and continues from the name of the file.

    Attributes:
        ambiguous: it is whole both ways, with quotes that quote and with quotes that do not.
    """

    def __init__(self, said: str, *, ambiguous: bool = False) -> None:
        super().__init__(said)
        self.ambiguous = ambiguous


class Record(NamedTuple):
    """A record, and where it stands.

    Attributes:
        line: number of its first line, from 1.
        fields: its fields, quotes taken off where they quote.
        spanned: its lines, where a quoted field has line ends in it; else empty.
    """

    line: int
    fields: list[bytes]
    spanned: tuple[bytes, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a text table is written.

    Attributes:
        delimiter: what stands between fields.
        n_columns: fields that each record has.
        positions: the field of each role (user, item, rating, timestamp) that is read.
        names: the columns of these roles, as messages call them.
        first_line: number of the first line after the header; 1 without one.
        quoted_header: a name in the header is quoted.
    """

    delimiter: bytes
    n_columns: int
    positions: Mapping[str, int]
    names: Mapping[str, str]
    first_line: int
    quoted_header: bool = False


def physical_lines(file: BinaryIO, first_line: int = 1) -> Iterator[bytes]:
    """Yield the lines of a file without their ends, which are LF, CR LF or CR.

    Args:
        file: the bytes.
        first_line: the number of their first line.

    Raises:
        LineError: a line is longer than `LONGEST_LINE`.
    """
    rest, number = b"", first_line - 1
    while chunk := file.read(1 << 20):
        lines = (rest + chunk).splitlines(keepends=True)
        rest = b"" if lines[-1].endswith(b"\n") else lines.pop()
        number += len(lines)
        if len(rest) > LONGEST_LINE:
            raise LineError(
                f"has a line {number + 1} of more than {LONGEST_LINE >> 20} MiB; no row of a table is so long: look at"
                " its line ends"
            )
        for line in lines:
            yield line.rstrip(b"\r\n")
    if rest:
        yield rest.rstrip(b"\r\n")


def records(
    lines: Iterator[bytes], delimiter: bytes, *, quoted: bool, first_line: int = 1
) -> Iterator[Record]:
    """Yield the records in lines; blank lines are none.

    Args:
        lines: without their ends.
        delimiter: between fields.
        quoted: quotes quote; else they are characters as others are.
        first_line: the number of the first of `lines`.

    Raises:
        LineError: a quote opens a field and does not close it, or closes in the middle of one.
    """
    number = first_line - 1
    for line in lines:
        number += 1
        if not line:
            continue
        if not quoted or QUOTE not in line:
            yield Record(number, line.split(delimiter))
            continue
        begun, text, spanned, fields, at = number, bytearray(line), [line], [], 0
        while True:
            if not text.startswith(QUOTE, at):
                end = text.find(delimiter, at)
                fields.append(bytes(text[at:] if end < 0 else text[at:end]))
                if end < 0:
                    break
                at = end + len(delimiter)
                continue
            close = at + 1
            while (close := text.find(QUOTE, close)) < 0 or text.startswith(QUOTE, close + 1):
                if close >= 0:
                    close += 2
                    continue
                close, following = len(text), next(lines, None)
                if following is None or len(text) > LONGEST_LINE:
                    raise LineError(
                        f"has a quote in line {begun} that opens a field and is never closed; {REMEDY}"
                    )
                number += 1
                spanned.append(following)
                text += b"\n" + following
            fields.append(bytes(text[at + 1 : close]).replace(b'""', QUOTE))
            at = close + 1
            if at == len(text):
                break
            if not text.startswith(delimiter, at):
                raise LineError(
                    f"has a quote in line {number} in the middle of a field that begins with one (in line {begun});"
                    f" {REMEDY}"
                )
            at += len(delimiter)
        yield Record(begun, fields, tuple(spanned) if len(spanned) > 1 else ())


def of_another_width(record: Record, layout: Layout) -> LineError:
    """Return the refusal of a record that is not as wide as the table."""
    return LineError(
        f"has {len(record.fields)} fields in line {record.line} and {layout.n_columns} in its first; every line must"
        " have as many"
    )


def first_fault(layout: Layout, open_lines: OpenLines, *, quoted: bool, nothing: frozenset[bytes]) -> None:
    """Refuse the first record that is not as wide as the table, has ids that are not UTF-8 or a rating that is none.

    Args:
        layout: how the table is written.
        open_lines: gives its lines after the header.
        quoted: quotes quote.
        nothing: texts that stand for a rating that is not there.

    Raises:
        LineError: that record.
    """
    for record in records(open_lines(), layout.delimiter, quoted=quoted, first_line=layout.first_line):
        if len(record.fields) != layout.n_columns:
            raise of_another_width(record, layout)
        for role, position in layout.positions.items():
            field = record.fields[position]
            if role == "rating":
                if field not in nothing and not is_number(field.strip()):
                    raise LineError(
                        f"has rating {field.decode(errors='replace')!r:.80} in line {record.line} (column"
                        f" {layout.names[role]!r}); ratings must be numbers, with a point and without thousands"
                        " separators: correct it, or leave ratings out with --rating-column none"
                    )
            elif not is_utf8(field):
                raise LineError(
                    f"is not UTF-8 text in line {record.line}; convert it first, or say what it is with --encoding"
                )


def line_of(layout: Layout, open_lines: OpenLines, row: int, *, quoted: bool) -> int:
    """Return the number of the line in which a row begins, rows counted from 0."""
    found = records(open_lines(), layout.delimiter, quoted=quoted, first_line=layout.first_line)
    return next(record.line for position, record in enumerate(found) if position == row)


def is_number(text: bytes) -> bool:
    """Tell whether a text is a number as tables have them."""
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and b"_" not in text


def is_utf8(text: bytes) -> bool:
    """Tell whether a text is UTF-8."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
