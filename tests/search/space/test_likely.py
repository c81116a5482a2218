from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from distrecvae.errors import SpaceError
from distrecvae.search.space.changing import with_value
from distrecvae.search.space.likely import Likely, expected, parse_likely
from distrecvae.search.space.parameters import parse_parameter
from distrecvae.search.space.relative import Sizes
from distrecvae.search.space.space import SearchSpace, available_spaces
from tests.search.space.net import KL, Net

PARAMETERS: dict[str, Any] = {
    "size": {"type": "int", "low": 16, "high": 128},
    "rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
    "kl_weight": KL,
    "weights": {"type": "simplex", "components": ["standard", "previous", "wide"]},
    "residual": {"type": "categorical", "choices": [True, False]},
}
PARSED = {name: parse_parameter(name, raw) for name, raw in PARAMETERS.items()}


def space_of(likely: Any, parameters: dict[str, Any] = PARAMETERS) -> SearchSpace:
    content = {"model": "net", "parameters": parameters, "likely": likely}
    return SearchSpace.from_mapping(content, config_class=Net)


def on(likely: dict[str, Any], users: int) -> dict[str, tuple[float, float | None]]:
    return expected(parse_likely(likely, PARSED), PARSED, Sizes(users, 50, 1000))


def test_a_value_is_named_as_optuna_names_its_parameter() -> None:
    likely = {"rate": {"at": 1e-3, "within": 10}, "size": {"at": 40}, "gamma": {"at": 5e-3}}
    assert on(likely, 7) == {
        "rate": (1e-3, 10.0),
        "size": (40.0, None),
        "kl_weight/gamma/gamma": (5e-3, None),
    }


def test_between_two_sizes_it_is_interpolated_and_beyond_them_held() -> None:
    likely = {
        "rate": {"at": {"10000 users": 1e-4, "100 users": 1e-2}},
        "size": {"at": {"100 users": 20, "10000 users": 100}},
    }
    small, large = (1e-2, 20), (1e-4, 100)
    for users, (rate, size) in (
        (1, small),
        (100, small),
        (1000, (1e-3, 60)),
        (10_000, large),
        (10**9, large),
    ):
        found = on(likely, users)
        # Logarithms and exponentials in float64.
        assert found["rate"][0] == pytest.approx(rate, rel=1e-12), (
            "a logarithmic range: of the value's logarithm"
        )
        assert found["size"][0] == pytest.approx(size, rel=1e-12)


def test_between_three_sizes_the_nearest_two_count() -> None:
    likely = Likely(((10, 1.0), (100, 2.0), (1000, 10.0)), "items")
    assert likely.on(Sizes(1, 316, 1), log=False) == pytest.approx(2 + 8 * math.log10(3.16), rel=1e-12)
    assert likely.on(Sizes(1, 100, 1), log=False) == 2.0


def test_other_sizes_count_as_well() -> None:
    likely = {"size": {"at": {"10 items": 20, "90 items": 100}}}
    assert on(likely, 3)["size"][0] == pytest.approx(20 + 80 * math.log(5) / math.log(9))


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"rates": {"at": 1}}, "likely: rates is not searched; did you mean 'rate'?"),
        ({"weights": {"at": 1}}, "likely: weights is no range of numbers; leave it out"),
        ({"residual": {"at": 1}}, "likely: residual is no range of numbers; leave it out"),
        ({"rate": 1e-3}, "likely: rate is 0.001; write for example {at: 0.001, within: 10} or"),
        ({"rate": {"at": 1e-3, "near": 3}}, "likely: rate is {'at': 0.001, 'near': 3}; write for example"),
        ({"rate": {"within": 3}}, "write for example"),
        ({"rate": {"at": 0}}, "likely: rate: 0 must be a number greater than 0, for its range is logarithmic"),
        ({"rate": {"at": True}}, "likely: rate: True must be a number greater than 0"),
        ({"size": {"at": math.nan}}, "likely: size: nan must be a finite number"),
        ({"size": {"at": "40"}}, "likely: size: '40' must be a finite number"),
        ({"rate": {"at": 1e-3, "within": 1}}, "likely: rate: within is 1; it must be a factor greater than 1"),
        ({"size": {"at": 40, "within": 0}}, "likely: size: within is 0; it must be a difference greater than 0"),
        ({"size": {"at": {"300": 40}}}, "likely: size: at is {'300': 40}; write a number, or values by size as in"),
        ({"size": {"at": {"300 people": 40}}}, "write a number, or values by size"),
        ({"size": {"at": {"300 users": 40, "9 items": 50}}}, "write a number, or values by size"),
        ({"size": {"at": {}}}, "write a number, or values by size"),
        ({"size": {"at": {"0 users": 40}}}, "sizes are at least 1 and differ"),
        ({"size": {"at": {"10 users": 40, " 10  users": 50}}}, "sizes are at least 1 and differ"),
    ],
)  # fmt: skip
def test_what_breaks_a_rule_is_refused(raw: dict[str, Any], said: str) -> None:
    with pytest.raises(SpaceError) as refused:
        space_of(raw)
    assert said in str(refused.value)


def test_a_space_keeps_it_and_needs_the_data_only_where_it_depends_on_that() -> None:
    fixed = space_of({"rate": {"at": 1e-3, "within": 10}})
    assert not fixed.relative
    assert SearchSpace.from_dict(fixed.to_dict()) == fixed
    by_users = space_of({"rate": {"at": {"100 users": 1e-2, "10000 users": 1e-4}}})
    assert by_users.relative
    sizes = Sizes(1000, 50, 5000)
    there = by_users.resolved(sizes, config_class=Net)
    assert not there.relative
    assert there.expected()["rate"][0] == pytest.approx(1e-3)
    assert there.resolved(Sizes(7, 7, 7), config_class=Net) == there, "what was resolved stays as it is"
    assert SearchSpace.from_dict(there.to_dict()) == there
    assert "likely" not in space_of({}).to_dict(), "a space of an earlier version is the same as before"


def test_what_is_no_longer_searched_is_no_longer_expected() -> None:
    space = space_of({"rate": {"at": 1e-3}, "size": {"at": 40}})
    changed = with_value(space, "rate", 2e-3)
    assert list(changed.expected()) == ["size"]
    assert SearchSpace.from_dict(changed.to_dict()) == changed
    assert replace(space, likely={}).expected() == {}


def test_the_packaged_spaces_expect_what_their_ranges_nearly_hold() -> None:
    expecting = 0
    for name in available_spaces():
        space = SearchSpace.load(name)
        for users in (50, 500, 5000, 500_000):
            there = space.resolved(Sizes(users, 5000, 100 * users))
            expecting += bool(there.expected())
            # More than ten times beyond a range would be a mistake of units.
            for place, (value, _) in there.expected().items():
                ranges = dict(leaf for parameter in there.parameters.values() for leaf in parameter.leaves())
                low, high = ranges[place.split("/")[-1]].ends()
                assert low / 10 < value < 10 * high, (name, place, value)
    assert expecting
