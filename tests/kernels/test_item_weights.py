"""Weights between items: scores are sums of them, and what they are learned from is counted, measured and lent."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch

from distrecvae.activity import GRAM, activity
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import CheckpointError
from distrecvae.kernels import item_weights
from distrecvae.kernels.item_weights import (
    ItemWeights,
    gram_arrays,
    gram_arrays_bytes,
    gram_bytes,
    gram_matrix,
    lent_gram,
    load_item_weights,
)
from tests.kernels.random_users import dense, random_users

SHARES = (10 / 25, 20 / 25, 1.0)
WEIGHT = torch.from_numpy(np.random.default_rng(0).normal(size=(20, 20))).float()


def test_scores_are_sums_of_weights_and_nothing_for_a_user_without_items() -> None:
    users = random_users(n_users=9, n_items=20, seed=1)
    scores = ItemWeights(WEIGHT).score(users)
    assert scores.dtype == torch.float32
    np.testing.assert_allclose(scores.numpy(), dense(users) @ WEIGHT.double().numpy(), atol=1e-6)
    assert not scores[-1].any()


def test_an_item_is_not_like_itself_and_the_weights_stay() -> None:
    # RDLAE's weights have a diagonal; `similar` promises none.
    weight = WEIGHT.clone()
    likeness = ItemWeights(weight).likeness(3)
    assert likeness[3] == 0
    assert torch.equal(torch.cat([likeness[:3], likeness[4:]]), torch.cat([WEIGHT[3, :3], WEIGHT[3, 4:]]))
    assert torch.equal(weight, WEIGHT)


def test_rows_with_a_place_for_every_item_score_the_same() -> None:
    users = random_users(n_users=9, n_items=20, seed=1)
    model = ItemWeights(WEIGHT)
    assert model.n_items == 20
    x = torch.from_numpy(dense(users)).float()
    torch.testing.assert_close(model.dense_scores(x), model.score(users))


def test_a_state_is_loaded_as_it_is() -> None:
    assert torch.equal(load_item_weights(None, 20, {"weight": WEIGHT}).weight, WEIGHT)


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"counts": torch.zeros(4)},
        {"weight": torch.zeros(5, 5)},
        {"weight": torch.zeros(4, 5)},
        {"weight": torch.zeros(16)},
        {"weight": torch.zeros(4, 4, dtype=torch.float64)},
    ],
    ids=["nothing", "another name", "other items", "not square", "flat", "another type"],
)
def test_another_models_state_is_refused(state: dict[str, torch.Tensor]) -> None:
    with pytest.raises(CheckpointError, match=r"not hold float32 weights of 4 x 4 items; it is another") as e:
        load_item_weights(None, 4, state)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("block", [1, 7, 20, 512])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_gram_matrix_counts_users_who_have_both(
    block: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = random_users(n_users=100, n_items=20)
    monkeypatch.setattr(item_weights, "BLOCK_ITEMS", block)
    gram = gram_matrix(train, dtype, "cpu")
    assert gram.dtype == dtype
    np.testing.assert_array_equal(gram.numpy(), dense(train).T @ dense(train))


def test_of_no_users_it_is_zero_and_of_no_items_it_is_empty() -> None:
    nobody = InteractionMatrix.from_pairs([], [], n_users=0, n_items=3)
    assert torch.equal(gram_matrix(nobody, torch.float64, "cpu"), torch.zeros(3, 3, dtype=torch.float64))
    nothing = InteractionMatrix.from_pairs([], [], n_users=3, n_items=0)
    assert gram_matrix(nothing, torch.float32, "cpu").shape == (0, 0)


def test_the_size_of_what_is_lent_is_known_beforehand() -> None:
    train = random_users(n_users=100, n_items=23)
    arrays = gram_arrays(train)
    assert gram_arrays_bytes(train) == sum(array.nbytes for array in arrays.values())
    np.testing.assert_array_equal(arrays["gram"], dense(train).T @ dense(train))


def test_what_is_lent_is_read_where_it_lies_without_a_word() -> None:
    # As processes see it that share memory: read-only, which PyTorch would warn of.
    arrays = gram_arrays(random_users(n_users=100, n_items=20))
    arrays["gram"].flags.writeable = False
    other = random_users(n_users=5, n_items=20, seed=9)  # it is taken as it is, and not computed
    torch.set_warn_always(True)
    try:
        assert lent_gram(other, arrays).data_ptr() == arrays["gram"].ctypes.data
    finally:
        torch.set_warn_always(False)


def test_what_is_not_lent_is_computed() -> None:
    train = random_users(n_users=100, n_items=20)
    gram = lent_gram(train, None)
    assert gram.dtype == torch.float32
    np.testing.assert_array_equal(gram.numpy(), dense(train).T @ dense(train))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n_users", [50, 3000])
def test_memory_is_near_its_estimate(n_users: int, dtype: torch.dtype) -> None:
    train = random_users(n_users=n_users, n_items=700)
    result = dtype.itemsize * 700**2  # PyTorch's memory, which the tracer does not see
    tracemalloc.start()
    try:
        gram_matrix(train, dtype, "cpu")
        measured = tracemalloc.get_traced_memory()[1] + result
    finally:
        tracemalloc.stop()
    estimate = gram_bytes(train, dtype.itemsize)
    assert 0.7 * estimate <= measured <= 1.5 * estimate
    assert gram_bytes(train, 8) - gram_bytes(train, 4) == 4 * 700**2


def test_the_gram_matrix_says_how_far_it_is_and_a_lent_one_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_weights, "BLOCK_ITEMS", 10)
    users = random_users(n_users=9, n_items=25, seed=1)
    told: list[tuple[str, float]] = []

    def progress(share: float) -> None:
        told.append((activity(), share))

    arrays = gram_arrays(users, progress)
    assert [what for what, _ in told] == [GRAM] * 3
    assert [share for _, share in told] == pytest.approx(SHARES)
    told.clear()
    lent = lent_gram(users, arrays, progress)
    assert told == []
    assert torch.equal(lent_gram(users, None, progress), lent)
    assert len(told) == len(SHARES)
    assert activity() == ""
