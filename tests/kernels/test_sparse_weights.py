"""Sparse weights between items: stored, loaded and scored with, against the dense matrix."""

from __future__ import annotations

import pytest
import torch

from distrecvae.errors import CheckpointError
from distrecvae.kernels import sparse_weights
from distrecvae.kernels.item_weights import ItemWeights
from distrecvae.kernels.sparse_weights import SparseItemWeights, load_weights, stored_bytes, stored_weights
from tests.kernels.random_users import dense, random_users

N_ITEMS = 40


def weights(share: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(N_ITEMS, N_ITEMS, generator=generator)
    return values.where(torch.rand(N_ITEMS, N_ITEMS, generator=generator) < share, 0.0)


def stored(weight: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the parameters, given the weights in no order."""
    features, items = weight.nonzero(as_tuple=True)
    mixed = torch.randperm(features.numel(), generator=torch.Generator().manual_seed(1))
    features, items = features[mixed], items[mixed]
    return stored_weights(features.int(), items.int(), weight[features, items], N_ITEMS)


@pytest.mark.parametrize(
    ("share", "kind"), [(0.0, SparseItemWeights), (0.1, SparseItemWeights), (0.6, ItemWeights)]
)
def test_scores_are_those_of_the_dense_matrix(
    share: float, kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sparse_weights, "USERS_AT_ONCE", 7)
    weight, users = weights(share), random_users(n_users=30, n_items=N_ITEMS)
    state = stored(weight)
    model = load_weights(None, N_ITEMS, state)
    assert type(model) is kind
    assert model.n_items == N_ITEMS
    expected = torch.from_numpy(dense(users)) @ weight.double()
    scores = model.score(users)
    assert scores.dtype == torch.float32
    torch.testing.assert_close(scores.double(), expected, rtol=1e-5, atol=1e-5)
    size = sum(value.numel() * value.itemsize for value in state.values())
    assert stored_bytes(int((weight != 0).sum()), N_ITEMS) == size


@pytest.mark.cuda
@pytest.mark.parametrize("columns", [7, 16, 512])
def test_a_gpu_gives_the_same_in_every_call(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # Sums by atomics differed from call to call, and with them what is tied.
    monkeypatch.setattr(sparse_weights, "COLUMNS_AT_ONCE", columns)
    users = random_users(n_users=30, n_items=N_ITEMS)
    state = stored(weights(0.1))
    model = load_weights(None, N_ITEMS, state, "cuda")
    assert isinstance(model, SparseItemWeights)
    scores = model.score(users)
    assert scores.is_cuda
    torch.testing.assert_close(
        scores.cpu(), load_weights(None, N_ITEMS, state).score(users), rtol=1e-5, atol=1e-6
    )
    assert torch.equal(scores, model.score(users))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("offsets", torch.zeros(N_ITEMS, dtype=torch.int64)),
        ("offsets", torch.arange(N_ITEMS + 1).flip(0)),
        ("items", torch.zeros(3, dtype=torch.int32)),
        ("values", torch.zeros(0, dtype=torch.float64)),
    ],
)
def test_another_models_weights_are_refused(name: str, value: torch.Tensor) -> None:
    state = stored(weights(0.1))
    with pytest.raises(CheckpointError, match="weights of 40 x 40 items"):
        load_weights(None, N_ITEMS, state | {name: value})
    with pytest.raises(CheckpointError, match="weights of 41 x 41 items"):
        load_weights(None, N_ITEMS + 1, state)
    state["items"][0] = N_ITEMS
    with pytest.raises(CheckpointError, match="weights of 40 x 40 items"):
        load_weights(None, N_ITEMS, state)


def test_an_item_is_not_like_itself() -> None:
    weight = weights(0.1)
    weight[3, 3], weight[3, 7] = 2.0, 1.0
    likeness = load_weights(None, N_ITEMS, stored(weight)).likeness(3)
    expected = weight[3].clone()
    expected[3] = 0.0
    assert torch.equal(likeness, expected)
