"""Owns what counts as a number in a search space: finite, and never a bool."""

from __future__ import annotations

import math

Scalar = None | bool | int | float | str


def is_whole(value: object) -> bool:
    """Tell whether `value` is an int, and not a bool."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Tell whether `value` is a finite int or float, and not a bool."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
