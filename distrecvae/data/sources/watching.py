"""Watches bytes while Arrow reads them: quotes and where they are, zero bytes, too many lines.

Whole-array work on each stretch of bytes, so that watching costs a fraction of parsing.
"""

from __future__ import annotations

import io
from typing import BinaryIO

import numpy as np

from distrecvae.errors import DataError

_QUOTE, _LF, _CR = 34, 10, 13


class Watched(io.RawIOBase):
    """A file that notes what it is read through it.

    Attributes:
        any_quote: it has a quote.
        misplaced: a quote stands where none may that quotes: within a field, or it is never closed.
        spans: a quoted text has a line end in it.
        any_zero: it has a zero byte.
    """

    def __init__(self, file: BinaryIO, delimiter: str, *, what: str, max_rows: int | None = None) -> None:
        self._file, self._what, self._max_rows = file, what, max_rows
        self._may_open = np.zeros(256, dtype=bool)
        self._may_open[[ord(delimiter[-1]), _LF, _CR, _QUOTE]] = True
        self._may_close = self._may_open.copy()
        self._inside = self._waits = False
        self._last = _LF
        self._n_lines = 0
        self.any_quote = self._misplaced = self.spans = self.any_zero = False

    @property
    def misplaced(self) -> bool:
        """Whether a quote stands where none may that quotes; to be asked at the end."""
        return self._misplaced or self._inside

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most `size`."""
        chunk = self._file.read(size)
        if chunk:
            self._note(chunk)
        return chunk

    def _note(self, chunk: bytes) -> None:
        if self._max_rows is not None:
            self._n_lines += chunk.count(b"\n")
            if self._n_lines > self._max_rows:
                raise DataError(
                    f"{self._what} has more than {self._max_rows:,} rows; raise --max-rows, or give a part of it"
                )
        if b"\0" in chunk:
            self.any_zero = True
        if self._waits and not self._may_close[chunk[0]]:
            self._misplaced = True
        self._waits = False
        if b'"' in chunk:
            self._note_quotes(np.frombuffer(chunk, dtype=np.uint8))
        elif self._inside and not self.spans:
            self.spans = b"\n" in chunk or b"\r" in chunk
        self._last = chunk[-1]

    def _note_quotes(self, content: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> None:
        self.any_quote = True
        quotes = np.flatnonzero(content == _QUOTE)
        first_opens = 1 if self._inside else 0
        opening, closing = quotes[first_opens::2], quotes[1 - first_opens :: 2]
        before = content[opening - 1]  # of the chunk's first byte it is its last one: put right below
        if opening.size and opening[0] == 0:
            before[0] = self._last
        if closing.size and closing[-1] == content.size - 1:
            self._waits, closing = True, closing[:-1]
        self._misplaced |= not (self._may_open[before].all() and self._may_close[content[closing + 1]].all())
        if not self.spans:
            ends = np.flatnonzero((content == _LF) | (content == _CR))
            # A line end is inside where the number of quotes before it, and whether one was open, says so.
            inside = (np.searchsorted(quotes, ends) + first_opens) % 2
            self.spans = bool(inside.any())
        self._inside = bool((quotes.size + first_opens) % 2)
