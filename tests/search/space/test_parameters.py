"""The entries of a space: one field each, or branches of which one counts and all are drawn."""

from __future__ import annotations

import json
import pickle
from typing import Any

import optuna
import pytest
from optuna.trial import FixedTrial

from distrecvae.errors import SpaceError
from distrecvae.search.space.distributions import Categorical, Float, Int
from distrecvae.search.space.parameters import OneOf, Parameter, Setting, parse_parameter
from distrecvae.search.space.simplex import Simplex
from tests.search.space.net import KL

SIZE = Setting("size", Int(16, 128, 16))
MIXED = OneOf(
    {
        "narrow": {"gamma": Float(0.0, 0.01), "width": Int(1, 9)},
        "off": {},
        "wide": {"gamma": Float(0.01, 1.0), "mix": Simplex(("a", "b"), (1.0, 1.0))},
    }
)
UNSET = {"gamma": None, "width": None, "mix": None}


def random_trial(seed: int) -> optuna.Trial:
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)).ask()


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


class TestEveryEntry:
    @pytest.mark.parametrize("entry", [SIZE, MIXED], ids=["setting", "one_of"])
    def test_its_mapping_and_its_pickle_make_it_again(self, entry: Parameter) -> None:
        form = json.loads(json.dumps(entry.to_dict()))
        assert parse_parameter("size", form) == entry
        assert pickle.loads(pickle.dumps(entry)) == entry  # noqa: S301  (our own)

    @pytest.mark.parametrize("entry", [SIZE, MIXED], ids=["setting", "one_of"])
    def test_a_draw_goes_back_to_parameters_that_give_it_again(self, entry: Parameter) -> None:
        for seed in range(30):
            config = entry.suggest(random_trial(seed), "p")
            assert set(config) == set(entry.fields)
            again = entry.suggest(FixedTrial(entry.internal("p", config)), "p")
            assert again.pop("mix", None) == pytest.approx(config.pop("mix", None), abs=1e-12)
            assert again == config


class TestSetting:
    def test_is_one_field_and_its_distribution(self) -> None:
        # A field that has the entry's name in a config of other fields.
        config = {"other": 1, "size": 64}
        assert SIZE.fields == ("size",)
        assert SIZE.suggest(FixedTrial({"size": 32}), "size") == {"size": 32}
        assert SIZE.internal("size", config) == {"size": 64}
        assert list(SIZE.extremes()) == [{"size": 16}, {"size": 128}]
        assert SIZE.flatten("size", config) == {"size": 64}
        assert SIZE.to_dict() == {"type": "int", "low": 16, "high": 128, "step": 16, "log": False}

    @pytest.mark.parametrize(
        ("entry", "value", "row"),
        [
            (SIZE, 64, ("p", "16 to 128, step 16", "64")),
            (Setting("p", Float(0.0, 1.0)), 1 / 3, ("p", "0 to 1", "0.333333")),
            (Setting("p", Float(1e-6, 1.0, log=True)), 1e-5, ("p", "1e-06 to 1, log", "1e-05")),
            (
                Setting("p", Categorical((True, False, None, "x"))),
                True,
                ("p", "true | false | null | x", "true"),
            ),
            (Setting("p", Categorical((True, False))), False, ("p", "true | false", "false")),
            (Setting("p", Categorical((None, "x"))), None, ("p", "null | x", "null")),
            (Setting("p", Categorical((None, "x"))), "x", ("p", "null | x", "x")),
            (
                Setting("p", Simplex(("a", "b"), (1.0, 1.0))),
                (0.25, 0.75),
                ("p", "weights of a, b", "0.25, 0.75"),
            ),
        ],
    )
    def test_says_range_and_value_in_words(
        self, entry: Setting, value: Any, row: tuple[str, str, str]
    ) -> None:
        assert entry.rows("p", {entry.field: value}) == [row]

    def test_what_is_out_of_range_has_no_parameters(self) -> None:
        with pytest.raises(SpaceError, match=r"^size: 65 is not in the range 16 to 128, step 16$"):
            SIZE.internal("size", {"size": 65})


class TestOneOf:
    def test_its_fields_are_those_of_all_branches_once(self) -> None:
        assert MIXED.fields == ("gamma", "width", "mix")

    @pytest.mark.parametrize(
        ("set_fields", "branch"),
        [
            ({"gamma": 0.005, "width": 3}, "narrow"),
            ({}, "off"),
            ({"gamma": 0.5, "mix": [0.5, 0.5]}, "wide"),
            ({"gamma": 0.0, "width": 0}, "narrow"),  # nought is set
            ({"gamma": 0.005}, None),
            ({"gamma": 0.005, "width": 3, "mix": [0.5, 0.5]}, None),
        ],
    )
    def test_the_branch_that_counts_is_the_one_whose_fields_alone_are_set(
        self, set_fields: dict[str, Any], branch: str | None
    ) -> None:
        assert MIXED.active({**UNSET, **set_fields, "other": 1}) == branch

    def test_of_branches_with_equal_fields_the_first_counts(self) -> None:
        twins = OneOf({"low": {"x": Float(0.0, 0.5)}, "high": {"x": Float(0.5, 1.0)}})
        assert twins.active({"x": 0.9}) == "low"

    @pytest.mark.parametrize("chosen", ["narrow", "off", "wide"])
    def test_a_trial_is_asked_for_the_parameters_of_every_branch(self, chosen: str) -> None:
        """So every trial has the same ones, whatever it chose: some samplers need that."""
        point = {
            "p": chosen,
            "p/narrow/gamma": 0.002,
            "p/narrow/width": 4,
            "p/wide/gamma": 0.25,
            "p/wide/mix/0": 0.25,
        }
        trial = FixedTrial(point)
        assert (
            MIXED.suggest(trial, "p")
            == {
                "narrow": {"gamma": 0.002, "width": 4, "mix": None},
                "off": UNSET,
                "wide": {"gamma": 0.25, "width": None, "mix": [0.75, 0.25]},
            }[chosen]
        )
        assert trial.params == point
        assert list(trial.params) == list(point), "in one order"

    def test_what_is_not_used_stands_in_the_middle(self) -> None:
        point = MIXED.internal("p", {**UNSET, "gamma": 0.01, "width": 2})
        assert point == {
            "p": "narrow",
            "p/narrow/gamma": 0.01,
            "p/narrow/width": 2,
            "p/wide/gamma": 0.505,
            "p/wide/mix/0": 0.5,
        }
        assert MIXED.internal("p", UNSET)["p"] == "off"

    def test_what_no_branch_gives_has_no_parameters(self) -> None:
        with pytest.raises(SpaceError) as refusal:
            MIXED.internal("p", {**UNSET, "width": 2})
        assert str(refusal.value) == (
            "p: exactly one branch must be set and the others null: narrow (gamma, width) | off (nothing)"
            " | wide (gamma, mix)"
        )
        with pytest.raises(SpaceError, match=r"^p/narrow/gamma: 0.5 is not in the range 0 to 0.01$"):
            MIXED.internal("p", {**UNSET, "gamma": 0.5, "width": 2})

    def test_its_extremes_are_each_branchs_middle_and_ends_one_range_at_a_time(self) -> None:
        narrow = {"gamma": 0.005, "width": 5, "mix": None}
        wide = {"gamma": 0.505, "width": None, "mix": [0.5, 0.5]}
        assert list(MIXED.extremes()) == [
            narrow,
            narrow | {"gamma": 0.0},
            narrow | {"gamma": 0.01},
            narrow | {"width": 1},
            narrow | {"width": 9},
            UNSET,
            wide,
            wide | {"gamma": 0.01},
            wide | {"gamma": 1.0},
            wide | {"mix": [1.0, 0.0]},
            wide | {"mix": [0.0, 1.0]},
            wide | {"mix": [0.5, 0.5]},
        ]

    def test_it_is_a_row_for_the_choice_and_one_for_each_field(self) -> None:
        assert MIXED.rows("p", {**UNSET, "gamma": 0.5, "mix": [0.25, 0.75]}) == [
            ("p", "one of narrow | off | wide", "wide"),
            ("  gamma (if narrow)", "0 to 0.01", "-"),
            ("  width (if narrow)", "1 to 9", "-"),
            ("  gamma (if wide)", "0.01 to 1", "0.5"),
            ("  mix (if wide)", "weights of a, b", "0.25, 0.75"),
        ]

    @pytest.mark.parametrize(
        ("set_fields", "cells"),
        [
            ({"gamma": 0.005, "width": 3}, ("narrow", 0.005, 3, None, None)),
            ({}, ("off", None, None, None, None)),
            ({"gamma": 0.5, "mix": [0.25, 0.75]}, ("wide", 0.5, None, 0.25, 0.75)),
            ({"gamma": 0.5}, (None, None, None, None, None)),  # no branch: nothing to tell
        ],
    )
    def test_its_columns_are_always_the_same(
        self, set_fields: dict[str, Any], cells: tuple[Any, ...]
    ) -> None:
        columns = ("p", "gamma", "width", "mix.a", "mix.b")
        assert MIXED.flatten("p", {**UNSET, **set_fields}) == dict(zip(columns, cells, strict=True))
        assert tuple(MIXED.flatten("p", {**UNSET, **set_fields})) == columns


def one_of(**branches: Any) -> dict[str, Any]:
    return {"type": "one_of", "branches": branches}


def test_a_mapping_without_branches_is_a_setting_of_the_entrys_name() -> None:
    assert parse_parameter("size", {"type": "int", "low": 16, "high": 128, "step": 16}) == SIZE


def test_branches_may_be_empty_and_null_may_be_chosen_outside_of_them() -> None:
    parsed = parse_parameter("p", one_of(off={}, on={"x": {"type": "int", "low": 1, "high": 2}}))
    assert parsed == OneOf({"off": {}, "on": {"x": Int(1, 2)}})
    assert parse_parameter("x", {"type": "categorical", "choices": [None, 1]}) == Setting(
        "x", Categorical((None, 1))
    )


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (3, "p: 3 is not a distribution"),
        ({"type": "oneof"}, "p: unknown type 'oneof'; did you mean 'one_of'?"),
        (one_of(a={}), "p: type one_of needs at least 2 branches"),
        ({"type": "one_of"}, "p: type one_of needs at least 2 branches, each a mapping of parameters"),
        ({"type": "one_of", "branches": ["a", "b"]}, "p: type one_of needs at least 2 branches"),
        ({**KL, "branch": 1}, "p: unknown key 'branch' for type one_of; it takes type, branches"),
        (
            {"type": "one_of", "branches": {False: {}, "b": {}}},  # `off` in YAML
            "p: branch name False must be text without a slash; quote it",
        ),
        (one_of(**{"": {}, "b": {}}), "p: branch name '' must be text"),
        (one_of(**{"a/c": {}, "b": {}}), "p: branch name 'a/c' must be text without a slash"),
        (one_of(a=None, b={}), "p: branch a is None; write its parameters, or {} for none"),
        (one_of(a={"x": KL}, b={}), "p/a/x: a one_of cannot stand in another one's branch; write the"),
        (one_of(a={}, b={"x": 3}), "p/b/x: 3 is not a distribution"),
        (
            one_of(a={"beta": {"type": "categorical", "choices": [1, None]}}, b={}),
            "p/a/beta: null marks the branches not chosen, so it cannot be a choice in a branch",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(raw: object, message: str) -> None:
    with pytest.raises(SpaceError) as refusal:
        parse_parameter("p", raw)
    assert str(refusal.value).startswith(message)
    assert "\n" not in str(refusal.value)
