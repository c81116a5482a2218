"""A space is changed to a new one: only what was asked for differs, and what makes no sense is refused in a line."""

from __future__ import annotations

from typing import Any

import pytest

from distrecvae.errors import SpaceError
from distrecvae.models.recvae import RecVAEConfig
from distrecvae.search.space.changing import farther_end, fits, fitting_point, with_range, with_value
from distrecvae.search.space.distributions import Float, Int
from distrecvae.search.space.space import SearchSpace

SPACE = SearchSpace.load("recvae-demo")


def ranges(space: SearchSpace) -> dict[str, str]:
    return {name.split(" (")[0].strip(): text for name, text, _ in space.describe()}


def changed(space: SearchSpace) -> set[str]:
    before, after = ranges(SPACE), ranges(space)
    return {name for name in before if after.get(name) != before[name]}


def test_a_range_gets_other_ends_and_all_else_stays() -> None:
    before = SPACE.to_dict()
    narrow = with_range(SPACE, "dropout", (0.3, 0.5), wider=False, config_class=RecVAEConfig)
    assert changed(narrow) == {"dropout"}
    assert ranges(narrow)["dropout"] == "0.3 to 0.5"
    assert narrow.base == SPACE.base
    assert SPACE.to_dict() == before, "the old one is as it was"


def test_a_branchs_setting_is_found_by_its_own_name_and_one_end_may_stay() -> None:
    narrow = with_range(SPACE, "gamma", (0.003, None), wider=False, config_class=RecVAEConfig)
    assert changed(narrow) == {"gamma"}
    assert ranges(narrow)["gamma"].startswith("0.003 to ")
    wide = with_range(narrow, "gamma", (1e-5, 0.5), wider=True, config_class=RecVAEConfig)
    assert ranges(wide)["gamma"] == "1e-05 to 0.5, log"


def test_a_categorical_gets_other_choices() -> None:
    text = ranges(SPACE)["batch_size"]
    assert "|" in text
    first = int(text.split(" | ")[0])
    second = int(text.split(" | ")[1])
    narrow = with_range(SPACE, "batch_size", [first, second], wider=False, config_class=RecVAEConfig)
    assert ranges(narrow)["batch_size"] == f"{first} | {second}"
    wide = with_range(narrow, "batch_size", [first, second, 77], wider=True, config_class=RecVAEConfig)
    assert ranges(wide)["batch_size"] == f"{first} | {second} | 77"
    with pytest.raises(SpaceError, match="is not one of"):
        with_range(SPACE, "batch_size", [first, 77], wider=False)
    with pytest.raises(SpaceError, match="it keeps its choices"):
        with_range(SPACE, "batch_size", [first, 77], wider=True)


@pytest.mark.parametrize(
    ("field", "ends", "wider", "message"),
    [
        ("dropout", (0.0, 0.99), False, "is not narrower than .* or widen it"),
        ("dropout", (0.3, 0.4), True, "is not wider than .* or narrow it"),
        ("dropout", (0.5, 0.3), False, "low"),
        ("gamma", (0.0, 1.0), True, "log"),
        ("latent_dim", (16.5, 32), False, "whole numbers"),
        ("mixture_weights", (0.1, 0.2), False, "has no ends"),
        ("droput", (0.1, 0.2), False, "is not searched; did you mean 'dropout'"),
        ("dropout", (0.0, 2.5), True, "the model refuses"),
        ("dropout", (0.3,), False, "LOW:HIGH"),
    ],
)
def test_what_makes_no_sense_is_refused(field: str, ends: Any, wider: bool, message: str) -> None:
    with pytest.raises(SpaceError, match=message) as refused:
        with_range(SPACE, field, ends, wider=wider, config_class=RecVAEConfig)
    assert "\n" not in str(refused.value)


def test_a_narrow_range_need_not_hold_where_the_search_began() -> None:
    assert SPACE.base["dropout"] == 0.5
    narrow = with_range(SPACE, "dropout", (0.2, 0.4), wider=False, config_class=RecVAEConfig)
    assert "dropout" not in fitting_point(narrow, narrow.base)
    assert fitting_point(SPACE, SPACE.base) == SPACE.default_point()
    assert fits(SPACE, SPACE.base)
    assert not fits(narrow, narrow.base)


def test_a_setting_is_fixed_and_searched_no_more() -> None:
    fixed = with_value(SPACE, "batch_size", 64, config_class=RecVAEConfig)
    assert set(fixed.parameters) == set(SPACE.parameters) - {"batch_size"}
    assert fixed.base == {**SPACE.base, "batch_size": 64}
    branch = with_value(SPACE, "beta", 0.2, config_class=RecVAEConfig)
    assert "kl_weight" not in branch.parameters
    assert (branch.base["beta"], branch.base["gamma"]) == (0.2, None)


def test_what_cannot_be_fixed_is_refused() -> None:
    with pytest.raises(SpaceError, match="the model refuses"):
        with_value(SPACE, "batch_size", -1, config_class=RecVAEConfig)
    with pytest.raises(SpaceError, match="is not searched"):
        with_value(SPACE, "seed", 1)
    one = SearchSpace.from_mapping(
        {"model": "ease", "parameters": {"regularization": {"type": "float", "low": 5, "high": 500}}},
        model="ease",
    )
    (only,) = one.parameters
    with pytest.raises(SpaceError, match="nothing would be left to search"):
        with_value(one, only, 100.0)


@pytest.mark.parametrize(
    ("distribution", "smaller", "larger"),
    [
        (Int(1, 5), -1, 7),
        (Int(50, 400, step=50), -150, 600),
        (Int(1, 2), 0, 3),
        (Int(32, 500, log=True), 8, 1976),
        (Int(1, 2, log=True), 1, 3),
        (Float(0.0, 0.8), -0.4, 1.2),
        (Float(1e-4, 1e-2, log=True), 1e-5, 0.1),
        (Float(0.1, 0.7, step=0.2), -0.3, 1.1),
        (Float(0.5, 0.5002), 0.4999, 0.5003),
        (Float(1 / 3, 2 / 3), 0.167, 0.833),
    ],
)
def test_an_end_moves_by_half_of_the_width_in_whole_steps_and_three_digits(
    distribution: Int | Float, smaller: float, larger: float
) -> None:
    assert farther_end(distribution, "smaller", 0.5) == pytest.approx(smaller, rel=1e-12)
    assert farther_end(distribution, "larger", 0.5) == pytest.approx(larger, rel=1e-12)
    assert isinstance(farther_end(distribution, "larger", 0.5), type(distribution.high))
