from __future__ import annotations

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from distrecvae.search.core.guided.cube import Cube, at_unit, unit_of

KINDS: list[FloatDistribution | IntDistribution | CategoricalDistribution] = [
    FloatDistribution(0.0, 2.0),
    FloatDistribution(1e-4, 1e-1, log=True),
    FloatDistribution(0.0, 1.0, step=0.25),
    IntDistribution(1, 5),
    IntDistribution(32, 500, log=True),
    IntDistribution(16, 128, step=16),
    CategoricalDistribution(["a", "b", "c"]),
]


@pytest.mark.parametrize("distribution", KINDS, ids=str)
def test_a_value_comes_back_from_where_it_stands(
    distribution: FloatDistribution | IntDistribution | CategoricalDistribution,
) -> None:
    for u in np.linspace(0, 1, 23):
        value = at_unit(distribution, float(u))
        again = at_unit(distribution, unit_of(distribution, value))
        if isinstance(distribution, CategoricalDistribution):
            assert value in distribution.choices
            assert again == value
        else:
            assert distribution.low <= value <= distribution.high
            # A logarithm and its exponential in float64.
            assert again == pytest.approx(value, rel=1e-12)


def test_whole_numbers_and_choices_have_equal_parts() -> None:
    u = (np.arange(1000) + 0.5) / 1000
    for distribution, n in ((IntDistribution(1, 5), 5), (CategoricalDistribution(["a", "b", "c", "d"]), 4)):
        _, counts = np.unique([str(at_unit(distribution, float(each))) for each in u], return_counts=True)
        assert list(counts) == [1000 // n] * n


def test_what_a_branch_does_not_use_makes_no_difference() -> None:
    space = {
        "kl": CategoricalDistribution(["beta", "gamma"]),
        "kl/beta/beta": FloatDistribution(0.0, 1.0),
        "kl/gamma/gamma": FloatDistribution(1e-3, 1e-1, log=True),
        "rate": FloatDistribution(0.0, 1.0),
    }
    cube = Cube(space)
    one, other = ({"kl": "beta", "kl/beta/beta": 0.3, "kl/gamma/gamma": g, "rate": 0.7} for g in (1e-3, 1e-1))
    features = cube.features(np.array([cube.point(one), cube.point(other)]))
    assert np.array_equal(features[0], features[1])
    assert list(features[0]) == pytest.approx([1, 0, 0.3, 0.5, 0.7])
    again = cube.params(cube.point(one))
    assert again["kl"] == "beta"
    assert again["kl/gamma/gamma"] == pytest.approx(1e-3)


def test_a_distance_is_a_factor_where_the_range_is_logarithmic() -> None:
    """In units of the range; without one, the whole of it; and a range of one value has no other distance."""
    cube = Cube(
        {
            "rate": FloatDistribution(1e-4, 1e-2, log=True),
            "share": FloatDistribution(0.0, 0.5),
            "one": FloatDistribution(3.0, 3.0),
        }
    )
    assert cube.width(0, 10.0) == pytest.approx(1 / 2), "a factor of 10 of one of 100"
    assert cube.width(1, 0.1) == pytest.approx(1 / 5)
    assert [cube.width(k, None) for k in range(3)] == [1.0] * 3
    assert cube.width(2, 0.1) == 1.0


def test_what_is_no_distribution_is_our_bug() -> None:
    with pytest.raises(TypeError, match="no distribution of Optuna's suggest methods"):
        at_unit("x", 0.5)  # type: ignore[arg-type]
