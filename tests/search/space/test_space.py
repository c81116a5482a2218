from __future__ import annotations

import json
import math
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest

from distrecvae.errors import SpaceError
from distrecvae.search.space.relative import Sizes
from distrecvae.search.space.space import SearchSpace
from tests.search.space.net import KL, Net

FULL: dict[str, Any] = {
    "model": "net",
    "description": "all kinds",
    "source": "here",
    "fixed": {"residual": False},
    "parameters": {
        "size": {"type": "int", "low": 16, "high": 128, "step": 16},
        "rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
        "kl_weight": KL,
        "weights": {"type": "simplex", "components": ["standard", "previous", "wide"]},
    },
}


def space_of(parameters: dict[str, Any], **sections: Any) -> SearchSpace:
    return SearchSpace.from_mapping({"model": "net", "parameters": parameters, **sections}, config_class=Net)


@pytest.fixture
def space() -> SearchSpace:
    return SearchSpace.from_mapping(FULL, model="net", config_class=Net)


def ask(space: SearchSpace, seed: int) -> dict[str, Any]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return space.suggest(optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)).ask())


class TestSuggest:
    def test_gives_whole_configurations_that_the_model_takes(self, space: SearchSpace) -> None:
        for seed in range(30):
            config = ask(space, seed)
            assert list(config) == ["size", "rate", "gamma", "beta", "weights", "residual"]
            assert json.loads(json.dumps(config)) == config
            Net(**config)
            assert config["residual"] is False
            assert math.fsum(config["weights"]) == pytest.approx(1, abs=1e-12)
            assert config["size"] in range(16, 129, 16)

    def test_sets_exactly_one_branch(self, space: SearchSpace) -> None:
        branches = [space.flatten(ask(space, seed))["kl_weight"] for seed in range(30)]
        assert {"gamma", "beta"} == set(branches)
        for seed, branch in enumerate(branches):
            config = ask(space, seed)
            other = "beta" if branch == "gamma" else "gamma"
            assert config[str(branch)] is not None
            assert config[other] is None

    def test_every_trial_has_the_same_optuna_parameters(self, space: SearchSpace) -> None:
        """So samplers that need a fixed space (CMA-ES, Gaussian process) have one in spite of branches."""
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        trials = [study.ask() for _ in range(10)]
        assert {space.flatten(space.suggest(trial))["kl_weight"] for trial in trials} == {"gamma", "beta"}
        assert len({tuple(trial.params) for trial in trials}) == 1
        assert list(trials[0].params) == list(space.default_point())


class TestStart:
    def test_is_the_models_own_configuration(self, space: SearchSpace) -> None:
        assert Net(**_tuples(space.default_config())) == Net(residual=False)

    def test_enqueued_it_comes_back_to_the_last_bit(self, space: SearchSpace) -> None:
        study = optuna.create_study()
        study.enqueue_trial(space.default_point())
        assert space.suggest(study.ask()) == space.default_config()

    def test_default_moves_it(self) -> None:
        moved = space_of(FULL["parameters"], default={"size": 32, "gamma": None, "beta": 0.2})
        assert moved.default_config()["size"] == 32
        assert moved.flatten(moved.default_config())["kl_weight"] == "beta"
        assert moved.suggest(optuna.trial.FixedTrial(moved.default_point())) == moved.default_config()

    def test_without_parameters_it_is_all_there_is(self) -> None:
        empty = space_of({})
        assert empty.suggest(optuna.create_study().ask()) == empty.default_config()
        assert (empty.default_point(), empty.names(), empty.describe()) == ({}, (), [])


class TestInternalPoint:
    def test_any_configuration_of_the_space_has_one(self, space: SearchSpace) -> None:
        for seed in range(20):
            config = ask(space, seed)
            point = space.internal_point(config)
            assert point is not None
            again = space.suggest(optuna.trial.FixedTrial(point))
            assert again == config | {"weights": again["weights"]}
            assert again["weights"] == pytest.approx(config["weights"], rel=0, abs=1e-12)

    def test_missing_fields_are_the_starts(self, space: SearchSpace) -> None:
        point = space.internal_point({"size": 32, "weights": (1.0, 0.0, 0.0)})
        assert point is not None
        assert space.suggest(optuna.trial.FixedTrial(point)) == space.default_config() | {
            "size": 32,
            "weights": [1.0, 0.0, 0.0],
        }

    @pytest.mark.parametrize(
        "outside",
        [
            {"size": 33},
            {"size": 256},
            {"rate": 1.0},
            {"residual": True},
            {"beta": 0.2},
            {"weights": [1, 1, 1]},
            {"other": 1},
        ],
    )
    def test_others_have_none(self, space: SearchSpace, outside: dict[str, Any]) -> None:
        assert space.internal_point(outside) is None


class TestTables:
    def test_columns_are_scalars_and_always_the_same(self, space: SearchSpace) -> None:
        names = (
            "size",
            "rate",
            "kl_weight",
            "gamma",
            "beta",
            "weights.standard",
            "weights.previous",
            "weights.wide",
        )
        assert space.names() == names
        for seed in range(10):
            columns = space.flatten(ask(space, seed))
            assert tuple(columns) == names
            assert all(isinstance(value, int | float | str | None) for value in columns.values())
            assert (columns["gamma"] is None) != (columns["beta"] is None)

    def test_describe_says_the_ranges_and_the_start(self, space: SearchSpace) -> None:
        assert space.describe() == [
            ("size", "16 to 128, step 16", "64"),
            ("rate", "0.0001 to 0.1, log", "0.01"),
            ("kl_weight", "one of gamma | beta", "gamma"),
            ("  gamma (if gamma)", "0.0005 to 0.05, log", "0.005"),
            ("  beta (if beta)", "0.01 to 1, log", "-"),
            ("weights", "weights of standard, previous, wide", "0.15, 0.75, 0.1"),
        ]


def test_goes_through_json_and_pickle(space: SearchSpace) -> None:
    """search.json holds the space, and a resumed search compares; Ray pickles it."""
    form = json.loads(json.dumps(space.to_dict(), allow_nan=False))
    assert SearchSpace.from_dict(form) == space
    assert SearchSpace.from_dict(form).to_dict() == space.to_dict()
    assert pickle.loads(pickle.dumps(space)) == space  # noqa: S301  (our own)
    with pytest.raises(SpaceError, match="not a stored search space"):
        SearchSpace.from_dict({"model": "net"})


def test_a_branch_may_be_empty_and_a_field_may_stand_in_two() -> None:
    branches = {
        "narrow": {"gamma": {"type": "float", "low": 0.001, "high": 0.01}},
        "wide": {"gamma": {"type": "float", "low": 0.01, "high": 1.0}},
        "beta": {"beta": {"type": "categorical", "choices": [0.1, 0.2]}},
    }
    space = space_of({"kl": {"type": "one_of", "branches": branches}})
    assert space.names() == ("kl", "gamma", "beta")
    assert space.flatten(space.default_config()) == {"kl": "narrow", "gamma": 0.005, "beta": None}
    assert "kl/wide/gamma" in space.default_point()

    @dataclass(frozen=True)
    class Optional:
        width: int | None = None

    none: dict[str, Any] = {
        "type": "one_of",
        "branches": {"off": {}, "on": {"width": {"type": "int", "low": 1, "high": 9}}},
    }
    space = SearchSpace.from_mapping({"model": "m", "parameters": {"layer": none}}, config_class=Optional)
    assert space.flatten(space.default_config()) == {"layer": "off", "width": None}


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"parameters": {"kl": {"type": "oneof"}}}, "kl: unknown type 'oneof'; did you mean 'one_of'?"),
    ({"parameters": {}}, "has no model"),
    ({"model": "net"}, "has no parameters"),
    ({"model": "net", "parameters": None}, "parameters is None; it must be a mapping, {} for nothing"),
    (
        {"model": "net", "parameters": {True: {}}},
        "parameters: True is not text; a name in it may need quotes",
    ),
    ({"model": "net", "paramters": {}}, "unknown key 'paramters'; did you mean 'parameters'?"),
    ({"model": "other", "parameters": {}}, "is a space for model 'other', not for 'net'"),
    ({"parameters": {"size": {"type": "int", "lo": 1, "high": 2}}}, "size: unknown key 'lo'"),
    ({"parameters": {}, "fixed": {"size": 2000}}, "default: the model refuses it: size=2000"),
]


@pytest.mark.parametrize(("content", "message"), REFUSED, ids=[message[:40] for _, message in REFUSED])
def test_what_cannot_be_is_refused_in_one_line(content: dict[str, Any], message: str) -> None:
    content = content if "model" in content or message == "has no model" else {"model": "net", **content}
    with pytest.raises(SpaceError) as refusal:
        SearchSpace.from_mapping(content, model="net", config_class=Net)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


class TestFiles:
    @pytest.mark.parametrize("name", ["space.yaml", "space.yml", "space.json"])
    def test_a_path_is_read(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).write_text(json.dumps(FULL))
        assert SearchSpace.load(str(tmp_path / name), config_class=Net) == SearchSpace.load(
            tmp_path / name, model="net", config_class=Net
        )

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("", "is empty; a search space has at least `model` and `parameters`"),
            ("- 1", "holds list, not a mapping"),
            ("model: [", "is not YAML: "),
            ("a: &a {b: *a}", "unknown key 'a'"),
        ],
    )
    def test_a_damaged_file_is_refused_with_its_name(
        self, tmp_path: Path, content: str, message: str
    ) -> None:
        path = tmp_path / "mine.yaml"
        path.write_text(content)
        with pytest.raises(SpaceError) as refusal:
            SearchSpace.load(path, config_class=Net)
        assert str(refusal.value).startswith(f"{path}: ")
        assert message in str(refusal.value)
        assert "\n" not in str(refusal.value)

    def test_exponents_without_a_point_are_numbers(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.yaml"
        path.write_text("model: net\nparameters: {rate: {type: float, low: 1e-4, high: 1E+0, log: true}}")
        assert SearchSpace.load(path, config_class=Net).describe()[0][1] == "0.0001 to 1, log"


def _tuples(config: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in config.items()}


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("recvae", True),
        ("multvae", True),
        ("recvae-demo", False),
        ("slim", False),
        ("recvae-implicitslim", False),
    ],
)
def test_only_published_settings_are_called_so(name: str, published: bool) -> None:
    # A search of slim once called its first trial the published configuration: its defaults are this package's.
    assert SearchSpace.load(name).starts_as_published is published


SIZES = Sizes(users=483, items=5660, interactions=38_000)
RELATIVE: dict[str, Any] = {
    "size": {"type": "int", "low": "users/400 at least 8", "high": "users/12", "log": True},
    "kl_weight": {
        "type": "one_of",
        "branches": {
            "gamma": {"gamma": {"type": "float", "low": 1e-3, "high": "items/1e6", "log": True}},
            "beta": {"beta": {"type": "float", "low": "users/1e4", "high": 1.0, "log": True}},
        },
    },
}


class TestPasses:
    """A space says how many passes its model needs."""

    def test_are_kept_and_written_down(self) -> None:
        space = space_of({}, max_passes=30)
        assert space.max_passes == 30
        assert SearchSpace.from_dict(json.loads(json.dumps(space.to_dict()))) == space
        assert space_of({}).max_passes is None
        assert "max_passes" not in space_of({}).to_dict()

    @pytest.mark.parametrize("passes", [0, -1, 2.5, True, "30"])
    def test_are_a_whole_number(self, passes: object) -> None:
        with pytest.raises(SpaceError, match=r"^max_passes is .*; it must be a whole number, at least 1$"):
            space_of({}, max_passes=passes)


class TestRelative:
    """A space that knows its data: nothing is drawn before it does, and what was asked for is kept beside it."""

    def test_is_resolved_with_the_start_in_every_range(self) -> None:
        asked = space_of(RELATIVE)
        assert asked.relative
        space = asked.resolved(SIZES, config_class=Net)
        assert not space.relative
        assert space.sizes == SIZES
        assert space.asked == asked.parameters
        assert space.base == asked.base
        form = space.to_dict()["parameters"]
        assert form["size"] == {
            "type": "int",
            "low": 8,
            "high": 64,
            "step": 1,
            "log": True,
        }  # 64: the start's
        assert form["kl_weight"]["branches"]["gamma"]["gamma"]["high"] == 5.66e-3
        assert form["kl_weight"]["branches"]["beta"]["beta"]["low"] == 0.0483
        assert space.suggest(optuna.trial.FixedTrial(space.default_point())) == space.default_config()
        for seed in range(20):
            assert 8 <= ask(space, seed)["size"] <= 64

    def test_a_branch_that_is_not_the_starts_has_no_start_to_reach(self) -> None:
        space = space_of(RELATIVE, default={"gamma": None, "beta": 0.01}).resolved(SIZES, config_class=Net)
        branches = space.to_dict()["parameters"]["kl_weight"]["branches"]
        assert branches["gamma"]["gamma"]["high"] == 5.66e-3
        assert branches["beta"]["beta"]["low"] == 0.01

    def test_says_what_was_asked_beside_what_it_came_to(self) -> None:
        asked = space_of(RELATIVE)
        assert asked.describe()[0] == ("size", "users/400 at least 8 to users/12, log", "64")
        assert asked.resolved(SIZES, config_class=Net).describe() == [
            ("size", "8 to 64, log, asked: users/400 at least 8 (8) to users/12 (40)", "64"),
            ("kl_weight", "one of gamma | beta", "gamma"),
            ("  gamma (if gamma)", "0.001 to 0.00566, log, asked: 0.001 to items/1e6 (0.00566)", "0.005"),
            ("  beta (if beta)", "0.0483 to 1, log, asked: users/1e4 (0.0483) to 1.0", "-"),
        ]

    def test_goes_through_json_resolved_and_not(self) -> None:
        asked = space_of(RELATIVE)
        for space in (asked, asked.resolved(SIZES, config_class=Net)):
            assert SearchSpace.from_dict(json.loads(json.dumps(space.to_dict()))) == space
        assert "asked" not in space_of({}).to_dict()

    def test_nothing_is_drawn_before_the_data_is_known(self) -> None:
        with pytest.raises(SpaceError, match=r"^size: .* depends on the data; take SearchSpace\.resolved"):
            ask(space_of(RELATIVE), 0)
        with pytest.raises(SpaceError, match="depends on the data"):
            space_of(RELATIVE).default_point()

    def test_one_without_such_ranges_is_itself(self, space: SearchSpace) -> None:
        assert space.resolved(SIZES, config_class=Net) is space

    def test_what_the_model_refuses_is_refused_on_the_data(self) -> None:
        space = space_of({"size": {"type": "int", "low": 8, "high": "users*3"}})
        with pytest.raises(
            SpaceError, match=r"^size: the model refuses size=1449: size=1449 must be at most 1000"
        ):
            space.resolved(SIZES, config_class=Net)

    def test_a_start_below_an_end_that_is_a_number_is_refused(self) -> None:
        space = space_of({"size": {"type": "int", "low": 100, "high": "users"}})
        with pytest.raises(SpaceError, match=r"^default: size: 64 is not in the range 100 to 483"):
            space.resolved(SIZES, config_class=Net)

    def test_what_other_data_had_is_moved_inside(self) -> None:
        space = space_of(RELATIVE).resolved(SIZES, config_class=Net)
        other = {**space.base, "size": 500, "rate": 7.0, "gamma": None, "beta": 0.01}
        assert space.moved_inside(other) == {**other, "size": 64, "beta": 0.0483}
        inside = {**space.base, "size": 9}
        assert space.moved_inside(inside) == inside
