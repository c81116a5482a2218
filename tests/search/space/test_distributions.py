from __future__ import annotations

import math
import pickle
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

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


class TestSimplex:
    uniform = Simplex(("standard", "previous", "wide"), (1.0, 1.0, 1.0))

    @settings(deadline=None)
    @given(st.lists(st.floats(0, 1), min_size=2, max_size=2))
    def test_every_draw_is_on_the_simplex(self, sticks: list[float]) -> None:
        weights = self.uniform.weights(sticks)
        assert abs(math.fsum(weights) - 1) <= 1e-12
        assert min(weights) >= 0

    @settings(deadline=None)
    @given(
        st.lists(st.floats(0, 1), min_size=3, max_size=3),
        st.lists(st.floats(0.05, 50), min_size=4, max_size=4),
    )
    def test_so_it_is_with_any_concentration(self, sticks: list[float], concentration: list[float]) -> None:
        weights = Simplex(("a", "b", "c", "d"), tuple(concentration)).weights(sticks)
        assert abs(math.fsum(weights) - 1) <= 1e-12
        assert min(weights) >= 0

    @pytest.mark.parametrize("components", [2, 3, 5])
    def test_uniform_on_the_simplex(self, components: int) -> None:
        """A coordinate of a uniform point of the simplex is Beta(1, K - 1) distributed, whichever it is."""
        simplex = Simplex(tuple("abcde"[:components]), (1.0,) * components)
        points = _draws(simplex, 4000)
        for weights in points.T:
            assert stats.kstest(weights, stats.beta(1, components - 1).cdf).pvalue > 1e-3

    def test_uniform_in_area_too(self) -> None:
        """Marginals do not make it uniform by themselves: the middle triangle has a quarter of the area."""
        points = _draws(self.uniform, 4000)
        assert (points.max(axis=1) < 0.5).mean() == pytest.approx(0.25, abs=0.02)

    def test_dirichlet_with_a_concentration_each(self) -> None:
        """A coordinate of a Dirichlet is Beta(a_i, sum of the others)."""
        concentration = (0.5, 2.0, 1.0, 4.0)
        points = _draws(Simplex(("a", "b", "c", "d"), concentration), 4000)
        for weights, a in zip(points.T, concentration, strict=True):
            assert stats.kstest(weights, stats.beta(a, sum(concentration) - a).cdf).pvalue > 1e-3

    @pytest.mark.parametrize("u", [1e-99, 1e-120, 1e-200, 1e-300, 5e-324])
    @pytest.mark.parametrize("concentration", [(2.0, 6.0), (0.3, 6.0), (50.0, 2.0), (2.0, 60.0)])
    def test_the_far_tail_is_smooth(self, u: float, concentration: tuple[float, float]) -> None:
        """scipy's quantile function is NaN there; what is left of the stick must fall with u."""
        simplex = Simplex(("a", "b"), concentration)
        taken, left = simplex.weights([u])
        assert taken + left == pytest.approx(1, abs=1e-12)
        assert left <= simplex.weights([u * 10])[1] + 1e-6

    @pytest.mark.parametrize("concentration", [(1.0, 1.0, 1.0), (0.5, 3.0, 1.5)])
    @pytest.mark.parametrize(
        "weights",
        [
            (1, 0, 0),
            (0, 1, 0),
            (0, 0, 1),
            (0.5, 0.5, 0),
            (0.5, 0, 0.5),
            (0, 0.25, 0.75),
            (1 - 1e-9, 1e-9, 0),
            (0.15, 0.75, 0.1),
        ],
    )
    def test_vertices_edges_and_corners_are_reached_exactly(
        self, weights: Sequence[float], concentration: tuple[float, ...]
    ) -> None:
        simplex = Simplex(("a", "b", "c"), concentration)
        assert simplex.weights(simplex.sticks(weights)) == pytest.approx(list(weights), rel=0, abs=1e-12)
        zeros = [i for i, weight in enumerate(weights) if weight == 0]
        assert all(simplex.weights(simplex.sticks(weights))[i] == 0 for i in zeros)

    def test_the_published_weights_come_back_to_the_last_bit(self) -> None:
        assert self.uniform.weights(self.uniform.sticks((3 / 20, 3 / 4, 1 / 10))) == [0.15, 0.75, 0.1]

    @settings(deadline=None)
    @given(st.lists(st.floats(1e-6, 1), min_size=4, max_size=4))
    def test_any_weights_come_back(self, raw: list[float]) -> None:
        weights = [weight / math.fsum(raw) for weight in raw]
        simplex = Simplex(("a", "b", "c", "d"), (1.0,) * 4)
        assert simplex.weights(simplex.sticks(weights)) == pytest.approx(weights, rel=0, abs=1e-12)

    def test_two_components_are_one_plain_coordinate(self) -> None:
        """A uniform point of a line: alpha N(0, I) + (1 - alpha) q_old with alpha uniform."""
        assert Simplex(("standard", "previous"), (1.0, 1.0)).weights([0.7]) == [0.3, 0.7]


def _draws(simplex: Simplex, n: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    uniforms = np.random.default_rng(7).random((n, len(simplex.components) - 1))
    return np.array([simplex.weights(row) for row in uniforms.tolist()])


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
        ({"type": "float", "low": "1e", "high": 2}, "low is '1e'; it must be a finite number"),
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
        ({"type": "categorical", "choices": [[1, 2]]}, "choice [1, 2] is neither number, text"),
        ({"type": "categorical", "choices": [math.nan]}, "choice nan is not a finite number"),
        ({"type": "simplex", "components": ["a"]}, "needs at least 2 components, this one has 1"),
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
