"""The moments at which a table is divided: as given, among the times that it has. Needs NumPy alone."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from distrecvae.errors import DataError

Float64Array = npt.NDArray[np.float64]

# Numbers of seconds since 1970 are below the first of these for 3,000 years, of milliseconds below the next.
_UNITS = ((1e11, 1.0), (1e14, 1e3), (1e17, 1e6), (math.inf, 1e9))


def moment(text: str | float, times: Float64Array, option: str) -> float:
    """Return a moment as it is written among `times`.

    A date is in UTC where it says no zone. Where the source's times are numbers, a date is taken to be in their unit:
    seconds, milli-, micro- or nanoseconds since 1970, by how large they are.

    Args:
        text: a number in the source's unit, a date, or a share of the interactions such as "90%": where the last tenth
            begins.
        times: (n_rows,), none of them NaN.
        option: what it was given by, for messages.

    Raises:
        DataError: it is none of these.
    """
    written = str(text).strip()
    try:
        if written.endswith("%"):
            share = float(written[:-1]) / 100
            if not 0 < share < 1:
                raise DataError(f"{option} {written}: a share lies between 0% and 100%")
            return float(np.partition(times, at := math.ceil(share * times.size) - 1)[at])
        number = float(written)
        if 0 < number < 1 and not times.min() < number <= times.max():
            raise DataError(
                f"{option} {written} is read as a time, not as a fraction, and no time in the data is near it; for a"
                f" share give {100 * number:.6g}%, for a time a date or a number in the unit of the times"
            )
        if math.isfinite(number):
            return number
    except ValueError:
        pass
    try:
        at_utc = datetime.fromisoformat(written)
    except ValueError:
        raise DataError(
            f"{option} {written!r} is not a moment; give a date such as 2015-03-31, a number in the unit of the times,"
            " or a share of the interactions such as 90%"
        ) from None
    seconds = (at_utc if at_utc.tzinfo else at_utc.replace(tzinfo=UTC)).timestamp()
    largest = float(np.abs(times).max())
    return seconds * next(per_second for bound, per_second in _UNITS if largest < bound)


def written(time: float, times: Float64Array) -> str:
    """Return a time for people: as a date too, where `times` are since 1970."""
    largest = float(np.abs(times).max())
    per_second = next(per_second for bound, per_second in _UNITS if largest < bound)
    if largest / per_second < 1e8:  # before 1973: hours of a day, numbers in a row
        return f"{time:.15g}"
    return f"{datetime.fromtimestamp(time / per_second, UTC):%Y-%m-%d %H:%M:%S} ({time:.15g})"
