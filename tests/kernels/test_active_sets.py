"""Active sets: exact weights, against scikit-learn's, and what is not solved is told by name, not passed off."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.kernels import active_sets
from distrecvae.kernels.active_sets import Solved, joined, solve_active_sets, working_bytes
from distrecvae.kernels.item_weights import gram_matrix
from tests.kernels.elastic_nets import as_matrix, assert_minimum, scikit_learns, twins
from tests.kernels.random_users import dense, random_users
from tests.soft_cuda import SoftDevice

WAITS_A_ROUND = 4

PENALTIES = [(1.0, 5.0), (0.2, 0.5), (8.0, 40.0)]


def gram_of(train: InteractionMatrix) -> torch.Tensor:
    return gram_matrix(train, torch.float64, "cpu")


GRAM = gram_of(random_users(n_users=200, n_items=150))


def solve(
    gram: torch.Tensor,
    l1: float = 1.0,
    l2: float = 5.0,
    *,
    items: torch.Tensor | None = None,
    tolerance: float = 1e-9,
    limit: int | None = None,
) -> Solved:
    items = torch.arange(len(gram)) if items is None else items
    return solve_active_sets(gram, items, l1, l2, tolerance, len(gram) if limit is None else limit)


@pytest.mark.parametrize(("l1", "l2"), PENALTIES)
def test_weights_are_scikit_learns(l1: float, l2: float) -> None:
    train = random_users(n_users=150, n_items=30)
    solved = solve(gram_of(train), l1, l2, tolerance=1e-10)
    assert not solved.left.numel()
    np.testing.assert_allclose(as_matrix(solved, 30), scikit_learns(dense(train), l1, l2), atol=1e-6)


@pytest.mark.parametrize(("l1", "l2"), PENALTIES)
@pytest.mark.parametrize("n_items", [30, 150])
def test_weights_fulfil_the_conditions_of_a_minimum(l1: float, l2: float, n_items: int) -> None:
    gram = gram_of(random_users(n_users=200, n_items=n_items))
    solved = solve(gram, l1, l2)
    assert not solved.left.numel()
    assert_minimum(as_matrix(solved, n_items), gram, l1, l2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_returned_are_positive_weights_and_their_places(dtype: torch.dtype) -> None:
    solved = solve(GRAM.to(dtype), tolerance=1e-4)
    assert (solved.features.dtype, solved.items.dtype) == (torch.int32, torch.int32)
    assert (solved.values.dtype, solved.left.dtype) == (dtype, torch.int64)
    assert (solved.values > 0).all()
    places = solved.features.long() * 150 + solved.items
    assert len(set(places.tolist())) == places.numel()


def test_an_items_weights_are_its_own_whoever_else_is_solved() -> None:
    whole = as_matrix(solve(GRAM), 150)
    some = torch.tensor([140, 3, 77])  # in no order
    alone = as_matrix(solve(GRAM, items=some), 150)
    torch.testing.assert_close(alone[:, some], whole[:, some], rtol=1e-9, atol=1e-12)
    alone[:, some] = 0
    assert not alone.any(), "a weight of an item that was not asked for"


@pytest.mark.parametrize(("name", "value"), [("CELLS_AT_ONCE", 1), ("INT32_MAX", 0), ("TAKEN_IN", 4)])
def test_how_the_work_is_cut_changes_nothing(name: str, value: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # One system a call; places that need 64 bits, as those of 46,341 items and more do; more rounds.
    expected = as_matrix(solve(GRAM), 150)
    monkeypatch.setattr(active_sets, name, value)
    torch.testing.assert_close(as_matrix(solve(GRAM), 150), expected, rtol=1e-9, atol=1e-12)


def test_an_item_is_done_when_no_zero_would_grow_by_more_than_the_tolerance() -> None:
    tolerance = 0.1
    solved = solve(GRAM, tolerance=tolerance)
    weight = as_matrix(solved, 150)
    growth = (GRAM - 1.0 - GRAM @ weight) / (GRAM.diagonal() + 5.0)[:, None]
    growth[weight > 0] = 0
    growth.fill_diagonal_(0.0)
    assert (growth.amax(dim=0) <= tolerance * weight.amax(dim=0) + 1e-12).all()
    assert solved.values.numel() < solve(GRAM).values.numel(), "a loose tolerance spares nothing"


def test_systems_that_are_singular_are_left_and_the_others_solved() -> None:
    others = gram_of(random_users(n_users=150, n_items=30))
    gram = torch.zeros(70, 70, dtype=torch.float64)
    gram[:40, :40], gram[40:, 40:] = gram_of(twins()), others
    solved = solve(gram, 0.5, 0.0)
    assert sorted(solved.left.tolist()) == list(range(40))
    weight = as_matrix(solved.without(solved.left), 70)
    assert not weight[:40].any()
    assert_minimum(weight[40:, 40:], others, 0.5, 0.0)


def test_an_item_whose_set_is_beyond_the_limit_is_left_with_the_weights_so_far(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(active_sets, "TAKEN_IN", 4)
    solved = solve(GRAM, limit=20)
    assert 0 < solved.left.numel() < 150
    assert len(set(solved.left.tolist())) == solved.left.numel()
    begun = torch.isin(solved.items.long(), solved.left)
    assert begun.any(), "nothing to continue from"
    assert (solved.values > 0).all()
    rest = solved.without(solved.left)
    assert not rest.left.numel()
    assert torch.equal(rest.items, solved.items[~begun])
    assert torch.equal(rest.values, solved.values[~begun])
    done = torch.tensor(sorted(set(range(150)) - set(solved.left.tolist())))
    exact = as_matrix(solve(GRAM), 150)
    torch.testing.assert_close(as_matrix(rest, 150)[:, done], exact[:, done], rtol=1e-9, atol=1e-12)


def test_a_large_set_that_is_right_is_not_left() -> None:
    # Item 0 is explained by all of five others at once: its set of five is complete after one round.
    x = torch.zeros(60, 6, dtype=torch.float64)
    for k in range(1, 6):
        x[10 * k : 10 * k + 10, [0, k]] = 1
    solved = solve(x.T @ x, 1.0, 1.0, items=torch.tensor([0]), limit=2)
    assert solved.items.tolist() == [0] * 5
    assert not solved.left.numel()


def test_items_that_rounds_do_not_end_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    positive = (as_matrix(solve(GRAM), 150) > 0).any(dim=0)
    monkeypatch.setattr(active_sets, "MAX_ROUNDS", 1)
    solved = solve(GRAM)
    # The first round sees that zeros want to grow, and takes them in; nobody is solved but those of no weight.
    assert sorted(solved.left.tolist()) == positive.nonzero().flatten().tolist()
    assert not solved.values.numel()


@pytest.mark.parametrize(("l1", "l2"), [(0.0, 0.0), (1.0, 5.0)])
def test_an_item_of_nobody_has_no_weights_and_is_in_nobodys_way(
    l1: float, l2: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(active_sets, "TAKEN_IN", 1)  # it could take the place of those that want to grow
    gram = gram_of(InteractionMatrix.from_pairs([0, 0, 1], [0, 1, 1], n_users=2, n_items=3))
    solved = solve(gram, l1, l2)
    if not l1:
        assert sorted(solved.items.tolist()) == [0, 1]
    assert 2 not in [*solved.features.tolist(), *solved.items.tolist(), *solved.left.tolist()]
    assert torch.isfinite(solved.values).all()


def test_a_single_item_has_nothing_to_be_explained_by() -> None:
    solved = solve(torch.ones(1, 1, dtype=torch.float64), 0.0, 0.0)
    assert [part.numel() for part in solved] == [0, 0, 0, 0]


def test_batches_are_joined_in_their_order() -> None:
    parts = [solve(GRAM, items=torch.tensor(items), limit=3) for items in ([0, 1], [5], [2])]
    whole = joined(parts)
    for number, tensors in enumerate(zip(*parts, strict=True)):
        assert torch.equal(whole[number], torch.cat(tensors))


def test_systems_stay_within_what_memory_is_counted_for(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: list[torch.Size] = []
    factorize = torch.linalg.cholesky_ex

    def counted(systems: torch.Tensor) -> Any:
        shapes.append(systems.shape)
        return factorize(systems)

    limit, cells = 12, 500
    monkeypatch.setattr(torch.linalg, "cholesky_ex", counted)
    monkeypatch.setattr(active_sets, "CELLS_AT_ONCE", cells)
    monkeypatch.setattr(active_sets, "TAKEN_IN", 1)
    solve(GRAM, limit=limit)
    sizes = [shape[-1] for shape in shapes]
    assert limit < max(sizes) <= limit + limit // 2, "a set is put aside only after it grew once more"
    assert max(shape.numel() for shape in shapes) <= max(cells, (limit + limit // 2) ** 2)
    monkeypatch.setattr(active_sets, "CELLS_AT_ONCE", 0)
    of_systems = working_bytes(0, 150, limit)
    assert of_systems >= 2 * 8 * max(sizes) ** 2, "a system and its factor"


def test_memory_is_that_of_rows_and_of_systems_no_larger_than_all_items() -> None:
    of_rows = [working_bytes(n, 1000, 400) - working_bytes(0, 1000, 400) for n in (1, 64)]
    assert of_rows[1] == 64 * of_rows[0]
    assert of_rows[0] >= 1000 * 3 * 4, "gains, products and growths"
    assert working_bytes(0, 1000, 10**6) == working_bytes(0, 1000, 1000)


def test_a_round_waits_for_a_gpu_four_times(soft_device: SoftDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    # Each index by a mask was a wait: about twenty a round.
    expected, rounds = solve(GRAM), 0
    sets = active_sets._Sets

    def counted(active: torch.Tensor) -> Any:
        nonlocal rounds
        rounds += 1
        return sets(active)

    monkeypatch.setattr(active_sets, "_Sets", counted)
    gram, items = GRAM.to("cuda"), torch.arange(len(GRAM), device="cuda")
    soft_device.reset_counts()
    solved = solve(gram, items=items)
    assert rounds > 3
    assert soft_device.n_waits <= WAITS_A_ROUND * rounds, soft_device.waits
    for found, here in zip(solved, expected, strict=True):
        torch.testing.assert_close(found.cpu(), here)
