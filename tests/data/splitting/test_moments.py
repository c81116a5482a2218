"""Moments as they are told: dates in the unit of the times, numbers, shares."""

from __future__ import annotations

import numpy as np
import pytest

from distrecvae.data.splitting.moments import moment, written
from distrecvae.errors import DataError

BEGINNING_OF_2015 = 1_420_070_400.0


@pytest.mark.parametrize("unit", [1.0, 1e3, 1e6, 1e9])
def test_a_date_is_a_moment_in_the_unit_of_the_times(unit: float) -> None:
    times = np.array([BEGINNING_OF_2015, BEGINNING_OF_2015 + 10_000_000]) * unit
    assert moment("2015-02-01", times, "--test-from") == (BEGINNING_OF_2015 + 31 * 86_400) * unit
    assert (
        moment("2015-02-01T01:00:00+01:00", times, "--test-from") == (BEGINNING_OF_2015 + 31 * 86_400) * unit
    )
    assert written(times[0], times) == f"2015-01-01 00:00:00 ({times[0]:.15g})"


def test_a_number_and_a_share_are_moments() -> None:
    times = np.array([5.0, 1.0, 4.0, 2.0, 3.0])
    assert moment(3, times, "--valid-from") == 3.0
    assert moment("3.5", times, "--valid-from") == 3.5
    # The last fifth begins with 5: four of five came before.
    assert moment("80%", times, "--valid-from") == 4.0
    assert written(3.0, times) == "3"
    for wrong, message in (
        ("120%", "a share lies between"),
        ("soon", "not a moment"),
        ("nan", "not a moment"),
    ):
        with pytest.raises(DataError, match=message):
            moment(wrong, times, "--valid-from")


def test_a_fraction_is_not_a_moment_of_1970_but_refused_with_the_share_that_is_meant() -> None:
    """`--valid-from 0.9` was a second in 1970, and the message spoke of dates that nobody had given."""
    times = np.array([BEGINNING_OF_2015, BEGINNING_OF_2015 + 10_000_000])
    with pytest.raises(
        DataError, match=r"^--valid-from 0\.9 is read as a time, not as a fraction, .* give 90%,"
    ):
        moment("0.9", times, "--valid-from")
    with pytest.raises(DataError, match=r"^--test-from 0\.95 is read as a time, .* give 95%"):
        moment(0.95, times, "--test-from")
    # Among times from 0 to 1 it is a moment like any other.
    assert moment("0.9", np.array([0.0, 0.5, 1.0]), "--valid-from") == 0.9
