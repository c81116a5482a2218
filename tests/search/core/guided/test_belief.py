from __future__ import annotations

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from distrecvae.search.core.guided.belief import DRAWS, EXPLAINS, Belief
from distrecvae.search.core.guided.cube import Cube

SPACE = {
    "kl": CategoricalDistribution(["beta", "gamma"]),
    "kl/beta/beta": FloatDistribution(0.0, 1.0),
    "kl/gamma/gamma": FloatDistribution(1e-3, 1e-1, log=True),
    "rate": FloatDistribution(1e-4, 1e-2, log=True),
    "size": IntDistribution(1, 4),
}
CUBE = Cube(SPACE)
RANDOM = np.random.default_rng(3).random((4000, len(SPACE)))


def at(belief: Belief, **values: object) -> float:
    usual = {"kl": "beta", "kl/beta/beta": 0.5, "kl/gamma/gamma": 1e-2, "rate": 1e-3, "size": 2}
    point = CUBE.point(usual | {name.replace("__", "/"): value for name, value in values.items()})
    return float(belief.at(point[None])[0])


def test_it_falls_off_with_the_square_of_the_distance_in_units_of_within() -> None:
    belief = Belief({"rate": (1e-3, 10.0)}, CUBE)
    assert at(belief, rate=1e-3) == pytest.approx(0, abs=1e-12)
    ten = at(belief, rate=1e-4)
    assert ten < 0
    assert at(belief, rate=1e-2) == pytest.approx(ten)
    assert at(belief, rate=10**-3.5) == pytest.approx(ten / 4)
    # A factor of 10 of the one counts as much as a difference of 2 of the other.
    both = Belief({"rate": (1e-3, 10.0), "size": (2, 2.0)}, CUBE)
    assert at(both, rate=1e-4, size=2) == pytest.approx(at(both, rate=1e-3, size=4))


def test_it_explains_its_share_whatever_is_expected() -> None:
    for expected in ({"rate": (1e-3, 10.0)}, {"rate": (5e-3, 2.0), "size": (4, None)}):
        # Of 4,000 and of its own 512 random points: some hundredths.
        assert Belief(expected, CUBE).at(RANDOM).std() == pytest.approx(EXPLAINS, rel=0.08)


def test_a_branch_that_is_not_chosen_says_nothing() -> None:
    belief = Belief({"kl/gamma/gamma": (1e-3, 10.0)}, CUBE)
    assert at(belief, kl="beta", kl__gamma__gamma=1e-1) == 0
    assert at(belief, kl="gamma", kl__gamma__gamma=1e-1) < 0


def test_a_value_outside_of_its_range_counts_as_its_end() -> None:
    outside, end = Belief({"rate": (1.0, 10.0)}, CUBE), Belief({"rate": (1e-2, 10.0)}, CUBE)
    np.testing.assert_array_equal(outside.at(RANDOM), end.at(RANDOM))


def test_what_is_not_searched_or_is_no_range_says_nothing() -> None:
    assert not Belief({}, CUBE)
    assert not Belief({"elsewhere": (1.0, None), "kl": (0.0, None)}, CUBE)
    assert not Belief({}, CUBE).at(RANDOM).any()


def test_a_draw_is_the_best_of_many_and_not_the_best_of_all() -> None:
    belief = Belief({"rate": (1e-3, 10.0), "size": (2, 2.0)}, CUBE)
    drawn = belief.at(np.array([belief.drawn(np.random.default_rng(seed)) for seed in range(40)]))
    anywhere = belief.at(RANDOM)
    # The best of DRAWS points lies among the best 1 in DRAWS on average.
    assert drawn.mean() > np.quantile(anywhere, 1 - 3 / DRAWS)
    assert drawn.std() > 0
