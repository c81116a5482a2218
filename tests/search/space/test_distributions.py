from __future__ import annotations

import math
import pickle
import re
from typing import Any

import optuna
import pytest

from distrecvae.errors import SpaceError
from distrecvae.search.space.distributions import Categorical, Distribution, Float, Int
from distrecvae.search.space.parsing import parse
from distrecvae.search.space.simplex import Simplex

EVERY_KIND: tuple[Distribution, ...] = (
    Int(50, 400, 50),
    Int(1, 5),
    Int(1, 1000, log=True),
    Float(0.1, 0.8),
    Float(1e-4, 2e-3, log=True),
    Float(0.1, 0.7, step=0.2),
    Categorical((250, 500, 1000)),
    Categorical((None, True, "x", 0.5)),
    Simplex(("a", "b"), (1.0, 1.0)),
    Simplex(("a", "b", "c"), (1.0, 1.0, 1.0)),
    Simplex(("a", "b", "c", "d"), (0.3, 2.0, 1.0, 5.0)),
)
every_kind = pytest.mark.parametrize("distribution", EVERY_KIND, ids=lambda d: d.text())


def draw(distribution: Distribution, seed: int) -> tuple[Any, dict[str, Any]]:
    """A random value and the Optuna parameters that it came from."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    trial = study.ask()
    return distribution.suggest(trial, "p"), trial.params


def close_to(value: Any, distance: float) -> Any:
    return pytest.approx(value, rel=0, abs=distance) if isinstance(value, float | list) else value


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


class TestEveryDistribution:
    @every_kind
    def test_a_draw_goes_back_to_parameters_that_give_it_again(self, distribution: Distribution) -> None:
        for seed in range(20):
            value, _ = draw(distribution, seed)
            again = optuna.trial.FixedTrial(distribution.internal("p", value))
            assert distribution.suggest(again, "p") == close_to(value, 1e-12)

    @every_kind
    def test_ends_and_middle_are_in_the_range(self, distribution: Distribution) -> None:
        for value in (*distribution.ends(), distribution.middle()):
            trial = optuna.trial.FixedTrial(distribution.internal("p", value))
            assert distribution.suggest(trial, "p") == close_to(value, 1e-13)

    @every_kind
    def test_its_mapping_and_its_pickle_make_it_again(self, distribution: Distribution) -> None:
        assert parse("p", distribution.to_dict()) == distribution
        assert pickle.loads(pickle.dumps(distribution)) == distribution  # noqa: S301  (our own)

    @every_kind
    def test_columns_are_the_same_with_and_without_a_value(self, distribution: Distribution) -> None:
        columns = distribution.flatten("p", distribution.middle())
        assert list(columns) == list(distribution.flatten("p", None))
        assert all(value is None for value in distribution.flatten("p", None).values())
        assert all(isinstance(value, int | float | str | None) for value in columns.values())

    @every_kind
    @pytest.mark.parametrize(
        "stranger", ["no", -1, 10**9, math.nan, True, None, [1.0], [0.5, 0.6, 0.7], [math.nan] * 3]
    )
    def test_what_is_out_of_range_has_no_parameters(
        self, distribution: Distribution, stranger: object
    ) -> None:
        if isinstance(distribution, Categorical) and any(
            stranger is choice for choice in distribution.choices
        ):
            return
        with pytest.raises(SpaceError, match=r"^p: "):
            distribution.internal("p", stranger)


@pytest.mark.parametrize(
    ("distribution", "text", "middle"),
    [
        (Int(50, 400, 50), "50 to 400, step 50", 200),
        (Int(1, 10000, log=True), "1 to 10000, log", 100),
        (Float(1e-4, 1e-2, log=True), "0.0001 to 0.01, log", 1e-3),
        (Float(0.1, 0.5, step=0.1), "0.1 to 0.5, step 0.1", 0.3),
        (Categorical((250, None, "tanh", True)), "250 | null | tanh | true", "tanh"),
        (Simplex(("a", "b"), (1.0, 1.0)), "weights of a, b", [0.5, 0.5]),
        (Simplex(("a", "b"), (1.0, 0.5)), "weights of a, b, concentration 1, 0.5", [0.5, 0.5]),
    ],
)
def test_words_and_middle(distribution: Distribution, text: str, middle: Any) -> None:
    assert distribution.text() == text
    assert distribution.middle() == pytest.approx(middle) if isinstance(middle, float) else middle


def test_a_value_off_the_grid_is_out_of_range() -> None:
    with pytest.raises(SpaceError, match=re.escape("p: 210 is not in the range 50 to 400, step 50")):
        Int(50, 400, 50).internal("p", 210)
    with pytest.raises(SpaceError, match=re.escape("p: 0.25 is not in the range 0.1 to 0.7, step 0.2")):
        Float(0.1, 0.7, step=0.2).internal("p", 0.25)
    assert Float(0.1, 0.7, step=0.2).internal("p", 0.1 + 0.2) == {"p": 0.1 + 0.2}, (
        "0.30000000000000004 is 0.3"
    )


def test_true_is_not_one() -> None:
    assert Categorical((True, False)).internal("p", True) == {"p": True}
    with pytest.raises(SpaceError):
        Categorical((0, 1)).internal("p", True)
