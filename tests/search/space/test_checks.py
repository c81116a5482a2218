"""A space is held to the model's config class: its names, types and ranges, so that no trial is refused midway."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from distrecvae.errors import ConfigError, SpaceError
from distrecvae.search.space.checks import base_config, check_against_model
from distrecvae.search.space.parameters import parse_parameter
from tests.search.space.net import KL, Net

WHOLE = {"type": "int", "low": 1, "high": 2}


def checked(
    parameters: Mapping[str, Any],
    *,
    fixed: Mapping[str, Any] | None = None,
    default: Mapping[str, Any] | None = None,
    config_class: type = Net,
) -> dict[str, Any]:
    """Return the start of the space, as `SearchSpace` has it, if the model takes the whole of it."""
    parsed = {name: parse_parameter(name, raw) for name, raw in parameters.items()}
    base = base_config(config_class, parsed, fixed or {}, default or {})
    check_against_model(config_class, parsed, base)
    return base


def refusal(parameters: Mapping[str, Any], **sections: Any) -> str:
    with pytest.raises(SpaceError) as caught:
        checked(parameters, **sections)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestBase:
    def test_default_goes_over_fixed_over_the_classs_own(self) -> None:
        base = checked(
            {"size": {"type": "int", "low": 1, "high": 99}}, fixed={"rate": 0.5}, default={"size": 7}
        )
        assert base == {
            "size": 7,
            "rate": 0.5,
            "gamma": 0.005,
            "beta": None,
            "weights": [0.15, 0.75, 0.1],
            "residual": True,
        }
        assert list(base) == [each.name for each in dataclasses.fields(Net)], "in the class's order"

    def test_it_goes_through_json_unchanged(self) -> None:
        """Tuples, which JSON has not, are lists, however deep."""

        @dataclass(frozen=True)
        class Deep:
            layers: tuple[tuple[int, ...], ...] = ((1, 2), (3,))

        base = checked({}, config_class=Deep)
        assert base == {"layers": [[1, 2], [3]]}
        assert json.loads(json.dumps(base)) == base
        assert checked({}, fixed={"layers": [(4,)]}, config_class=Deep) == {"layers": [[4]]}

    def test_a_default_may_be_made_by_a_factory(self) -> None:
        @dataclass(frozen=True)
        class Made:
            layers: list[int] = field(default_factory=lambda: [8, 8])

        assert checked({}, config_class=Made) == {"layers": [8, 8]}

    def test_a_field_without_a_default_must_be_given(self) -> None:
        @dataclass(frozen=True)
        class Demanding:
            size: int

        said = "size: the model has no default for it; give one under fixed or default"
        assert refusal({}, config_class=Demanding) == said
        assert refusal({"size": WHOLE}, config_class=Demanding) == said
        assert checked({}, fixed={"size": 3}, config_class=Demanding) == {"size": 3}
        assert checked({"size": WHOLE}, default={"size": 2}, config_class=Demanding) == {"size": 2}

    def test_what_the_class_computes_for_itself_is_no_parameter(self) -> None:
        @dataclass
        class Computing:
            size: int = 1
            twice: int = field(init=False, default=2)

        assert checked({}, config_class=Computing) == {"size": 1}
        assert (
            refusal({"twice": WHOLE}, config_class=Computing)
            == "twice: unknown parameter; the model has size"
        )

    def test_a_model_without_parameters_says_so(self) -> None:
        @dataclass(frozen=True)
        class Nothing:
            pass

        assert checked({}, config_class=Nothing) == {}
        assert (
            refusal({"size": WHOLE}, config_class=Nothing)
            == "size: unknown parameter; the model has no parameters"
        )

    def test_a_field_in_two_entries_is_refused_and_in_two_branches_taken(self) -> None:
        again = {"type": "one_of", "branches": {"gamma": KL["branches"]["gamma"], "off": {}}}
        assert refusal({"kl": KL, "other": again}) == "gamma: is given twice, in kl and in other; keep one"
        wide = {"gamma": {"type": "float", "low": 0.1, "high": 1}}
        branches = {**KL["branches"], "wide": wide}
        assert checked({"kl": {"type": "one_of", "branches": branches}})["gamma"] == 0.005


@pytest.mark.parametrize(
    ("parameters", "sections", "message"),
    [
        ({"sise": WHOLE}, {}, "sise: unknown parameter; did you mean 'size'?"),
        ({"zzz": WHOLE}, {}, "the model has size, rate, gamma, beta"),
        (
            {"size": {"type": "int", "low": 1, "high": 2000}},
            {},
            "size: the model refuses size=2000: size=2000 must be at most",
        ),
        (
            {"size": {"type": "int", "low": 1, "high": 32}},
            {},
            "default: size: 64 is not in the range 1 to 32",
        ),
        (
            {"size": {"type": "int", "low": 5, "high": 95, "step": 10}},
            {},
            "default: size: 64 is not in the range",
        ),
        (
            {"size": {"type": "float", "low": 1, "high": 99}},
            {},
            "size: 1.0 is in the range, but the model takes int",
        ),
        (
            {"rate": {"type": "categorical", "choices": [0.01, "x"]}},
            {},
            "rate: 'x' is in the range, but the model takes float",
        ),
        ({"rate": {"type": "float", "low": 0, "high": 1}}, {}, "rate: the model refuses rate=0.0"),
        (
            {"residual": {"type": "int", "low": 0, "high": 1}},
            {},
            "residual: 0 is in the range, but the model takes bool",
        ),
        ({"gamma": {"type": "categorical", "choices": [0.005, None]}}, {}, "gamma: the model refuses null"),
        (
            {"weights": {"type": "simplex", "components": ["a", "b"]}},
            {},
            "weights: 2 components, but the model takes 3 weights",
        ),
        (
            {"rate": {"type": "simplex", "components": ["a", "b"]}},
            {},
            "rate: a simplex gives a list of weights, but",
        ),
        ({}, {"fixed": {"sise": 1}}, "fixed: unknown parameter 'sise'; did you mean 'size'?"),
        ({}, {"default": {"sise": 1}}, "default: unknown parameter 'sise'; did you mean 'size'?"),
        ({}, {"default": {"size": 32}}, "default: size is not searched; move it to fixed"),
        ({}, {"fixed": {"size": 2000}}, "default: the model refuses it: size=2000"),
        (
            {"size": {"type": "int", "low": 1, "high": 99}},
            {"fixed": {"size": 1}},
            "size: is both fixed and searched; keep one",
        ),
        (
            {"kl": KL},
            {"default": {"beta": 0.1}},
            "default: kl: exactly one branch must be set and the others null: gamma",
        ),
        (
            {"kl": KL, "gamma": {"type": "float", "low": 0, "high": 1}},
            {},
            "gamma: is given twice, in kl and in gamma",
        ),
        ({"size": KL}, {}, "size: a one_of needs a name of its own"),
        (
            {"kl": {"type": "one_of", "branches": {"a": {"size": WHOLE}, "b": {}}}},
            {},
            "size: None is in the range, but the model takes int",
        ),
    ],
)
def test_what_the_model_cannot_be_given_is_refused(
    parameters: dict[str, Any], sections: dict[str, Any], message: str
) -> None:
    assert message in refusal(parameters, **sections)


class TestModel:
    def test_it_is_built_at_every_end_of_every_range_and_at_the_start(self) -> None:
        built: list[tuple[int, float, str]] = []

        @dataclass(frozen=True)
        class Recording:
            size: int = 4
            rate: float = 0.5
            kind: str = "b"

            def __post_init__(self) -> None:
                built.append((self.size, self.rate, self.kind))

        checked(
            {
                "size": {"type": "int", "low": 2, "high": 9},
                "rate": {"type": "float", "low": 0.1, "high": 0.9},
                "kind": {"type": "categorical", "choices": ["a", "b", "c"]},
            },
            config_class=Recording,
        )
        one_at_a_time = {
            (2, 0.5, "b"), (9, 0.5, "b"), (4, 0.1, "b"), (4, 0.9, "b"), (4, 0.5, "a"), (4, 0.5, "c"), (4, 0.5, "b"),
        }  # fmt: skip
        assert set(built) == one_at_a_time

    @pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.5, 2.5)])
    def test_one_bad_end_of_a_branch_is_enough(self, low: float, high: float) -> None:
        @dataclass(frozen=True)
        class Narrow:
            share: float | None = 0.75
            count: int | None = None

            def __post_init__(self) -> None:
                if self.share is not None and not 0 < self.share < 2:
                    raise ConfigError(f"share={self.share} must lie between 0 and 2")

        branches = {
            "count": {"count": WHOLE},
            "share": {"share": {"type": "float", "low": low, "high": high}},
        }
        bad = low if low == 0 else high
        said = refusal({"how": {"type": "one_of", "branches": branches}}, config_class=Narrow)
        # What the branch leaves unset is not shown: it is null for any of its values.
        assert said == f"how: the model refuses share={bad}: share={bad} must lie between 0 and 2"

    @pytest.mark.parametrize("error", [ValueError, TypeError, ConfigError])
    def test_its_refusal_is_said_in_one_line_whatever_the_error(self, error: type[Exception]) -> None:
        @dataclass(frozen=True)
        class Wordy:
            size: int = 1

            def __post_init__(self) -> None:
                raise error("too large\n   for words")

        assert refusal({}, config_class=Wordy) == "default: the model refuses it: too large for words"

    def test_it_gets_tuples_where_the_space_has_lists(self) -> None:
        @dataclass(frozen=True)
        class Strict:
            weights: tuple[float, float] = (0.5, 0.5)

            def __post_init__(self) -> None:
                if not isinstance(self.weights, tuple):
                    raise ConfigError("weights must be a tuple")

        checked({"weights": {"type": "simplex", "components": ["a", "b"]}}, config_class=Strict)

    def test_the_start_may_lie_on_either_end(self) -> None:
        for start in (1, 64):
            checked({"size": {"type": "int", "low": 1, "high": 64}}, default={"size": start})


class TestTypes:
    @dataclass(frozen=True)
    class Typed:
        number: float = 1.0
        maybe: int | None = None
        older: typing.Optional[int] = None  # noqa: UP045  (another class than the new spelling's)
        literal: typing.Literal["a", "b"] = "a"
        anything: Any = 0

    @pytest.mark.parametrize(
        ("name", "choices"),
        [
            ("number", [1.0, 2]),  # a whole number is a number
            ("maybe", [None, 3]),
            ("older", [None, 3]),
            ("literal", ["a", "c"]),  # only plain annotations are judged; the rest is the config's to refuse
            ("anything", [0, "x", True, None]),
        ],
    )
    def test_fit(self, name: str, choices: list[Any]) -> None:
        checked({name: {"type": "categorical", "choices": choices}}, config_class=self.Typed)

    @pytest.mark.parametrize(
        ("name", "choices", "message"),
        [
            ("number", [2.5, True], "number: True is in the range, but the model takes float"),
            ("number", [1.0, None], "number: None is in the range, but the model takes float"),
            ("maybe", [None, 0.5], "maybe: 0.5 is in the range, but the model takes int | None"),
            ("older", [None, True], "older: True is in the range, but the model takes"),
            ("maybe", [None, "3"], "maybe: '3' is in the range"),
        ],
    )
    def test_do_not_fit(self, name: str, choices: list[Any], message: str) -> None:
        assert message in refusal(
            {name: {"type": "categorical", "choices": choices}}, config_class=self.Typed
        )


class TestSimplex:
    @dataclass(frozen=True)
    class Weighted:
        pair: tuple[float, float] | None = None
        older: typing.Optional[tuple[float, float]] = None  # noqa: UP045
        many: tuple[float, ...] | None = None
        ragged: tuple[float, ...] = (0.5, 0.25, 0.25)

    @staticmethod
    def branch(name: str, components: int) -> dict[str, Any]:
        weights = {"type": "simplex", "components": list("abcd"[:components])}
        return {"how": {"type": "one_of", "branches": {"off": {}, "on": {name: weights}}}}

    @pytest.mark.parametrize("name", ["pair", "older"])
    def test_the_annotation_says_how_many_weights_where_the_start_has_none(self, name: str) -> None:
        checked(self.branch(name, 2), config_class=self.Weighted)
        said = refusal(self.branch(name, 3), config_class=self.Weighted)
        assert said == f"{name}: 3 components, but the model takes 2 weights"

    def test_a_tuple_of_any_length_says_nothing(self) -> None:
        said = "many: a simplex gives a list of weights, but this parameter is a single value"
        assert refusal(self.branch("many", 2), config_class=self.Weighted) == said

    def test_but_the_start_may(self) -> None:
        three = {"type": "simplex", "components": ["a", "b", "c"]}
        checked({"ragged": three}, config_class=self.Weighted)
        two = {"type": "simplex", "components": ["a", "b"]}
        said = "ragged: 2 components, but the model takes 3 weights"
        assert refusal({"ragged": two}, config_class=self.Weighted) == said
