"""Conjugate gradients for weighted least squares: against plain ridge problems in float64, and what they must keep."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import DivergedError
from distrecvae.kernels.least_squares import Side, Weights, item_side, solve_rows, user_side
from distrecvae.kernels.solvers import conjugate_gradients
from distrecvae.kernels.solvers.conjugate_gradients import block_bytes, dots, improve_rows
from distrecvae.kernels.sparse import SparseRows
from tests.kernels.factorization import ridge_rows
from tests.kernels.random_users import dense, random_users

ONE, LAMBDA, DIM = 4.0, 0.7, 5
TRAIN = random_users(n_users=60, n_items=25)
X = dense(TRAIN)
ITEMS = torch.from_numpy(np.random.default_rng(0).normal(size=(25, DIM)))
USERS = torch.from_numpy(np.random.default_rng(1).normal(size=(60, DIM)))
W = np.where(X > 0, ONE, (1 + X.sum(axis=1, keepdims=True)) / 25)


def weigh(counts: torch.Tensor, n_items: int) -> Weights:
    """Let a zero count by its user's interactions, so that users differ."""
    return Weights(ONE, (1 + counts.double()) / n_items)


def users_of(matrix: InteractionMatrix = TRAIN) -> Side:
    return user_side(SparseRows.from_matrix(matrix), weigh)


def items_of() -> Side:
    columns = TRAIN.to_scipy().T.tocoo()
    transposed = InteractionMatrix.from_pairs(columns.row, columns.col, n_users=25, n_items=60)
    return item_side(users_of(), SparseRows.from_matrix(transposed))


def loss_of_rows(
    x: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    w: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    factors: torch.Tensor,
    other: torch.Tensor,
) -> float:
    error = (w * (x - factors.numpy() @ other.numpy().T) ** 2).sum()
    return float(error + LAMBDA * factors.square().sum())


@pytest.mark.parametrize("places", [1, 200, 10**9], ids=["a row", "some rows", "all rows"])
@pytest.mark.parametrize("transposed", [False, True], ids=["users", "items"])
def test_as_many_steps_as_factors_solve_plain_ridge_problems(
    transposed: bool, places: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conjugate_gradients, "BLOCK_PLACES", places)
    side, other, start = (items_of(), USERS, ITEMS) if transposed else (users_of(), ITEMS, USERS)
    x, w = (X.T, W.T) if transposed else (X, W)
    expected = ridge_rows(x, w, other.numpy(), LAMBDA)
    # From anywhere, by the theory in as many steps as there are factors; a few more are for rounding.
    for begun in (start, torch.zeros_like(start)):
        solution = improve_rows(side, other, begun, LAMBDA, steps=DIM + 3)
        assert solution.factors.dtype == torch.float64
        np.testing.assert_allclose(solution.factors, expected, atol=1e-10)
    # A row that is solved stays where it is.
    again = improve_rows(side, other, torch.from_numpy(expected), LAMBDA, steps=20)
    np.testing.assert_allclose(again.factors, expected, atol=1e-12)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_each_step_lowers_the_loss_and_what_is_explained_is_the_loss_there(steps: int) -> None:
    before = loss_of_rows(X, W, USERS, ITEMS)
    fewer = improve_rows(users_of(), ITEMS, USERS, LAMBDA, steps=steps)
    more = improve_rows(users_of(), ITEMS, USERS, LAMBDA, steps=steps + 1)
    losses = [loss_of_rows(X, W, solution.factors, ITEMS) for solution in (fewer, more)]
    assert before > losses[0] > losses[1]
    for solution, expected in zip((fewer, more), losses, strict=True):
        assert ONE * X.sum() - float(solution.explained) == pytest.approx(expected, rel=1e-9)


def test_the_preconditioner_is_worth_a_step() -> None:
    # The reason for its being there: from nothing, two steps with it are nearer to the minimum than three without.
    # Few directions hold most of the factors, as they do in trained ones: that is what plain gradients are slow at.
    rng = np.random.default_rng(2)
    popular = np.exp(rng.normal(size=80))
    seen = rng.random((300, 80)) < 0.2 * popular / popular.mean()
    train = InteractionMatrix.from_pairs(*np.nonzero(seen), n_users=300, n_items=80)
    factors = rng.normal(size=(80, 12)) / np.arange(1, 13)
    side, start = users_of(train), torch.zeros(300, 12, dtype=torch.float64)
    exact = float(solve_rows(side, torch.from_numpy(factors), LAMBDA).explained)
    two = float(improve_rows(side, torch.from_numpy(factors), start, LAMBDA, steps=2).explained)
    w = np.where(seen, ONE, (1 + seen.sum(axis=1, keepdims=True)) / 80)
    matrices = np.einsum("ui,if,ig->ufg", w, factors, factors) + LAMBDA * np.eye(12)
    right = (w * seen) @ factors
    found, residual, direction = np.zeros_like(right), right.copy(), right.copy()
    for _ in range(3):
        image, size = np.einsum("ufg,ug->uf", matrices, direction), (residual**2).sum(axis=1)
        length = (size / (direction * image).sum(axis=1))[:, None]
        found, residual = found + length * direction, residual - length * image
        direction = residual + ((residual**2).sum(axis=1) / size)[:, None] * direction
    three = ((right + residual) * found).sum()
    assert 0 < exact - two < exact - three


def test_a_row_without_interactions_gets_no_factors() -> None:
    assert X[-1].sum() == 0
    assert not improve_rows(users_of(), ITEMS, torch.zeros_like(USERS), LAMBDA).factors[-1].any()
    nobody = InteractionMatrix.from_pairs([], [], n_users=3, n_items=25)
    start = torch.zeros(3, DIM, dtype=torch.float64)
    solution = improve_rows(users_of(nobody), ITEMS, start, LAMBDA)
    assert torch.equal(solution.factors, start)
    assert float(solution.explained) == 0


def test_the_start_is_not_changed() -> None:
    start = USERS.clone()
    improve_rows(users_of(), ITEMS, start, LAMBDA)
    assert torch.equal(start, USERS)


def test_products_of_places_are_those_of_a_dense_product(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = SparseRows.from_matrix(TRAIN)
    expected = (USERS @ ITEMS.T)[rows.row_of, rows.items.long()]
    torch.testing.assert_close(dots(rows, USERS, ITEMS), expected, rtol=0, atol=1e-12)

    class Elsewhere(torch.Tensor):
        """Not the CPU's own kind: it takes the way of other devices, in several pieces."""

    monkeypatch.setattr("distrecvae.kernels.least_squares.GROUP_BYTES", 20 * 2 * DIM * 8)
    found = dots(rows, USERS.as_subclass(Elsewhere), ITEMS)
    torch.testing.assert_close(found.as_subclass(torch.Tensor), expected, rtol=0, atol=1e-12)
    nobody = SparseRows.from_matrix(InteractionMatrix.from_pairs([], [], n_users=3, n_items=25))
    assert dots(nobody, USERS[:3], ITEMS).shape == (0,)


def test_what_is_kept_of_interactions_is_bounded_unless_one_row_is_longer() -> None:
    assert block_bytes(10) == conjugate_gradients.PLACE_BYTES * conjugate_gradients.BLOCK_PLACES
    longer = conjugate_gradients.BLOCK_PLACES + 1
    assert block_bytes(longer) == conjugate_gradients.PLACE_BYTES * longer


def test_what_cannot_be_solved_is_said() -> None:
    start = torch.zeros(60, DIM)
    for items in (torch.full((25, DIM), 1e6), torch.full((25, DIM), float("nan"))):
        with pytest.raises(DivergedError, match="raise regularization") as caught:
            improve_rows(users_of(), items, start, 1e-9)
        assert "least squares cannot be solved with regularization 1e-09 in torch.float32" in str(
            caught.value
        )
    with pytest.raises(DivergedError, match="raise regularization"):
        improve_rows(users_of(), ITEMS, USERS, -1e6)
