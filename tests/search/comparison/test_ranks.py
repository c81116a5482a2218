"""Ranks over data sets are Demšar's, and the cases that can tell nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from distrecvae.search.comparison.ranks import Ranks, rank_models, ranks_text

Q_05 = {2: 1.960, 3: 2.343, 4: 2.569, 5: 2.728, 6: 2.850, 10: 3.164}
"""Demšar (2006), table 5(a): critical values of the two-tailed Nemenyi test, by the number of models."""


@pytest.mark.parametrize("n_models", Q_05)
def test_ranks_and_the_critical_difference_are_the_textbooks(n_models: int) -> None:
    scores = np.random.default_rng(n_models).random((14, n_models)).round(1)  # some are tied
    found = rank_models([str(place) for place in range(n_models)], scores)
    for name, mean in zip(found.names, found.mean, strict=True):
        own = scores[:, int(name)]
        above, equal = ((scores > own[:, None]).sum(axis=1), (scores == own[:, None]).sum(axis=1))
        assert mean == pytest.approx(np.mean(above + (equal + 1) / 2))
    assert (np.diff(found.mean) >= 0).all()
    wanted = Q_05[n_models] * math.sqrt(n_models * (n_models + 1) / (6 * 14))
    assert found.critical_difference == pytest.approx(wanted, abs=2e-3)  # the table has three digits
    if n_models > 2:
        assert found.p_value == pytest.approx(stats.friedmanchisquare(*scores.T).pvalue)


def test_runs_of_models_that_are_not_told_apart() -> None:
    mean = np.array([1.0, 1.8, 2.9, 4.3])
    ranks = Ranks(tuple("abcd"), mean, 20, 0.01, 1.2)
    assert ranks.alike() == [(0, 1), (1, 2)]
    assert Ranks(tuple("abcd"), mean, 20, 0.01, 5.0).alike() == [(0, 3)]
    assert Ranks(tuple("abcd"), mean, 20, 0.01, 0.1).alike() == []


def test_two_data_sets_can_tell_nothing_and_it_says_so() -> None:
    found = rank_models(["a", "b", "c"], np.array([[0.3, 0.2, 0.1], [0.3, 0.1, 0.2]]))
    assert not found.can_tell
    text = ranks_text(found, "NDCG@100")
    assert text.startswith("Mean ranks by test NDCG@100 over 2 data sets: a 1.00, b 2.50, c 2.50.")
    assert "So few data sets cannot tell any two of 3 models apart: ranks differ by 2 at most." in text


def test_what_cannot_be_tested_has_no_p_value() -> None:
    two = rank_models(["a", "b"], np.array([[0.3, 0.2], [0.3, 0.1]]))
    assert math.isnan(two.p_value)
    assert "takes three models" in ranks_text(two, "NDCG@100")
    equal = rank_models(["a", "b", "c"], np.ones((4, 3)))
    assert equal.p_value == 1.0
    assert equal.mean.tolist() == [2.0, 2.0, 2.0]
