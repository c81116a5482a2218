"""Words for quantities: rounded as a person would, plural where it is due, and an error never more than one line."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrecvae.words import (
    LONGEST,
    counted,
    duration,
    first_line,
    gib,
    mib,
    one_line,
    printable,
    short,
    with_error,
)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (42, "42 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),  # never "60 s"
        (60, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h 00 min"),  # never "60 min 00 s"
        (3600, "1 h 00 min"),
        (7800, "2 h 10 min"),
        (7859, "2 h 10 min"),
        (7860, "2 h 11 min"),
        (90_000, "25 h 00 min"),
    ],
)
def test_a_duration_is_said_as_people_write_it(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@given(st.floats(0, 1e7))
def test_a_duration_read_back_is_near_what_it_was(seconds: float) -> None:
    of = {"s": 1, "min": 60, "h": 3600}
    parts = duration(seconds).split()
    numbers, units = parts[::2], parts[1::2]
    assert abs(sum(int(n) * of[unit] for n, unit in zip(numbers, units, strict=True)) - seconds) <= (
        60 if "h" in units else 0.5
    )
    assert all(int(n) < 60 for n, unit in zip(numbers, units, strict=True) if unit != "h")


def test_trials_and_data_sets_are_in_whole_mib_and_machines_in_tenths_of_gib() -> None:
    assert mib(1536 << 20) == "1,536 MiB"
    assert mib((1536 << 20) + (1 << 19) + 1) == "1,537 MiB"
    assert mib(0) == "0 MiB"
    assert gib(47 << 29) == "23.5 GiB"
    assert gib(2048 << 30) == "2,048.0 GiB"
    assert gib(1 << 26) == "0.1 GiB"


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 trials"), (1, "1 trial"), (2, "2 trials"), (1200, "1,200 trials")]
)
def test_one_is_one_and_everything_else_is_many(number: int, said: str) -> None:
    assert counted(number, "trial", "trials") == said


def test_a_plural_is_as_given() -> None:
    assert counted(3, "pass", "passes") == "3 passes"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.00123456, "0.001235"),
        (12345.678, "1.235e+04"),
        (1.0, "1"),
        (1e-9, "1e-09"),
        (12345678, "12345678"),  # whole numbers are settings that somebody may type again
        (True, "True"),
        (None, "None"),
        ("dense", "dense"),
        ([600, 0.123456, "a"], "[600,0.1235,a]"),
        ([[1, 2], []], "[[1,2],[]]"),
        (float("nan"), "nan"),
    ],
)
def test_a_setting_is_short_enough_for_a_table(value: object, said: str) -> None:
    assert short(value) == said


@pytest.mark.parametrize(
    ("error", "first", "one"),
    [
        (ValueError("all of it"), "all of it", "all of it"),
        (ValueError("head\n  and\ttail\n"), "head", "head and tail"),
        (ValueError("head\r\ntail"), "head", "head tail"),
        (ValueError(), "ValueError", "ValueError"),
        (ValueError(""), "ValueError", "ValueError"),
        (ValueError("\ntail"), "tail", "tail"),
        (KeyboardInterrupt(), "KeyboardInterrupt", "KeyboardInterrupt"),
    ],
)
def test_an_error_is_one_line_and_never_nothing(error: BaseException, first: str, one: str) -> None:
    assert first_line(error) == first
    assert one_line(error) == one


def test_an_error_of_space_alone_says_its_kind() -> None:
    assert one_line(ValueError(" \n ")) == "ValueError"
    assert first_line(ValueError(" \n ")) == "ValueError"


def test_names_do_nothing_to_a_terminal() -> None:
    assert printable("user\x1b[31m\x07, \u202ename\n\té€") == "user\\x1b[31m\\x07, \\u202ename\n\té€"


def test_a_long_error_is_cut_where_the_line_would_be_too_long() -> None:
    just, over = "x" * LONGEST, "x" * LONGEST + "y"
    for said in (first_line, one_line):
        assert said(ValueError(just)) == just
        assert said(ValueError(over)) == just


@given(st.text(max_size=3 * LONGEST))
def test_whatever_an_error_says_it_fits_a_line(text: str) -> None:
    for said in (first_line(RuntimeError(text)), one_line(RuntimeError(text))):
        assert len(said.splitlines()) == 1
        assert len(said) <= LONGEST


@pytest.mark.parametrize(
    ("mean", "error", "said"),
    [
        (0.43804, 0.00214, "0.4380 ± 0.0021"),
        (0.0, 0.0, "0.0000 ± 0.0000"),
        (0.5, None, "0.5000"),
        (None, None, "n/a"),
        (math.nan, math.nan, "n/a"),  # never 0, and never "nan ± nan"
    ],
)
def test_a_mean_is_said_with_its_error_or_not_at_all(
    mean: float | None, error: float | None, said: str
) -> None:
    assert with_error(mean, error) == said


def test_an_error_has_as_many_digits_as_are_asked_for() -> None:
    assert with_error(0.25, 0.00149, digits=3) == "0.2500 ± 0.001"
