"""A range may reach as far as the model's own limits, a trial's budget and the training set let it."""

from __future__ import annotations

from typing import Any

import pytest

from distrecvae.data.synthetic import synthetic_split
from distrecvae.search.planning.allowed import allowed
from distrecvae.search.space.space import SearchSpace

TRAIN = synthetic_split(n_users=300, n_items=100, seed=1).train


@pytest.mark.parametrize(
    ("changes", "takes"),
    [
        ({}, True),
        ({"dropout": 0.99}, True),
        ({"dropout": 1.0}, False),
        ({"learning_rate": 0.0}, False),
        ({"batch_size": TRAIN.n_users}, True),
        ({"batch_size": TRAIN.n_users + 1}, False),
        ({"encoder_passes": 19, "decoder_passes": 1}, True),
        ({"encoder_passes": 20, "decoder_passes": 1}, False),
        ({"decoder_passes": 0}, False),
    ],
)
def test_what_cannot_be_trained_is_not_allowed(changes: dict[str, Any], takes: bool) -> None:
    config = SearchSpace.load("recvae-demo").base
    assert allowed("recvae", 20, TRAIN)({**config, **changes}) is takes


def test_a_model_without_batches_and_cycles_has_no_such_limits() -> None:
    config = SearchSpace.load("ease").base
    assert allowed("ease", 1, TRAIN)(config)
    assert not allowed("ease", 1, TRAIN)({**config, "regularization": -1.0})
