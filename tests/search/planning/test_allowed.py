"""A range may reach as far as the model's own limits, a trial's budget and the training set let it."""

from __future__ import annotations

from typing import Any

import pytest

from distrecvae.data.synthetic import synthetic_split
from distrecvae.search.planning.allowed import allowed
from distrecvae.search.space.relative import Sizes
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
    space = SearchSpace.load("recvae-demo")
    assert allowed(space, 20, TRAIN)({**space.base, **changes}) is takes


def test_a_batch_that_the_space_had_before_is_no_reason_to_refuse_another_setting() -> None:
    # With the published batch of 500 a search on fewer users would never have widened anything.
    space = SearchSpace.load("recvae").resolved(Sizes.of(TRAIN))
    assert TRAIN.n_users < space.base["batch_size"]
    allows = allowed(space, 20, TRAIN)
    assert allows(space.base)
    assert not allows({**space.base, "batch_size": space.base["batch_size"] + 1})


def test_a_model_without_batches_and_cycles_has_no_such_limits() -> None:
    space = SearchSpace.load("ease").resolved(Sizes.of(TRAIN))
    assert allowed(space, 1, TRAIN)(space.base)
    assert not allowed(space, 1, TRAIN)({**space.base, "regularization": -1.0})
