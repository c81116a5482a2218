"""Popularity: counts, the same for everybody."""

from __future__ import annotations

import pytest
import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import CheckpointError
from distrecvae.models.popularity import PopularityConfig, load_popularity, solve_popularity


def test_scores_are_training_counts() -> None:
    train = InteractionMatrix.from_pairs([0, 1, 2, 2], [1, 1, 1, 3], n_users=3, n_items=4)
    model = load_popularity(PopularityConfig(), 4, solve_popularity(PopularityConfig(), train))
    anyone = InteractionMatrix.from_pairs([0], [0], n_users=2, n_items=4)
    assert model.score(anyone).tolist() == [[0, 3, 0, 1]] * 2
    model.score(anyone).zero_()
    assert model.score(anyone)[0, 1] == 3, "a caller may overwrite the scores"


def test_another_models_parameters_are_refused() -> None:
    with pytest.raises(CheckpointError, match="counts of 4 items"):
        load_popularity(PopularityConfig(), 4, {"counts": torch.zeros(5)})
    with pytest.raises(CheckpointError, match="float32 counts of 5 items"):
        load_popularity(PopularityConfig(), 5, {"counts": torch.zeros(5, dtype=torch.int64)})
