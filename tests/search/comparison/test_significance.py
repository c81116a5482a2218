"""Whether one model beats another: hand-computed corrections, SciPy's paired test, and how often chance is believed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from distrecvae.search.comparison.significance import LEVEL, differences, holm


def test_holm_as_computed_by_hand() -> None:
    # Sorted: 0.005 x 4, 0.01 x 3, 0.03 x 2, 0.04 x 1; the last may not fall below the one before it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_a_difference_is_scipys_paired_t_test() -> None:
    generator = np.random.default_rng(0)
    best, other, third = generator.random((3, 500))
    found = differences(best, {"other": other, "third": third})
    for name, values in (("other", other), ("third", third)):
        assert found[name].p_value == pytest.approx(stats.ttest_rel(best, values).pvalue)
        assert found[name].mean == pytest.approx(best.mean() - values.mean())
        assert found[name].standard_error == pytest.approx(np.std(best - values, ddof=1) / np.sqrt(500))
    assert sorted(d.adjusted for d in found.values()) == pytest.approx(
        holm(sorted(d.p_value for d in found.values()))
    )


def test_a_pairing_sees_what_an_unpaired_test_would_not() -> None:
    generator = np.random.default_rng(1)
    users = generator.random(400)
    better = users + 0.01 + 0.02 * generator.standard_normal(400)
    assert stats.ttest_ind(better, users).pvalue > LEVEL
    assert differences(better, {"users": users})["users"].significant


def test_equal_and_single_users_are_no_difference() -> None:
    values = np.array([0.5, 0.25, 0.0])
    assert differences(values, {"same": values.copy()})["same"].adjusted == 1.0
    assert not differences(values[:1], {"one": np.zeros(1)})["one"].significant
    assert differences(values, {}) == {}


def test_chance_is_believed_no_more_often_than_promised() -> None:
    generator = np.random.default_rng(2)
    believed = 0
    for _ in range(400):
        models = generator.standard_normal((6, 100))
        found = differences(models[0], {str(i): models[i] for i in range(1, 6)})
        believed += any(difference.significant for difference in found.values())
    # 5 % of 400 tables are 20; three standard deviations above are 33. Uncorrected it would be about 70.
    assert believed <= 33
