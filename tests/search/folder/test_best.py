"""The end of a search: what its best model gains over the first trial's."""

from __future__ import annotations

import numpy as np
import pytest

from distrecvae.evaluation import Evaluation
from distrecvae.metrics import METRICS
from distrecvae.search.folder.best import gain


def evaluation(seed: int, n_users: int) -> Evaluation:
    draw = np.random.default_rng(seed)
    per_user = {name: draw.random(n_users) for name in METRICS}
    return Evaluation(per_user, np.arange(n_users), n_skipped=0)


def test_the_gain_is_paired_by_user_and_in_the_direction_of_the_best() -> None:
    best, other = evaluation(1, 40), evaluation(2, 40)
    found = gain(best, other)
    assert found.keys() == METRICS.keys()
    for name, values in found.items():
        difference = best.per_user[name] - other.per_user[name]
        assert values["mean"] == pytest.approx(best.mean(name) - other.mean(name))
        assert values["standard_error"] == np.std(difference, ddof=1) / np.sqrt(
            40
        )  # as published before, to the bit


def test_one_user_has_a_gain_and_no_error() -> None:
    assert {values["standard_error"] for values in gain(evaluation(1, 1), evaluation(2, 1)).values()} == {0.0}
