"""Rankings of what denoising withheld: against NDCG by hand, user by user."""

from __future__ import annotations

import math

import pytest
import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import DivergedError
from distrecvae.evaluation import BATCH_USERS
from distrecvae.kernels.sparse import SparseRows
from distrecvae.training.schemes.withheld import withheld_ndcg
from tests.soft_cuda import SoftDevice


def test_the_target_of_a_ranking_by_hand() -> None:
    matrix = InteractionMatrix.from_pairs([0, 0, 0, 1, 1], [0, 1, 4, 2, 3], n_users=3, n_items=5)
    rows = SparseRows.from_matrix(matrix)
    kept = torch.tensor([True, False, False, True, True])
    logits = torch.tensor([[9.0, 3, 8, 4, 7], [1, 2, 3, 4, 5], [1, 2, 3, 4, 5]])
    # User 0 saw item 0; items 2, 4, 3, 1 follow, and 4 and 1 were withheld: ranks 2 and 4 of what could be 1 and 2.
    expected = (1 / math.log2(3) + 1 / math.log2(5)) / (1 + 1 / math.log2(3))
    found = withheld_ndcg(lambda code: code.clone(), logits, rows, kept)
    torch.testing.assert_close(found, torch.tensor([expected, 0.0, 0.0]))


def test_targets_of_many_users_are_those_of_each() -> None:
    generator = torch.Generator().manual_seed(0)
    n_users = 450  # several batches of logits
    cells = torch.rand(n_users, 30, generator=generator) < 0.3
    users, items = cells.nonzero(as_tuple=True)
    rows = SparseRows.from_matrix(InteractionMatrix.from_pairs(users, items, n_users=n_users, n_items=30))
    kept = torch.rand(users.numel(), generator=generator) < 0.5
    logits = torch.randn(n_users, 30, generator=generator, dtype=torch.float64)
    together = withheld_ndcg(lambda code: code.clone(), logits, rows, kept)
    for user in (0, 199, 200, 449):
        alone = withheld_ndcg(
            lambda code: code.clone(),
            logits[user : user + 1],
            rows.slice(user, user + 1),
            kept[users == user],
        )
        torch.testing.assert_close(together[user : user + 1], alone)


def by_hand(scores: list[float], withheld: list[int], shown: list[int]) -> float:
    """Return NDCG@100 rank by rank."""
    order = sorted((i for i in range(len(scores)) if i not in shown), key=lambda i: -scores[i])[:100]
    gained = sum(1 / math.log2(rank + 2) for rank, item in enumerate(order) if item in withheld)
    return gained / sum(1 / math.log2(rank + 2) for rank in range(min(100, len(withheld))))


def test_beyond_the_hundredth_rank_nothing_is_gained() -> None:
    generator = torch.Generator().manual_seed(0)
    n_items, n_own = 300, 150
    logits = torch.randn(1, n_items, generator=generator, dtype=torch.float64)
    own = torch.randperm(n_items, generator=generator)[:n_own].sort().values
    rows = SparseRows.from_matrix(InteractionMatrix.from_pairs([0] * n_own, own, n_users=1, n_items=n_items))
    kept = torch.arange(n_own) < 20
    found = withheld_ndcg(lambda code: code.clone(), logits, rows, kept)
    expected = by_hand(logits[0].tolist(), own[~kept].tolist(), own[kept].tolist())
    assert float(found) == pytest.approx(expected, rel=1e-12)
    assert 0 < expected < 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_is_of_the_codes_type(dtype: torch.dtype) -> None:
    rows = SparseRows.from_matrix(InteractionMatrix.from_pairs([0, 1], [0, 1], n_users=3, n_items=4))
    found = withheld_ndcg(
        lambda code: code.clone(), torch.ones(3, 4, dtype=dtype), rows, torch.zeros(2).bool()
    )
    assert (found.dtype, tuple(found.shape)) == (dtype, (3,))
    # All are alike, so by position: item 0 comes first, item 1 second.
    torch.testing.assert_close(found, torch.tensor([1.0, 1 / math.log2(3), 0.0], dtype=dtype))


def test_where_the_model_saw_all_there_is_nothing_to_find() -> None:
    rows = SparseRows.from_matrix(InteractionMatrix.from_pairs([0, 0], [0, 1], n_users=2, n_items=3))
    found = withheld_ndcg(lambda code: code.clone(), torch.randn(2, 3), rows, torch.ones(2).bool())
    assert found.tolist() == [0.0, 0.0]


def test_logits_are_made_for_some_users_at_a_time() -> None:
    n_users = 2 * BATCH_USERS + 1
    rows = SparseRows.from_matrix(
        InteractionMatrix.from_pairs(range(n_users), [0] * n_users, n_users=n_users, n_items=2)
    )
    sizes = []

    def logits(code: torch.Tensor) -> torch.Tensor:
        sizes.append(code.shape[0])
        return code.clone()

    withheld_ndcg(logits, torch.zeros(n_users, 2), rows, torch.zeros(n_users).bool())
    assert sizes == [BATCH_USERS, BATCH_USERS, 1]


def test_logits_that_are_no_numbers_are_divergence() -> None:
    rows = SparseRows.from_matrix(InteractionMatrix.from_pairs([0], [0], n_users=1, n_items=2))
    for value in (math.nan, math.inf):
        with pytest.raises(DivergedError):
            withheld_ndcg(
                lambda code: code.clone(), torch.tensor([[0.0, value]]), rows, torch.zeros(1).bool()
            )


@pytest.mark.cuda
@pytest.mark.parametrize("n_items", [60, 300])
def test_a_gpu_is_not_waited_for_and_gives_the_same(n_items: int, cuda_device: SoftDevice | None) -> None:
    # Five downloads and a ranking on the host a batch, and no step with that in it could be recorded.
    generator = torch.Generator().manual_seed(0)
    n_users, spare = 430, 500
    cells = torch.rand(n_users, n_items, generator=generator) < torch.rand(n_users, 1, generator=generator)
    cells[7] = False
    users, items = cells.nonzero(as_tuple=True)
    matrix = InteractionMatrix.from_pairs(users, items, n_users=n_users, n_items=n_items)
    kept = torch.rand(users.numel(), generator=generator) < 0.5
    # Rounded, so that many are tied.
    weight, code = (torch.randn(n, 4, generator=generator).round(decimals=1) for n in (n_items, n_users))
    expected = withheld_ndcg(lambda code: code @ weight.T, code, SparseRows.from_matrix(matrix), kept)
    rows = SparseRows.from_matrix(matrix, "cuda")
    rows = rows.take(torch.arange(n_users, device="cuda"), users.numel() + spare, padded=True)
    seen = torch.cat([kept, torch.zeros(spare, dtype=torch.bool)]).to("cuda")
    there, code = weight.to("cuda"), code.to("cuda")
    if cuda_device is not None:
        cuda_device.forbids_waits = True
    found = withheld_ndcg(lambda code: code @ there.T, code, rows, seen)
    if cuda_device is not None:
        cuda_device.forbids_waits = False
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-6, atol=1e-6)  # float32 of the same float64
