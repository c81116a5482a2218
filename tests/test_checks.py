"""Checks: what counts as a number, and that a refusal says the name, the value as it was written, and the rule."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from distrecvae.checks import (
    is_number,
    is_whole,
    require_choice,
    require_flag,
    require_fraction,
    require_number,
    require_whole,
)
from distrecvae.errors import ConfigError

NOT_NUMBERS = [None, "1", True, False, math.nan, math.inf, -math.inf, 1j, [1]]
"""True is an int to Python, and YAML's `yes` is True: a flag in a number's place is a slip."""


def refusal(check: Callable[[], None]) -> str:
    with pytest.raises(ConfigError) as refused:
        check()
    return str(refused.value)


@pytest.mark.parametrize("value", [0, 1, -3, 2**70])
def test_ints_are_whole_and_numbers(value: int) -> None:
    assert is_whole(value)
    assert is_number(value)


@pytest.mark.parametrize("value", [0.0, -1.5, 1e300, np.float64(2.5)])
def test_floats_are_numbers_and_never_whole(value: float) -> None:
    assert is_number(value)
    assert not is_whole(value)
    assert not is_whole(2.0)


@pytest.mark.parametrize("value", NOT_NUMBERS)
def test_flags_texts_and_what_is_not_finite_are_no_numbers(value: object) -> None:
    assert not is_number(value)
    assert not is_whole(value)


def test_the_least_whole_number_passes() -> None:
    require_whole("n", 2, at_least=2)
    require_whole("n", -1, at_least=-1)


@pytest.mark.parametrize("value", [1, 2.0, *NOT_NUMBERS])
def test_anything_else_is_refused_with_its_name_its_value_and_the_rule(value: object) -> None:
    said = refusal(lambda: require_whole("n", value, at_least=2))
    assert said == f"n is {value!r}; it must be a whole number of at least 2"


def test_a_bound_is_itself_allowed_at_least_and_not_above() -> None:
    require_number("rate", 0, at_least=0)
    require_number("rate", 0.5, at_least=0.5)
    require_number("rate", 5e-324, above=0)  # the smallest float that is not zero
    said = refusal(lambda: require_number("rate", 0.0, above=0))
    assert said == "rate is 0.0; it must be a finite number above 0"
    said = refusal(lambda: require_number("rate", -5e-324, at_least=0))
    assert said == "rate is -5e-324; it must be a finite number at least 0"


@pytest.mark.parametrize("value", NOT_NUMBERS)
def test_what_is_no_number_is_refused_under_either_bound(value: object) -> None:
    said = refusal(lambda: require_number("rate", value, at_least=0))
    assert said == f"rate is {value!r}; it must be a finite number at least 0"
    said = refusal(lambda: require_number("rate", value, above=0))
    assert said == f"rate is {value!r}; it must be a finite number above 0"


@pytest.mark.parametrize("value", [0, 0.0, 0.5, math.nextafter(1, 0)])
def test_a_fraction_is_from_zero_to_below_one(value: float) -> None:
    require_fraction("dropout", value)


@pytest.mark.parametrize("value", [1, 1.0, -5e-324, *NOT_NUMBERS])
def test_no_fraction_is_refused(value: object) -> None:
    # A dropout of 1 leaves nothing to divide by; False is 0 to Python.
    said = refusal(lambda: require_fraction("dropout", value))
    assert said == f"dropout is {value!r}; it must be a number from 0 to below 1"


@pytest.mark.parametrize("value", [0, 1, None, "true", 1.0])
def test_a_flag_is_true_or_false_and_nothing_that_is_like_it(value: object) -> None:
    require_flag("joint", True)
    require_flag("joint", False)
    assert refusal(lambda: require_flag("joint", value)) == f"joint is {value!r}; it must be true or false"


def test_a_choice_is_one_of_those_that_are_listed_and_a_near_one_is_named() -> None:
    choices = ("dense", "mlp")
    for choice in choices:
        require_choice("architecture", choice, choices)
    said = refusal(lambda: require_choice("architecture", "Dense", choices))
    assert said == "architecture is 'Dense'; it must be one of dense, mlp; did you mean 'dense'?"


@pytest.mark.parametrize("value", ["", None, 3, []])
def test_what_is_near_nothing_is_refused_without_a_guess(value: object) -> None:
    said = refusal(lambda: require_choice("architecture", value, ("dense", "mlp")))
    assert said == f"architecture is {value!r}; it must be one of dense, mlp"


@pytest.mark.parametrize("huge", [10**400, -(10**400)])
def test_an_int_beyond_every_float_is_no_number(huge: int) -> None:
    # A search space's YAML may hold one: it was an OverflowError.
    assert not is_number(huge)
    with pytest.raises(ConfigError, match="must be a finite number"):
        require_number("x", huge, at_least=0)
