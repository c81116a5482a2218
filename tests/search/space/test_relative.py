"""Ranges that know their data: amounts are read by a small grammar, resolved exactly, and refused in one line."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import optuna
import pytest

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import SpaceError
from distrecvae.search.space.parsing import parse, resolved
from distrecvae.search.space.relative import Relative, Sizes, has_amounts, is_relative, parse_amount

SMALL = Sizes(483, 5660, 38_000)
LARGE = Sizes(136_677, 20_108, 9_990_682)


def on(text: str, sizes: Sizes, unit: Fraction | None = None) -> Fraction:
    return parse_amount(text).on(sizes, unit)


def test_sizes_are_those_of_the_training_users() -> None:
    train = InteractionMatrix(np.array([0, 2, 2, 3], np.int64), np.array([0, 4, 1], np.int32), 5)
    assert Sizes.of(train) == Sizes(users=3, items=5, interactions=3)
    assert Sizes.of(train).to_dict() == {"users": 3, "items": 5, "interactions": 3}
    assert SMALL.text() == "483 training users, 5,660 items, 38,000 interactions"


@pytest.mark.parametrize(
    ("text", "small", "large"),
    [
        ("users", 483, 136_677),
        ("users/400", Fraction(483, 400), Fraction(136_677, 400)),
        ("  users / 400 ", Fraction(483, 400), Fraction(136_677, 400)),
        ("items*0.1", 566, Fraction(20_108, 10)),
        ("0.1 * items", 566, Fraction(20_108, 10)),
        ("interactions/1e3", 38, Fraction(9_990_682, 1000)),
        ("users/400 at least 16", 16, Fraction(136_677, 400)),
        ("users/400 at most 250 at least 16", 16, 250),
        ("users/12 rounded to 50", 50, 11_400),
        ("users/4 rounded to 50", 100, 34_150),  # 120.75 and 34,169.25
        ("users/4 at most 110 rounded to 50", 100, 100),
        ("users/400 at least 16 rounded to 10", 20, 340),
        ("users/9.66 rounded to 20", 60, 14_140),  # 50.0000: a half goes up; 14,148.7
    ],
)
def test_an_amount_is_worked_out_exactly(text: str, small: Fraction, large: Fraction) -> None:
    assert on(text, SMALL) == small
    assert on(text, LARGE) == large


def test_what_is_not_said_how_to_round_is_rounded_as_its_range_takes_it() -> None:
    assert on("users/400", SMALL, Fraction(1)) == 1
    assert on("users/4", SMALL, Fraction(50)) == 100
    assert on("users/4 rounded to 10", SMALL, Fraction(50)) == 120


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("user/400", "is 'user/400'; write a number, or users, items or interactions, times or divided"),
        ("users/", "write a number"),
        ("users/400/2", "write a number"),
        ("400/users", "write a number"),
        ("users-1", "write a number"),
        ("users/-4", "write a number"),
        ("users/nan", "write a number"),
        ("users/1e999", "write a number"),
        ("users**2", "write a number"),
        ("__import__('os').getcwd()", "write a number"),
        ("users/400 at least", "write a number"),
        ("users/400 at least items", "write a number"),
        ("", "write a number"),
        ("users/0", "what a size is multiplied or divided by must be greater than 0"),
        ("users*0.0", "what a size is multiplied or divided by must be greater than 0"),
        ("users/4 at least 2 at least 3", "'at least' may stand there once"),
        ("users/4 rounded to 0", "what it is rounded to must be greater than 0"),
        ("users/4 at least 3 at most 2", "what is at least 3 is not at most 2"),
    ],
)
def test_anything_else_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(SpaceError) as refused:
        parse_amount(text)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_bounds_without_a_multiple_between_them_are_refused() -> None:
    with pytest.raises(
        SpaceError, match=r"^'users at least 12 at most 18 rounded to 10' allows no multiple of 10"
    ):
        on("users at least 12 at most 18 rounded to 10", SMALL)


def test_text_among_choices_is_an_amount_only_if_a_size_is_multiplied_or_divided() -> None:
    assert is_relative("users/4")
    assert is_relative("3 * items")
    assert not is_relative("users")
    assert not is_relative("items and users")
    assert not is_relative(3)
    assert not has_amounts({"type": "categorical", "choices": ["users", "items"]})
    assert has_amounts({"type": "categorical", "choices": [16, "users/4"]})


def resolve(raw: dict[str, Any], sizes: Sizes, start: Any = None) -> dict[str, Any]:
    distribution = parse("p", raw)
    assert isinstance(distribution, Relative)
    return resolved("p", distribution, sizes, start).to_dict()


BATCH = {"type": "int", "low": "users/400 at least 16", "high": "users/12", "log": True}


@pytest.mark.parametrize(
    ("raw", "start", "small", "large"),
    [
        (BATCH, None, (16, 40), (342, 11_390)),
        (BATCH, 20, (16, 40), (20, 11_390)),  # the start belongs to every range
        (BATCH, 500, (16, 500), (342, 11_390)),
        ({"type": "int", "low": 8, "high": "users/12"}, 500, (8, 500), (8, 11_390)),
        ({"type": "int", "low": 50, "high": "items/10", "step": 50}, None, (50, 550), (50, 2000)),
        ({"type": "float", "low": "users/1e3", "high": 1e6, "log": True}, None, (0.483, 1e6), (136.677, 1e6)),
        ({"type": "float", "low": 0, "high": "users/100", "step": 0.5}, None, (0, 5), (0, 1367)),
    ],
)
def test_ends_are_numbers_on_a_data_set(
    raw: dict[str, Any], start: Any, small: tuple[float, float], large: tuple[float, float]
) -> None:
    for sizes, ends in ((SMALL, small), (LARGE, large)):
        form = resolve(raw, sizes, start)
        assert (form["low"], form["high"]) == ends
        assert {type(form["low"]), type(form["high"])} == {int if raw["type"] == "int" else float}
        assert form["log"] is raw.get("log", False)


def test_an_end_that_is_a_number_stays_where_it_is() -> None:
    form = resolve({"type": "int", "low": 64, "high": "users/4"}, SMALL, 32)
    assert form["low"] == 64  # so a start outside of it is refused when the space is checked, as ever


def test_choices_are_in_order_none_twice_and_have_the_start() -> None:
    raw = {"type": "categorical", "choices": ["users/4", 16, "users/100 at least 16"]}
    assert resolve(raw, SMALL)["choices"] == [16, 121]
    assert resolve(raw, SMALL, 500)["choices"] == [16, 121, 500]
    assert resolve(raw, LARGE, 500)["choices"] == [16, 500, 1367, 34_169]
    words = {"type": "categorical", "choices": ["none", "users/4"]}
    assert resolve(words, SMALL, "none")["choices"] == ["none", 121]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"type": "int", "low": "users/4k", "high": 5}, "p: low is 'users/4k'; write a number, or users"),
        ({"type": "int", "low": 1, "high": "user"}, "p: high is 'user'; write a number"),
        ({"type": "float", "low": "usrs/4", "high": 5}, "p: low is 'usrs/4'"),
        ({"type": "categorical", "choices": [1, "users/0"]}, "p: choice is 'users/0'"),
        ({"type": "int", "low": "users", "high": 5, "stp": 1}, "p: unknown key 'stp' for type int"),
        ({"type": "int", "low": "users", "high": 5, "step": 2, "log": True}, "step and log: true exclude"),
        ({"type": "int", "low": "users", "high": "items", "step": -2}, "step is -2"),
        ({"type": "int", "low": "users", "high": 5.5}, "low is 5.5; an int distribution takes whole"),
        ({"type": "int", "low": "users", "high": None}, "must be whole numbers"),
        ({"type": "float", "low": 0, "high": "items", "log": True}, "low is 0; with log: true"),
        ({"type": "categorical", "choices": ["users/4", [1]]}, "choice [1] is neither number, text"),
        ({"type": "int", "low": "users"}, "type int needs 'high'"),
    ],
)
def test_what_can_be_told_without_data_is_refused_when_it_is_read(raw: dict[str, Any], message: str) -> None:
    with pytest.raises(SpaceError) as refused:
        parse("p", raw)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (
            {"type": "int", "low": "users/2", "high": "items/100"},
            "p: low users/2 is 242, above high items/100, 57, with 483 training users, 5,660 items, 38,000"
            " interactions; bound them with 'at most' and 'at least'",
        ),
        ({"type": "int", "low": "users/1000", "high": 5}, "p: low users/1000 is 0 with 483 training users"),
        ({"type": "int", "low": "users/4 rounded to 0.25", "high": 500}, "p: low is 120.75; an int"),
        ({"type": "int", "low": 20, "high": "users", "step": 50}, "is not low 20 plus a multiple of step 50"),
        (
            {"type": "int", "low": "users at least 3 at most 4", "high": 500, "step": 5},
            "p: low 'users at least 3 at most 4' allows no multiple of 5",
        ),
    ],
)
def test_what_makes_no_sense_on_the_data_is_refused_there(raw: dict[str, Any], message: str) -> None:
    with pytest.raises(SpaceError) as refused:
        resolve(raw, SMALL)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_relative_range_says_itself_and_draws_nothing() -> None:
    range_ = parse("p", BATCH)
    assert range_.text() == "users/400 at least 16 to users/12, log"
    assert (
        parse("p", {"type": "int", "low": 50, "high": "users", "step": 50}).text() == "50 to users, step 50"
    )
    assert isinstance(range_, Relative)
    assert range_.asked("p", SMALL) == "users/400 at least 16 (16) to users/12 (40)"
    choices = parse("p", {"type": "categorical", "choices": [8, "users/4"]})
    assert isinstance(choices, Relative)
    assert choices.text() == "8 | users/4"
    assert choices.asked("p", SMALL) == "8 | users/4 (121)"
    assert parse("p", range_.to_dict()) == range_
    assert range_.flatten("p", 3) == {"p": 3}
    assert range_.ends() == ()
    with pytest.raises(SpaceError, match=r"^p: users/400 .* depends on the data; take SearchSpace.resolved"):
        range_.suggest(optuna.trial.FixedTrial({"p": 3}), "p")
    with pytest.raises(SpaceError, match="depends on the data"):
        range_.internal("p", 3)
    with pytest.raises(SpaceError, match="depends on the data"):
        range_.middle()


def test_a_range_of_numbers_is_the_same_on_all_data() -> None:
    plain = parse("p", {"type": "int", "low": 1, "high": 9})
    assert resolved("p", plain, SMALL, 20) is plain
