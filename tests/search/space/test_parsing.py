"""Distributions from YAML: what each may hold and leave out, and a refusal that names parameter and rule."""

from __future__ import annotations

import math
from typing import Any

import pytest

from distrecvae.errors import SpaceError
from distrecvae.search.space.distributions import Categorical, Distribution, Float, Int
from distrecvae.search.space.parsing import TYPES, parse
from distrecvae.search.space.simplex import Simplex


@pytest.mark.parametrize(
    ("raw", "distribution"),
    [
        ({"type": "int", "low": 1, "high": 5}, Int(1, 5, 1, log=False)),
        ({"type": "int", "low": 1, "high": 5, "step": None, "log": True}, Int(1, 5, 1, log=True)),
        ({"type": "int", "low": 1, "high": 5, "step": 1, "log": True}, Int(1, 5, 1, log=True)),
        ({"type": "int", "low": -4, "high": 4, "step": 4}, Int(-4, 4, 4)),
        ({"type": "int", "low": 3, "high": 3}, Int(3, 3)),  # one value is a range, too
        ({"type": "float", "low": 0, "high": 1}, Float(0.0, 1.0, None, log=False)),
        ({"type": "float", "low": 1e-5, "high": 1.0, "step": None, "log": True}, Float(1e-5, 1.0, log=True)),
        ({"type": "float", "low": 0, "high": 2, "step": 1}, Float(0.0, 2.0, 1.0)),
        ({"type": "float", "low": -1.5, "high": -1.5}, Float(-1.5, -1.5)),
        (
            {"type": "categorical", "choices": [None, True, "x", 0.5, 3]},
            Categorical((None, True, "x", 0.5, 3)),
        ),
        ({"type": "categorical", "choices": ["only"]}, Categorical(("only",))),
        ({"type": "simplex", "components": ["a", "b"]}, Simplex(("a", "b"), (1.0, 1.0))),
        (
            {"type": "simplex", "components": ["a", "b", "c"], "concentration": 2},
            Simplex(("a", "b", "c"), (2.0, 2.0, 2.0)),
        ),
        (
            {"type": "simplex", "components": ["a", "b"], "concentration": [1, 0.5]},
            Simplex(("a", "b"), (1.0, 0.5)),
        ),
    ],
)
def test_what_is_left_out_has_its_default(raw: dict[str, Any], distribution: Distribution) -> None:
    parsed = parse("p", raw)
    assert parsed == distribution
    # 1 == 1.0 == True, and Optuna and the model's annotations tell them apart.
    assert repr(parsed) == repr(distribution)


def test_every_type_is_known_by_name() -> None:
    assert TYPES == ("int", "float", "categorical", "simplex", "one_of")
    with pytest.raises(
        SpaceError, match=r"^p: has no type; choose from int, float, categorical, simplex, one_of$"
    ):
        parse("p", {})
    with pytest.raises(SpaceError, match=r"^p: unknown type 'zzz'; choose from int, .*, one_of$"):
        parse("p", {"type": "zzz"})


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (3, "3 is not a distribution"),
        ({"low": 1, "high": 2}, "has no type"),
        ({"type": "flaot", "low": 1, "high": 2}, "unknown type 'flaot'; did you mean 'float'?"),
        ({"type": ["int"], "low": 1}, "unknown type"),
        ({"type": "float", "lo": 1, "high": 2}, "unknown key 'lo' for type float; did you mean 'low'?"),
        (
            {"type": "float", "low": 1, "high": 2, "choices": [1]},
            "unknown key 'choices' for type float; it takes",
        ),
        ({"type": "int", "low": 1}, "type int needs 'high'"),
        ({"type": "int", "low": 1.0, "high": 2}, "low is 1.0; an int distribution takes whole numbers"),
        ({"type": "int", "low": 1, "high": True}, "high is True"),
        ({"type": "int", "low": 1, "high": None}, "must be whole numbers"),
        ({"type": "int", "low": 3, "high": 2}, "low 3 is greater than high 2; swap them"),
        (
            {"type": "int", "low": 0, "high": 2, "log": True},
            "low is 0; with log: true it must be greater than 0",
        ),
        ({"type": "int", "low": 1, "high": 8, "step": 0}, "step is 0; it must be greater than 0"),
        (
            {"type": "int", "low": 1, "high": 9, "step": 4, "log": True},
            "step and log: true exclude each other",
        ),
        ({"type": "int", "low": 1, "high": 8, "step": 3}, "high 8 is not low 1 plus a multiple of step 3"),
        ({"type": "int", "low": 1, "high": 8, "step": 0.5}, "step is 0.5; an int distribution takes whole"),
        ({"type": "int", "low": -8, "high": 8, "log": True}, "low is -8; with log: true"),
        ({"type": "float", "low": 1, "high": None}, "high is None; it must be a finite number"),
        ({"type": "float", "low": 0, "high": 1, "step": math.nan}, "step is nan; it must be a finite number"),
        (
            {"type": "int", "low": 1, "high": 9223372036854775807000},
            "high is 9223372036854775807000; whole numbers",
        ),
        (
            {"type": "int", "low": 1, "high": 10**400},
            "high is a number of 1329 bits; whole numbers lie within",
        ),
        (
            {"type": "float", "low": 0.1, "high": 0.5, "step": 1e-300},
            "step 1e-300 divides low 0.1 to high 0.5",
        ),
        ({"type": "float", "low": 0, "high": 1e300, "step": 1}, "step 1 divides"),
        ({"type": "float", "low": 1, "high": 2, "step": 0}, "step is 0; it must be greater than 0"),
        ({"type": "float", "low": 1, "high": 2, "log": None}, "log is None; it must be true or false"),
        ({"type": "float", "low": 2, "high": 1}, "low 2 is greater than high 1; swap them"),
        ({"type": "float", "low": "1e", "high": 2}, "low is '1e'; write a number, or users, items"),
        ({"type": "float", "low": math.nan, "high": 2}, "low is nan; it must be a finite number"),
        ({"type": "float", "low": 1, "high": math.inf}, "high is inf; it must be a finite number"),
        ({"type": "float", "low": False, "high": 2}, "low is False"),
        ({"type": "float", "low": 0.0, "high": 2, "log": True}, "low is 0.0; with log: true"),
        ({"type": "float", "low": 1, "high": 2, "log": 1}, "log is 1; it must be true or false"),
        (
            {"type": "float", "low": 1, "high": 2, "step": 1, "log": True},
            "step and log: true exclude each other",
        ),
        ({"type": "float", "low": 0, "high": 1, "step": -0.1}, "step is -0.1"),
        (
            {"type": "float", "low": 0, "high": 1, "step": 0.3},
            "high 1 is not low 0 plus a multiple of step 0.3",
        ),
        ({"type": "categorical", "choices": []}, "it must be a list of at least one value"),
        ({"type": "categorical", "choices": "abc"}, "it must be a list"),
        ({"type": "categorical", "choices": [1, 2, 1]}, "choice 1 is given twice"),
        ({"type": "categorical", "choices": [1, True]}, "choice True is given twice"),
        ({"type": "categorical"}, "type categorical needs 'choices'"),
        ({"type": "categorical", "choices": ["a", math.inf]}, "choice inf is not a finite number"),
        ({"type": "categorical", "choices": [[1, 2]]}, "choice [1, 2] is neither number, text"),
        ({"type": "categorical", "choices": [math.nan]}, "choice nan is not a finite number"),
        ({"type": "simplex", "components": ["a"]}, "needs at least 2 components, this one has 1"),
        ({"type": "simplex"}, "type simplex needs 'components'"),
        ({"type": "simplex", "components": ["a", ""]}, "it must be a list of names"),
        ({"type": "simplex", "components": ["a", 1]}, "it must be a list of names"),
        (
            {"type": "simplex", "components": ["a", "b"], "concentration": [1, -1]},
            "concentration is -1; it must be a finite number greater than 0",
        ),
        ({"type": "simplex", "components": ["a", "b"], "concentration": math.inf}, "concentration is inf"),
        ({"type": "simplex", "components": ["a", "b"], "concentration": True}, "concentration is True"),
        ({"type": "simplex", "components": ["a", "b"], "concentration": None}, "concentration is None"),
        ({"type": "simplex", "components": ["a", "b"], "low": 1}, "unknown key 'low' for type simplex"),
        ({"type": "simplex", "components": 3}, "components is 3; it must be a list of names"),
        ({"type": "simplex", "components": ["a", "a"]}, "component 'a' is given twice"),
        ({"type": "simplex", "components": ["a", "b"], "concentration": 0}, "concentration is 0; it must be"),
        (
            {"type": "simplex", "components": ["a", "b"], "concentration": [1]},
            "1 concentrations for 2 components",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(raw: object, message: str) -> None:
    with pytest.raises(SpaceError) as refusal:
        parse("rate", raw)
    assert str(refusal.value).startswith("rate: ")
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_steps_that_binary_fractions_miss_are_taken() -> None:
    """0.1 + 6 * 0.1 is not 0.7 in binary; the check counts in decimals, as the file does."""
    assert parse("p", {"type": "float", "low": 0.1, "high": 0.7, "step": 0.1}) == Float(0.1, 0.7, step=0.1)
    assert parse("p", {"type": "float", "low": 1e-5, "high": 5e-5, "step": 2e-5}) == Float(
        1e-5, 5e-5, step=2e-5
    )
    with pytest.raises(
        SpaceError, match=r"high 0.75 is not low 0.1 plus a multiple of step 0.1; it would never"
    ):
        parse("p", {"type": "float", "low": 0.1, "high": 0.75, "step": 0.1})
