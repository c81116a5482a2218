"""Checks values: what counts as a number, and refusals of one line that say the value and the rule."""

from __future__ import annotations

import math
from collections.abc import Sequence

from distrecvae.errors import ConfigError, nearest

Scalar = None | bool | int | float | str
"""What a cell of a table holds."""


MOST = 2**53
"""Whole numbers beyond this are not told apart by a float64."""


def is_whole(value: object) -> bool:
    """Tell whether `value` is an int, and not a bool."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Tell whether `value` is a finite int or float that a float can hold, and not a bool."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an int of hundreds of digits
        return False


def require_whole(name: str, value: object, *, at_least: int) -> None:
    """Refuse anything but an int of `at_least` or more; what a float64 cannot tell from its neighbour is no count."""
    if isinstance(value, int) and value > MOST:
        raise ConfigError(f"{name} is a whole number beyond {MOST}; give a smaller one")
    if not isinstance(value, int) or isinstance(value, bool) or value < at_least:
        raise ConfigError(f"{name} is {value!r}; it must be a whole number of at least {at_least}")


def require_number(
    name: str, value: object, *, at_least: float | None = None, above: float | None = None
) -> None:
    """Refuse anything but a finite number of `at_least` or more, or greater than `above`."""
    rule = f"at least {at_least}" if at_least is not None else f"above {above}"
    if isinstance(value, int | float) and is_number(value):
        low = (at_least is not None and value < at_least) or (above is not None and value <= above)
        if not low:
            return
    raise ConfigError(f"{name} is {value!r}; it must be a finite number {rule}")


def require_fraction(name: str, value: object) -> None:
    """Refuse anything but a number in 0 <= value < 1."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1:
        raise ConfigError(f"{name} is {value!r}; it must be a number from 0 to below 1")


def require_flag(name: str, value: object) -> None:
    """Refuse anything but True and False."""
    if not isinstance(value, bool):
        raise ConfigError(f"{name} is {value!r}; it must be true or false")


def require_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Refuse anything but one of `choices`."""
    if value not in choices:
        raise ConfigError(
            f"{name} is {value!r}; it must be one of {', '.join(choices)}{nearest(str(value), choices)}"
        )
