"""Two models over the same users: the textbook's error, its paired test, and the cases that say nothing."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from scipy import special

from distrecvae.paired import Gain, paired_gain


def test_mean_error_and_p_are_the_textbooks() -> None:
    best, other = np.random.default_rng(0).random((2, 500))
    found = paired_gain(best, other)
    differences = [float(a) - float(b) for a, b in zip(best, other, strict=True)]
    mean = math.fsum(differences) / 500
    error = math.sqrt(math.fsum((d - mean) ** 2 for d in differences) / 499) / math.sqrt(500)
    # The t-distribution's two tails by the incomplete beta function, Abramowitz and Stegun 26.7.1.
    t = mean / error
    p_value = special.betainc(499 / 2, 1 / 2, 499 / (499 + t * t))
    assert found.mean == pytest.approx(mean)
    assert found.standard_error == pytest.approx(error)
    assert found.p_value == pytest.approx(p_value)
    turned = paired_gain(other, best)
    assert (turned.mean, turned.p_value) == pytest.approx((-found.mean, found.p_value))


def test_equal_values_are_no_gain_and_no_chance_gives_less() -> None:
    values = np.array([0.5, 0.25, 0.0])
    assert paired_gain(values, values.copy()) == Gain(0.0, 0.0, 1.0)


def test_a_gain_that_is_the_same_for_every_user_is_no_chance() -> None:
    values = np.array([0.5, 0.25, 0.0])
    assert paired_gain(values + 0.25, values) == Gain(0.25, 0.0, 0.0)
    rounded = paired_gain(values + 0.1, values)  # the differences differ in their last bits
    assert rounded.mean == pytest.approx(0.1)
    assert rounded.p_value < 1e-20


def test_a_single_user_tells_nothing_of_others_and_none_nothing_at_all() -> None:
    assert paired_gain(np.array([0.5]), np.array([0.25])) == Gain(0.25, 0.0, 1.0)
    none = paired_gain(np.zeros(0), np.zeros(0))
    assert math.isnan(none.mean), "a mean over no users is not a number"
    assert (none.standard_error, none.p_value) == (0.0, 1.0)


def test_two_users_are_enough_for_an_error_and_a_chance() -> None:
    found = paired_gain(np.array([0.5, 0.75]), np.array([0.25, 0.25]))
    # Differences of 1/4 and 1/2: with one degree of freedom, p is 1 - 2/pi * arctan(t), and t is 3.
    assert (found.mean, found.standard_error) == pytest.approx((0.375, 0.125))
    assert found.p_value == pytest.approx(1 - 2 / math.pi * math.atan(3))


def test_what_the_caller_wants_to_be_warned_of_stays_as_it_was() -> None:
    before = list(warnings.filters)
    paired_gain(np.array([0.5, 0.25]), np.array([0.25, 0.5]))
    assert list(warnings.filters) == before


def test_what_is_not_a_number_is_not_hidden() -> None:
    found = paired_gain(np.array([0.5, math.nan, 0.25]), np.array([0.25, 0.0, 0.5]))
    assert all(math.isnan(value) for value in (found.mean, found.standard_error, found.p_value))
