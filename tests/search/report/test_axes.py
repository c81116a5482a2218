"""Values lie on their axis as they are searched, and every column of a space has its axis."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from distrecvae.search.report.axes import Axis, axes, label_of, stretched, triangles
from distrecvae.search.space.parameters import parse_parameter
from distrecvae.search.space.space import SearchSpace, available_spaces
from tests.search.reported import SIZES


def space_of(parameters: dict[str, Any], base: dict[str, Any]) -> SearchSpace:
    """A space of no model: nothing is checked against one."""
    return SearchSpace("toy", {name: parse_parameter(name, raw) for name, raw in parameters.items()}, base)


def branches(**fields: dict[str, Any]) -> dict[str, Any]:
    """Two branches, of which both have the first field, each with its own distribution."""
    return {"type": "one_of", "branches": fields}


def test_values_lie_on_their_axis_as_they_are_searched() -> None:
    log = Axis("rate", "rate", 1e-4, 1e-2, log=True)
    assert [log.place(v) for v in (1e-4, 1e-3, 1e-2, None)] == pytest.approx([0, 0.5, 1, None])
    kinds = Axis("kind", "kind", 0, 2, choices=("a", "none", "true"))
    assert [kinds.place(v) for v in ("a", None, True, "other")] == [0, 0.5, 1, None]
    assert Axis("fixed", "fixed", 3, 3).place(3) == 0.5


def test_numbers_that_are_not_searched_in_the_logarithm_lie_in_proportion() -> None:
    axis = Axis("width", "width", 10, 30)
    assert [axis.place(v) for v in (10, 15, 30, None)] == [0, 0.25, 1, None]


def test_a_range_of_one_value_has_no_place_for_no_value() -> None:
    assert Axis("fixed", "fixed", 3, 3).place(None) is None


def test_a_single_choice_lies_at_the_low_end() -> None:
    assert Axis("kind", "kind", 0, 0, choices=("a",)).place("a") == 0


def test_the_ends_are_named_as_values_are() -> None:
    assert Axis("rate", "rate", 1e-4, 0.0123456, log=True).end_labels() == ("0.0001", "0.01235")
    assert Axis("kind", "kind", 0, 2, choices=("a", "b", "none")).end_labels() == ("a", "none")


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (True, "true"), (False, "false"), (None, "none"), (1, "1"), (0, "0"), (123456, "123456"),
        (0.123456, "0.1235"), (1e-5, "1e-05"), (2.0, "2"), ("text", "text"),
    ],
)  # fmt: skip
def test_a_value_is_written_in_four_digits_and_a_flag_in_words(value: object, label: str) -> None:
    assert label_of(value) == label


@pytest.mark.parametrize("name", available_spaces())
def test_every_column_of_a_space_has_an_axis_on_which_the_start_and_all_extremes_lie(name: str) -> None:
    space = SearchSpace.load(name).resolved(SIZES)
    found = axes(space)
    assert [axis.name for axis in found] == list(space.names())
    assert {axis.parameter for axis in found} <= set(space.parameters)
    for values in ({}, *(v for p in space.parameters.values() for v in p.extremes())):
        columns = space.flatten({**space.base, **values})
        for axis in found:
            place = axis.place(columns[axis.name])
            assert place is None or -1e-9 <= place <= 1 + 1e-9, (axis, columns)
            assert (place is None) == (columns[axis.name] is None), (axis, columns)


def test_an_axis_has_the_range_that_is_searched() -> None:
    space = space_of(
        {
            "rate": {"type": "float", "low": 1e-4, "high": 1.0, "log": True},
            "width": {"type": "int", "low": 8, "high": 64},
            "flag": {"type": "categorical", "choices": [True, False]},
            "weights": {"type": "simplex", "components": ["x", "y"]},
        },
        {"rate": 0.1, "width": 8, "flag": True, "weights": [0.5, 0.5]},
    )
    assert axes(space) == [
        Axis("rate", "rate", 1e-4, 1.0, log=True),
        Axis("width", "width", 8, 64),
        Axis("flag", "flag", 0, 1, choices=("true", "false")),
        Axis("weights.x", "weights", 0.0, 1.0),
        Axis("weights.y", "weights", 0.0, 1.0),
    ]


def test_a_branches_fields_belong_to_the_entry_that_chooses_among_them() -> None:
    gamma = {"type": "float", "low": 0.1, "high": 1.0, "log": True}
    weights = {"type": "simplex", "components": ["x", "y", "z"]}
    space = space_of(
        {"kl": branches(gamma={"gamma": gamma}, mixed={"weights": weights}, none={})},
        {"gamma": 0.5, "weights": None},
    )
    assert axes(space) == [
        Axis("kl", "kl", 0, 2, choices=("gamma", "mixed", "none")),
        Axis("gamma", "kl", 0.1, 1.0, log=True),
        *(Axis(f"weights.{name}", "kl", 0.0, 1.0) for name in "xyz"),
    ]


@pytest.mark.parametrize("logs", [(False, False), (True, False), (False, True), (True, True)])
def test_a_field_of_two_branches_has_one_axis_over_both_ranges(logs: tuple[bool, bool]) -> None:
    first, second = (
        {"type": "float", "low": low, "high": high, "log": log}
        for (low, high), log in zip(((0.1, 2.0), (0.5, 3.0)), logs, strict=True)
    )
    space = space_of(
        {"way": branches(up={"a": first}, down={"a": second, "b": second})}, {"a": 1.0, "b": None}
    )
    _, a, b = axes(space)
    # In the logarithm only where both are: a range from 0 has none.
    assert a == Axis("a", "way", 0.1, 3.0, log=all(logs))
    assert b == Axis("b", "way", 0.5, 3.0, log=logs[1])
    swapped = space_of(
        {"way": branches(up={"a": second}, down={"a": first, "b": second})}, {"a": 1.0, "b": None}
    )
    assert axes(swapped)[1] == a


def test_choices_of_two_branches_are_listed_once_each_in_order() -> None:
    one, other = ({"type": "categorical", "choices": choices} for choices in (["a", "b"], ["b", "c"]))
    space = space_of({"way": branches(up={"k": one}, down={"k": other, "l": one})}, {"k": "a", "l": None})
    assert axes(space)[1] == Axis("k", "way", 0, 2, choices=("a", "b", "c"))


def test_nothing_searched_has_no_axes() -> None:
    space = SearchSpace.load("popularity")
    assert (axes(space), triangles(space)) == ([], {})


def test_three_weights_have_a_triangle_wherever_they_stand_and_two_or_four_have_none() -> None:
    simplex = {n: {"type": "simplex", "components": list("wxyz")[:n]} for n in (2, 3, 4)}
    space = space_of(
        {
            "two": simplex[2],
            "three": simplex[3],
            "four": simplex[4],
            "way": branches(up={"inner": simplex[3]}, no={}),
        },
        {"two": [0.5] * 2, "three": np.full(3, 1 / 3).tolist(), "four": [0.25] * 4, "inner": None},
    )
    assert triangles(space) == {
        "three": ("three.w", "three.x", "three.y"),
        "inner": ("inner.w", "inner.x", "inner.y"),
    }
    assert {column for columns in triangles(space).values() for column in columns} <= set(space.names())


def test_an_axis_is_as_long_as_its_trials_need_where_a_range_was_widened() -> None:
    axis = Axis("rate", "rate", 1e-4, 1e-2, log=True)
    longer = stretched(axis, [1e-3, 5e-2, None])
    assert (longer.low, longer.high, longer.log) == (1e-4, 5e-2, True)
    assert stretched(axis, [1e-3, None]) == axis
    assert stretched(axis, []) == axis
    kinds = Axis("kind", "kind", 0, 1, choices=("1", "2"))
    assert stretched(kinds, [1, 2, 3]) == kinds
