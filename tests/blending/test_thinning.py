"""Thin weights: the greatest ones as they were, the others gone, and the model the same kind of model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from distrecvae.blending.thinning import SHARES, can_be_thin, thin_as, thin_variants, thin_weights
from distrecvae.kernels.sparse_weights import load_weights
from tests.blending.models import split, trained


def test_the_greatest_weights_are_kept_as_they_are() -> None:
    weight = torch.randn(30, 30, generator=torch.Generator().manual_seed(0))
    weight.fill_diagonal_(0)
    model = load_weights(None, 30, thin_weights(weight, 0.1))
    found = model.dense_scores(torch.eye(30))
    order = np.sort(np.abs(weight.numpy()).ravel())[::-1]
    expected = torch.where(weight.abs() >= float(order[89]), weight, torch.zeros(()))
    assert int((found != 0).sum()) == 90
    assert torch.equal(found, expected)


@pytest.mark.parametrize(("share", "kept"), [(0.0, 1), (1e-9, 1), (1.0, 16)])
def test_one_weight_at_least_and_all_at_most(share: float, kept: int) -> None:
    weight = torch.arange(1.0, 17.0).view(4, 4)
    model = load_weights(None, 4, thin_weights(weight, share))
    assert int((model.dense_scores(torch.eye(4)) != 0).sum()) == kept


def test_zeros_are_never_stored() -> None:
    weight = torch.zeros(10, 10)
    weight[0, 1] = 1
    state = thin_weights(weight, 0.2)  # twenty asked for, one there is
    assert state["values"].tolist() == [1.0]


def test_variants_have_ever_more_weights_and_score_ever_more_alike() -> None:
    ease = trained("ease")
    found = thin_variants(ease)
    assert [each.name for each in found] == [f"ease, {100 * share:g} % of its weights" for share in SHARES]
    assert {(each.thin_of, each.model, each.source) for each in found} == {("ease", "ease", "runs/ease")}
    sizes = [each.size_bytes for each in found]
    assert sizes == sorted(sizes)
    assert sizes[-1] < ease.size_bytes
    truth = ease.recommender.score(split().valid.fold_in)
    errors = [float((each.recommender.score(split().valid.fold_in) - truth).abs().mean()) for each in found]
    assert errors == sorted(errors, reverse=True)


def test_only_one_dense_matrix_between_items_can_be_thin() -> None:
    assert can_be_thin({"weight": torch.zeros(3, 3)})
    assert not can_be_thin({"weight": torch.zeros(3, 2)})
    assert not can_be_thin({"weight": torch.zeros(3, 3), "bias": torch.zeros(3)})
    assert not can_be_thin({"counts": torch.zeros(3)})
    assert thin_variants(trained("popularity")) == []
    assert thin_variants(thin_variants(trained("ease"))[0]) == []


def test_another_trainings_weights_get_as_thin() -> None:
    generator = torch.Generator().manual_seed(0)
    one, other = (torch.randn(30, 30, generator=generator) for _ in range(2))
    thin = thin_weights(one, 0.1)
    found = thin_as({"weight": other}, thin)
    assert set(found) == set(thin)
    for name, value in thin_weights(other, 0.1).items():
        assert torch.equal(found[name], value)


def test_whole_weights_and_other_models_stay_as_they_are() -> None:
    whole, counts = {"weight": torch.ones(4, 4)}, {"counts": torch.ones(4)}
    assert thin_as(whole, whole) is whole
    assert thin_as(counts, counts) is counts
