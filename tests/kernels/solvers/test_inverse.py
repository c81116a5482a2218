"""Inverses block by block: against NumPy's in float64, in place, and what they tell on the way."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from distrecvae.activity import FACTORIZING, INVERTING, activity
from distrecvae.kernels.solvers import inverse
from distrecvae.kernels.solvers.inverse import invert_


def positive_definite(n: int) -> torch.Tensor:
    x = torch.from_numpy(np.random.default_rng(n).normal(size=(n, n + 5)))
    return x @ x.T + torch.eye(n)


@pytest.mark.parametrize("n", [1, 7, 16, 50])
@pytest.mark.parametrize("block", [1, 8, 64], ids=["a row", "some blocks", "one block"])
def test_the_inverse_is_numpys(n: int, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inverse, "BLOCK", block)
    matrix = positive_definite(n)
    expected = np.linalg.inv(matrix.numpy())
    memory = matrix.data_ptr()
    matrix += torch.full((n, n), 7.0).triu(1)  # what is above the diagonal is not read
    assert invert_(matrix)
    np.testing.assert_allclose(matrix, expected, rtol=0, atol=1e-10)
    np.testing.assert_allclose(matrix, matrix.T, rtol=0, atol=1e-12)  # the mirror is written, too
    assert matrix.data_ptr() == memory


def test_nothing_is_inverted_to_nothing() -> None:
    assert invert_(torch.zeros(0, 0, dtype=torch.float64))


@pytest.mark.parametrize("place", [0, 9, 19])
def test_what_has_no_inverse_is_said_in_whichever_block_it_shows(
    place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inverse, "BLOCK", 8)
    matrix = positive_definite(20)
    matrix[place, place] = -1.0
    assert not invert_(matrix)


def test_the_share_that_is_done_rises_evenly_with_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inverse, "BLOCK", 4)
    told: list[float] = []
    stages: list[str] = []

    def progress(share: float) -> None:
        told.append(share)
        stages.append(activity())

    assert invert_(positive_definite(400), progress)
    assert stages == [FACTORIZING] * 100 + [INVERTING] * 200
    assert activity() == ""
    assert len(told) == 3 * 100
    assert all(before < after for before, after in pairwise(told))
    assert told[-1] == pytest.approx(1)
    # Each of the three turns over all blocks is a third of n^3.
    assert [told[100 * turn - 1] for turn in (1, 2)] == pytest.approx([1 / 3, 2 / 3], abs=0.01)
