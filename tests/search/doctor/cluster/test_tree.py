"""Values of a file: whatever stands there, a rule gets what it asks for; what is wrong fits a line."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from distrecvae.search.doctor.cluster.tree import (
    LONGEST_VALUE,
    dig,
    folded,
    lacking,
    listed,
    mapping,
    number,
    text,
    unknown_keys,
    wrong,
)
from distrecvae.search.doctor.finding import Finding

FILE = {"a": {"b": [1], "c": "x", "d": 2, 5: True}}


def test_what_is_there_is_found() -> None:
    assert dig(FILE, "a", "c") == text(FILE, "a", "c") == "x"
    assert listed(FILE, "a", "b") == [1]
    assert number(FILE, "a", "d") == 2.0
    assert mapping(FILE, "a")["5"] is True, "keys are text"


@pytest.mark.parametrize("value", [None, 3, "x", [], [1], {}, {"a": None}, {"a": [{"b": 1}]}])
def test_what_is_not_is_empty(value: Any) -> None:
    assert dig(value, "a", "b") is None
    assert (mapping(value, "a", "b"), listed(value, "a", "b"), text(value, "a", "b")) == ({}, [], "")
    assert number(value, "a", "b") is None


def test_true_is_no_number() -> None:
    assert number({"a": True}, "a") is None


def test_what_is_wrong_is_said_in_a_line() -> None:
    assert wrong("s", "a.b", None, "it must", "do") == ("s", "a.b is missing: it must", "do")
    assert wrong("s", "a", 30.0, "r", "do").text == "a is 30: r"
    assert lacking("s", "a", "b", "r", "do").text == "a lacks b: r"
    long = wrong("s", "a", "x\ny" * 500, "r", "do").text
    assert "\n" not in long
    assert len(long) <= LONGEST_VALUE + len("a is : r")


def test_a_short_text_that_stands_for_more_than_a_memory_holds_is_shown_short() -> None:
    levels = "".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]\n" for i in range(1, 30))
    bomb = yaml.safe_load(f"l0: &l0 [x]\n{levels}")
    assert len(wrong("s", "a", bomb, "r", "do").text) < 200


def test_a_misspelt_key_is_told_its_name() -> None:
    (finding,) = unknown_keys("s", "p", {"regoin": 1, "zone": 2}, frozenset({"region", "zone"}), "Ray")
    assert finding == (
        "s",
        "p.regoin is 1: Ray knows no such key; did you mean 'region'?",
        "mend its name, or remove it",
    )


def test_findings_that_differ_in_their_place_alone_are_one() -> None:
    first, second, other = (
        Finding("s", text, "do") for text in ("a.b is 1: r", "c.d is 1: r", "c.d is 2: r")
    )
    assert folded([first, other, second, second]) == [
        first._replace(text="a.b is 1: r (and 2 more like it)"),
        other,
    ]
