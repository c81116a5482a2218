"""Metrics of lists: by hand, by a naive loop, at both of their ends."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from distrecvae.metrics.lists import coverage, gini, novelty


def test_coverage_is_the_share_of_items_that_anybody_sees() -> None:
    assert coverage(np.array([3, 0, 1, 0])) == 0.5
    assert coverage(np.array([0, 0])) == 0.0
    with pytest.raises(ValueError, match="no item"):
        coverage(np.array([], dtype=np.int64))


def test_the_gini_index_at_its_ends() -> None:
    assert gini(np.array([5, 5, 5])) == 0.0
    assert gini(np.array([0, 0, 0, 9])) == 0.75  # 1 - 1/n: one item is all that is recommended
    assert math.isnan(gini(np.array([0, 0])))


@given(counts=arrays(np.int64, st.integers(1, 12), elements=st.integers(0, 50)))
def test_the_gini_index_is_half_the_relative_mean_difference(counts: npt.NDArray[np.int64]) -> None:
    # Its definition as Gini gave it: the mean difference of two items drawn at random, over twice the mean.
    if not counts.sum():
        return
    differences = sum(abs(int(a) - int(b)) for a in counts for b in counts)
    expected = differences / (2 * counts.size**2 * counts.mean())
    assert gini(counts) == pytest.approx(expected, abs=1e-12)
    assert gini(counts[::-1].copy()) == pytest.approx(gini(counts))


def test_novelty_is_in_bits_and_leaves_out_what_is_not_there() -> None:
    popularity = np.array([1.0, 0.5, 0.125])
    found = novelty(np.array([[0, 1], [2, -1], [1, 2]]), popularity)
    np.testing.assert_allclose(found, [0.5, 3.0, 2.0], atol=1e-15)
    assert math.isnan(novelty(np.array([[-1, -1]]), popularity)[0])
