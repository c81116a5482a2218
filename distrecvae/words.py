"""Says quantities as people write them: durations, sizes, counts, and an error in one line."""

from __future__ import annotations

import math
from typing import Any


def duration(seconds: float) -> str:
    """Return seconds as people write them: 42 s, 3 min 05 s, 2 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def to_go_in_brackets(seconds: float | None) -> str:
    """Return what is to go of something, as it stands behind the share that is done; empty where it is not known."""
    return "" if seconds is None else f" ({duration(seconds)} to go)"


def mib(size_bytes: int) -> str:
    """Return a size for trials and data sets: 1,536 MiB."""
    return f"{size_bytes / 2**20:,.0f} MiB"


def gib(size_bytes: int) -> str:
    """Return a size for machines: 23.5 GiB."""
    return f"{size_bytes / 2**30:,.1f} GiB"


def counted(number: int, one: str, many: str) -> str:
    """Return a number and what it counts: 1 trial, 1,200 trials."""
    return f"{number:,} {one if number == 1 else many}"


def short(value: Any) -> str:
    """Return a setting's value for a table: four digits of a number, a list in brackets."""
    if isinstance(value, list):
        return "[" + ",".join(short(each) for each in value) + "]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def with_error(mean: float | None, error: float | None, *, digits: int = 4) -> str:
    """Return a mean and its standard error: 0.4380 ± 0.0021; `n/a` where there is no mean, over no users.

    Args:
        mean: None, or not a number, where there is none.
        error: None, or not a number, where it is not known: the mean stands alone then.
        digits: of the error; the mean has four.
    """
    if mean is None or math.isnan(mean):
        return "n/a"
    return f"{mean:.4f}" + ("" if error is None or math.isnan(error) else f" ± {error:.{digits}f}")


def printable(text: str) -> str:
    """Return a text that does nothing to a terminal: control characters, and those that turn its direction, as escapes.

    Names of files and columns are anybody's.
    """
    return "".join(each if each.isprintable() or each in "\n\t" else ascii(each)[1:-1] for each in text)


LONGEST = 200
"""Characters of somebody else's error that are repeated in one of ours."""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text that says something, cut at `LONGEST` characters, or its type's name."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:LONGEST] if lines else type(error).__name__


def one_line(error: BaseException) -> str:
    """Return an error's whole text in one line, cut at `LONGEST` characters; its type's name where it has none."""
    return " ".join(str(error).split())[:LONGEST] or type(error).__name__
