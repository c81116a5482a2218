"""Weights that sum to one: Dirichlet distributed, drawn from plain uniforms, and back again to the last bit."""

from __future__ import annotations

import math
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
from distrecvae.search.space.simplex import Simplex


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

    @pytest.mark.parametrize("u", [1e-100, 1e-150, 1e-160, 1e-200, 1e-300])
    def test_and_right(self, u: float) -> None:
        """What is left is Beta(60, 2) distributed there: P(rest <= r) = r^60 (1 + 60 (1 - r)), by hand."""
        _, left = Simplex(("a", "b"), (2.0, 60.0)).weights([u])
        assert 60 * math.log(left) + math.log1p(60 * (1 - left)) == pytest.approx(math.log(u), rel=1e-4)

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

    @pytest.mark.parametrize(
        "concentration", [(1.0, 1.0, 1.0), (1.0, 0.5, 3.0), (0.3, 2.0, 1.0), (7.0, 40.0, 0.7)]
    )
    @pytest.mark.parametrize("sticks", [(0.5, 0.5), (0.01, 0.99), (0.9, 0.2), (1e-12, 0.5)])
    def test_shares_are_scipys_quantiles(
        self, concentration: tuple[float, float, float], sticks: tuple[float, float]
    ) -> None:
        """The share of component i exceeds its value with probability u_i, under Beta(a_i, those after it)."""
        a, b, c = concentration
        first = float(stats.beta(a, b + c).isf(sticks[0]))
        second = (1 - first) * float(stats.beta(b, c).isf(sticks[1]))
        simplex = Simplex(("a", "b", "c"), concentration)
        weights = simplex.weights(sticks)
        assert weights == pytest.approx([first, second, 1 - first - second], rel=0, abs=1e-12)
        if min(weights) > 1e-3:
            tails = [stats.beta(a, b + c).sf(first), stats.beta(b, c).sf(second / (1 - first))]
            assert simplex.sticks([first, second, 1 - first - second]) == pytest.approx(tails, rel=1e-9)

    def test_where_nothing_is_left_of_the_stick_the_uniform_is_one(self) -> None:
        for simplex in (self.uniform, Simplex(("a", "b", "c"), (2.0, 0.5, 3.0))):
            assert simplex.sticks((1, 0, 0)) == [0.0, 1.0]
            assert simplex.sticks((0, 0, 1)) == [1.0, 1.0]
            assert simplex.sticks((0, 1, 0)) == [1.0, 0.0]

    def test_more_of_the_uniform_is_less_of_the_component(self) -> None:
        for concentration in ((1.0, 1.0), (0.4, 3.0), (5.0, 0.2)):
            simplex = Simplex(("a", "b"), concentration)
            taken = [simplex.weights([u])[0] for u in np.linspace(0, 1, 41).tolist()]
            assert taken == sorted(taken, reverse=True)
            assert (taken[0], taken[-1]) == (1.0, 0.0)

    def test_weights_are_rounded_to_fourteen_decimals(self) -> None:
        for u in np.random.default_rng(3).random((50, 2)).tolist():
            assert all(weight == round(weight, 14) for weight in self.uniform.weights(u))

    def test_every_component_but_the_last_is_a_parameter_of_optuna(self) -> None:
        trial = optuna.trial.FixedTrial({"p/0": 0.25, "p/1": 1.0})
        assert self.uniform.suggest(trial, "p") == [0.5, 0.0, 0.5]
        ranges = set(map(repr, trial.distributions.values()))
        assert list(trial.distributions) == ["p/0", "p/1"]
        assert ranges == {repr(optuna.distributions.FloatDistribution(0.0, 1.0))}
        assert self.uniform.internal("p", (0.5, 0, 0.5)) == {"p/0": 0.25, "p/1": 1.0}

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ([0.5, 0.5], "p: [0.5, 0.5] is not 3 weights of at least 0"),
            ([0.25] * 4, "is not 3 weights of at least 0"),
            ([1.5, -0.5, 0], "p: [1.5, -0.5, 0] is not 3 weights of at least 0"),
            ([1, 0, math.nan], "is not 3 weights"),
            ([True, 0, 0], "is not 3 weights"),
            ("abc", "p: 'abc' is not 3 weights"),
            ({0, 1, 2}, "is not 3 weights"),
            (None, "p: None is not 3 weights"),
            ([0.5, 0.5, 0.5], "p: [0.5, 0.5, 0.5] sums to 1.5, not to 1"),
            ([0.5, 0.5, 2e-9], "sums to 1, not to 1"),
            ([0.5, 0.5 - 2e-9, 0], "not to 1"),
        ],
    )
    def test_what_is_no_weights_has_no_parameters(self, value: Any, message: str) -> None:
        with pytest.raises(SpaceError, match=re.escape(message)):
            self.uniform.internal("p", value)

    def test_a_sum_that_is_off_by_rounding_is_one(self) -> None:
        for weights in ([0.1, 0.2, 0.7 + 5e-10], self.uniform.middle(), [0.3, 0.6, 0.1]):
            assert set(self.uniform.internal("p", weights)) == {"p/0", "p/1"}

    def test_its_ends_are_the_vertices_and_the_centre(self) -> None:
        third = 0.33333333333333
        assert self.uniform.ends() == ([1, 0, 0], [0, 1, 0], [0, 0, 1], [third] * 3)
        assert self.uniform.middle() == [third] * 3

    def test_its_columns_are_one_a_component(self) -> None:
        cells = self.uniform.flatten("mix", [0.5, 0.25, 0.25])
        assert cells == {"mix.standard": 0.5, "mix.previous": 0.25, "mix.wide": 0.25}
        assert self.uniform.flatten("mix", None) == dict.fromkeys(cells)

    def test_it_says_its_concentration_only_where_that_is_not_one(self) -> None:
        assert self.uniform.text() == "weights of standard, previous, wide"
        assert Simplex(("a", "b"), (1.0, 0.5)).text() == "weights of a, b, concentration 1, 0.5"
        assert Simplex(("a", "b"), (2.0, 2.0)).text() == "weights of a, b, concentration 2, 2"
        assert self.uniform.to_dict() == {
            "type": "simplex",
            "components": ["standard", "previous", "wide"],
            "concentration": [1.0, 1.0, 1.0],
        }


def _draws(simplex: Simplex, n: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    uniforms = np.random.default_rng(7).random((n, len(simplex.components) - 1))
    return np.array([simplex.weights(row) for row in uniforms.tolist()])
