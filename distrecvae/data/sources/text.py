"""Reads how a text table begins, and its bytes as UTF-8: encoding, what precedes the header, the delimiter."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, cast

from distrecvae.data.ids import INVISIBLE
from distrecvae.data.sources.lines import LineError, physical_lines, records
from distrecvae.data.sources.opening import Part
from distrecvae.errors import DataError

DELIMITERS = (",", "\t", ";", "|")
_LONGEST_HEADER = 1 << 20
_SAMPLE, _SAMPLE_LINES = 1 << 16, 100
"""How much of a file tells how it begins, where it has so many lines in it."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LINE = re.compile(rb"[^\r\n]*(\r\n|\n|\r|\Z)")


@dataclass(frozen=True, kw_only=True)
class Text:
    """A text table, as far as it says how it is written.

    Attributes:
        part: where it lies.
        encoding: of its bytes.
        mark_bytes: bytes of the byte order mark.
        begins: bytes, as UTF-8, before the first record.
        first_line: the number of the line that the first record begins in.
        delimiter: one character, or `::`.
        names: the columns' names; None where it has no header.
        first: the first line's fields, header or not.
        quoted_header: a name is quoted.
        lines_a_byte: how many lines its beginning has, for its bytes as UTF-8.
    """

    part: Part
    encoding: str
    mark_bytes: int
    begins: int
    first_line: int
    delimiter: str
    names: tuple[str, ...] | None
    first: tuple[str, ...]
    quoted_header: bool
    lines_a_byte: float

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Yield the records as UTF-8 bytes.

        Raises:
            DataError: as `Part.open`, or the bytes are not of the encoding.
        """
        with _decoded(self.part, self.encoding, self.mark_bytes) as file:
            left = self.begins
            while left:
                left -= len(file.read(min(left, 1 << 20)))
            yield file

    def estimated_rows(self) -> int:
        """Return about how many records there are, by the size that is declared; 0 where none is."""
        n_bytes = self.part.size_bytes
        return 0 if n_bytes is None else int(n_bytes * self.lines_a_byte)

    def lines(self) -> Iterator[bytes]:
        """Yield the lines from the first record on, without their ends."""
        with self.open() as file:
            yield from physical_lines(file, self.first_line)


def text_of(
    part: Part,
    *,
    header: bool = True,
    delimiter: str | None = None,
    encoding: str | None = None,
    spaces: bool = False,
) -> Text:
    """Read how a table begins.

    Before the header may stand blank lines, Excel's `sep=;`, and comments after `#` or `%`.

    Args:
        part: the file.
        header: its first line names the columns; else it is the first record.
        delimiter: as told; None for the one that the first line has most of.
        encoding: as told; None for what the byte order mark says, or UTF-8.
        spaces: where the first line has no usual delimiter, a space is one.

    Raises:
        DataError: it is empty, not text, not of its encoding, or its first line is no header's length.
    """
    encoding, mark_bytes = (encoding, 0) if encoding else _encoding(part)
    with _decoded(part, encoding, mark_bytes) as file:
        head = file.read(_SAMPLE)
        if len(head) == _SAMPLE and head.count(b"\n") + head.count(b"\r") < _SAMPLE_LINES:
            head += file.read(_LONGEST_HEADER - _SAMPLE)
    if not head.strip():
        raise DataError(f"{part} is empty; it must hold a header line and interactions")
    if b"\0" in head:
        raise DataError(f"{part} is not text (it has zero bytes); give a CSV, TSV or Parquet file")
    at, number = 0, 1
    while True:
        match = _LINE.match(head, at)
        assert match is not None  # noqa: S101  (it matches the empty text)
        line = head[at : match.start(1)]
        if told := re.fullmatch(rb'\s*"?sep=(.)"?\s*', line, re.IGNORECASE) if delimiter is None else None:
            delimiter = told[1].decode("latin-1")
        elif line.strip() and not (header and line.lstrip()[:1] in b"#%" and match.end() < len(head)):
            break
        at, number = match.end(), number + 1
        if at >= len(head):
            raise DataError(f"{part} has no header; it must hold a header line and interactions")
    if not match[1] and len(head) == _LONGEST_HEADER:
        raise DataError(
            f"{part} has a line {number} of more than {_LONGEST_HEADER >> 20} MiB and it should name the columns; look"
            " at its line ends"
        )
    try:
        shown = line.decode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{part} is not UTF-8 text ({error.reason} at byte {error.start}); convert it first, or say what it is"
            " with --encoding"
        ) from error
    delimiter = delimiter or _delimiter(shown, spaces=spaces)
    found, n_lines = _first_record(head[at:], delimiter)
    fields = tuple(field.strip().strip(INVISIBLE).strip() for field in found)
    n_skipped = 0
    if header:
        end = at
        for _ in range(n_lines):
            match = _LINE.match(head, end)
            assert match is not None  # noqa: S101
            end = match.end()
        at, n_skipped = end, n_lines
    return Text(
        part=part,
        encoding=encoding,
        mark_bytes=mark_bytes,
        begins=at,
        first_line=number + n_skipped,
        delimiter=delimiter,
        names=fields if header else None,
        first=fields,
        quoted_header=header and b'"' in line,
        lines_a_byte=head.count(b"\n") / len(head),
    )


def _first_record(head: bytes, delimiter: str) -> tuple[list[str], int]:
    """Return the fields of the first record, and how many lines it has."""
    lines, between = physical_lines(io.BytesIO(head)), delimiter.encode()
    by_itself = [field.decode(errors="replace") for field in head.splitlines()[0].split(between)], 1
    try:
        record = next(records(lines, between, quoted=delimiter != "::"))
    except LineError:
        return by_itself
    if len({line.count(between) for line in record.spanned}) == 1 and between in record.spanned[0]:
        return by_itself  # lines as wide as each other are rows: a stray quote opens and another closes
    return [field.decode(errors="replace") for field in record.fields], max(len(record.spanned), 1)


def _delimiter(line: str, *, spaces: bool) -> str:
    """Return the delimiter that the line has most of, outside of quotes."""
    bare = re.sub(r'"[^"]*"', "", line)
    chosen = max(DELIMITERS, key=bare.count)
    if chosen not in bare and spaces and " " in bare.strip():
        return " "
    return chosen


def _encoding(part: Part) -> tuple[str, int]:
    """Return the encoding that the first bytes tell, and how many of them are its mark."""
    with part.open() as file:
        head = file.read(4096)
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding, len(mark)
    even, odd = head[::2].count(0), head[1::2].count(0)
    n_pairs = max(len(head) // 2, 1)
    for zeros, others, encoding in ((odd, even, "utf-16-le"), (even, odd, "utf-16-be")):
        if zeros > 0.7 * n_pairs and not others:  # Latin letters and digits, two bytes each
            return encoding, 0
    return "utf-8", 0


@contextmanager
def _decoded(part: Part, encoding: str, mark_bytes: int) -> Iterator[BinaryIO]:
    """Yield the bytes as UTF-8, without a byte order mark."""
    with part.open() as file:
        file.read(mark_bytes)
        if encoding == "utf-8":
            yield file
            return
        try:
            "".encode(encoding)  # of what is no encoding of text, such as base64, this fails
            decoder = codecs.getincrementaldecoder(encoding)()
        except (LookupError, TypeError, ValueError):
            raise DataError(
                f"encoding {encoding!r} is not known; try utf-8, latin-1, cp1252 or utf-16"
            ) from None
        try:
            yield cast(BinaryIO, io.BufferedReader(Recoded(file, decoder)))
        except UnicodeError as error:
            raise DataError(
                f"{part} is not {encoding} text ({str(error).splitlines()[0][:80]}); convert it first"
            ) from error


class Recoded(io.RawIOBase):
    """A file in another encoding, as UTF-8."""

    def __init__(self, file: BinaryIO, decoder: codecs.IncrementalDecoder, size: int = 1 << 20) -> None:
        self._file, self._decoder, self._size = file, decoder, size
        self._left = memoryview(b"")
        self._ended = False

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: object) -> int:
        """Fill `buffer` and return how many bytes it got; 0 at the end."""
        view = memoryview(cast(bytearray, buffer)).cast("B")
        while not self._left and not self._ended:
            chunk = self._file.read(self._size)
            self._ended = not chunk
            self._left = memoryview(self._decoder.decode(chunk, final=self._ended).encode())
        n = min(len(view), len(self._left))
        view[:n] = self._left[:n]
        self._left = self._left[n:]
        return n
