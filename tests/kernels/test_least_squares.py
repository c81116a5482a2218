"""Weighted least squares: each row's factors against a plain ridge problem in float64, however rows are grouped."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import CheckpointError, DivergedError
from distrecvae.kernels import least_squares
from distrecvae.kernels.least_squares import (
    Factors,
    Side,
    Weights,
    item_side,
    load_factors,
    row_elements,
    solve_rows,
    user_side,
)
from distrecvae.kernels.sparse import SparseRows
from tests.kernels.factorization import ridge_rows
from tests.kernels.random_users import dense, random_users

ONE, LAMBDA, DIM = 4.0, 0.7, 5
TRAIN = random_users(n_users=60, n_items=25)
X = dense(TRAIN)
ITEMS = torch.from_numpy(np.random.default_rng(0).normal(size=(25, DIM)))
USERS = torch.from_numpy(np.random.default_rng(1).normal(size=(60, DIM)))


def weigh(counts: torch.Tensor, n_items: int) -> Weights:
    """Let a zero count by its user's interactions, so that users differ."""
    return Weights(ONE, (1 + counts.double()) / n_items)


W = np.where(X > 0, ONE, (1 + X.sum(axis=1, keepdims=True)) / 25)


def users_of(matrix: InteractionMatrix = TRAIN) -> Side:
    return user_side(SparseRows.from_matrix(matrix), weigh)


def items_of(matrix: InteractionMatrix = TRAIN) -> Side:
    columns = matrix.to_scipy().T.tocoo()
    transposed = InteractionMatrix.from_pairs(
        columns.row, columns.col, n_users=matrix.n_items, n_items=matrix.n_users
    )
    return item_side(users_of(matrix), SparseRows.from_matrix(transposed))


def loss_of_rows(
    x: npt.NDArray[np.float64], w: npt.NDArray[np.float64], factors: torch.Tensor, other: torch.Tensor
) -> float:
    error = (w * (x - factors.numpy() @ other.numpy().T) ** 2).sum()
    return float(error + LAMBDA * factors.square().sum())


@pytest.mark.parametrize("group", [1, 2000, 10**9], ids=["a row", "some rows", "all rows"])
@pytest.mark.parametrize("transposed", [False, True], ids=["users", "items"])
def test_factors_are_those_of_plain_ridge_problems(
    transposed: bool, group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(least_squares, "GROUP_BYTES", group)
    side, other = (items_of(), USERS) if transposed else (users_of(), ITEMS)
    x, w = (X.T, W.T) if transposed else (X, W)
    solution = solve_rows(side, other, LAMBDA)
    assert solution.factors.dtype == torch.float64
    np.testing.assert_allclose(solution.factors, ridge_rows(x, w, other.numpy(), LAMBDA), atol=1e-10)
    # What they explain is all of the loss that is not there any more.
    expected = loss_of_rows(x, w, solution.factors, other)
    assert ONE * X.sum() - float(solution.explained) == pytest.approx(expected, rel=1e-9)


def test_rows_are_solved_in_the_type_that_is_asked_for() -> None:
    rough = ITEMS.float()
    expected = ridge_rows(X, W, rough.double().numpy(), LAMBDA)
    for dtype, tolerance in ((None, 1e-4), (torch.float64, 1e-5)):
        factors = solve_rows(users_of(), rough, LAMBDA, dtype).factors
        assert factors.dtype == (dtype or torch.float32)
        np.testing.assert_allclose(factors, expected, atol=tolerance)


def test_a_row_without_interactions_has_no_factors() -> None:
    assert X[-1].sum() == 0
    assert not solve_rows(users_of(), ITEMS, LAMBDA).factors[-1].any()
    nobody = InteractionMatrix.from_pairs([], [], n_users=3, n_items=25)
    solution = solve_rows(users_of(nobody), ITEMS, LAMBDA)
    assert torch.equal(solution.factors, torch.zeros(3, DIM, dtype=torch.float64))
    assert float(solution.explained) == 0


def test_no_rows_are_solved_at_once() -> None:
    none = InteractionMatrix.from_pairs([], [], n_users=0, n_items=25)
    solution = solve_rows(users_of(none), ITEMS, LAMBDA)
    assert solution.factors.shape == (0, DIM)
    assert float(solution.explained) == 0


def test_a_user_of_all_items_is_solved_too() -> None:
    everything = InteractionMatrix.from_pairs([0] * 25, range(25), n_users=1, n_items=25)
    found = solve_rows(users_of(everything), ITEMS, LAMBDA).factors
    np.testing.assert_allclose(
        found, ridge_rows(np.ones((1, 25)), np.full((1, 25), ONE), ITEMS.numpy(), LAMBDA), atol=1e-10
    )


def test_a_group_keeps_to_its_bytes_unless_one_row_is_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    groups: list[tuple[int, int]] = []
    multiply = torch.bmm

    def counted(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        groups.append((right.shape[0], 8 * right.shape[0] * row_elements(right.shape[1], right.shape[2])))
        return multiply(left, right)

    limit = 600
    monkeypatch.setattr(torch, "bmm", counted)
    monkeypatch.setattr(least_squares, "GROUP_BYTES", limit)
    solve_rows(users_of(), ITEMS, LAMBDA)
    assert sum(rows for rows, _ in groups) == 60
    assert {1} < {rows for rows, _ in groups}, "rows are not grouped"
    assert all(size <= limit or rows == 1 for rows, size in groups)


def test_a_row_takes_its_factors_and_its_matrix() -> None:
    assert row_elements(7, 3) == 7 * 3 + 3 * 3
    assert row_elements(0, 3) == 9
    assert row_elements(0, 0) == 1, "it is divided by"


def test_what_cannot_be_solved_is_said() -> None:
    with pytest.raises(DivergedError, match="raise regularization") as caught:
        solve_rows(users_of(), torch.full((25, 5), 1e6), 1e-9)
    assert "least squares cannot be solved with regularization 1e-09 in torch.float32" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_matrix_that_is_not_positive_definite_is_refused_though_what_comes_of_it_is_finite() -> None:
    with pytest.raises(DivergedError, match="raise regularization"):
        solve_rows(users_of(), ITEMS[:, :1], -1e6)


def test_factors_that_are_no_numbers_are_not_passed_off_as_a_solution() -> None:
    for value in (float("nan"), float("inf")):
        with pytest.raises(DivergedError, match="raise regularization"):
            solve_rows(users_of(), torch.full((25, 5), value), LAMBDA)
    with pytest.raises(DivergedError, match="raise regularization"):  # a matrix of one infinity has a factor
        solve_rows(users_of(), torch.full((25, 1), 3e38), LAMBDA)


def test_items_problems_are_the_users_with_the_roles_of_zeros_exchanged() -> None:
    users, items = users_of(), items_of()
    assert items.one == users.one
    assert torch.equal(items.row_zeros, users.column_zeros)
    assert torch.equal(items.column_zeros, users.row_zeros)
    weights = users.row_zeros[:, None] * users.column_zeros
    np.testing.assert_allclose(weights.numpy()[X == 0], W[X == 0])


def test_users_are_scored_by_the_problem_of_training() -> None:
    model = Factors(ITEMS, weigh, LAMBDA)
    assert model.n_items == 25
    scores = model.score(TRAIN)
    assert scores.dtype == torch.float32
    expected = ridge_rows(X, W, ITEMS.numpy(), LAMBDA) @ ITEMS.numpy().T
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    assert not scores[-1].any(), "a user without items"


@pytest.mark.parametrize(("spread", "regularization"), [(1.0, LAMBDA), (1e-3, 1e-4)])
def test_scores_are_the_same_whoever_else_is_scored(spread: float, regularization: float) -> None:
    # Also where items are nearly alike, so that float32 would leave little of the users' factors.
    model = Factors((torch.ones(25, DIM) + spread * ITEMS).float(), weigh, regularization)
    together = model.score(TRAIN)
    for user in range(60):
        alone = model.score(TRAIN.slice(user, user + 1))
        torch.testing.assert_close(together[user : user + 1], alone, rtol=0, atol=4e-5)


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"weight": ITEMS.float()},
        {"items": torch.zeros(25, 4)},
        {"items": torch.zeros(24, 5)},
        {"items": torch.zeros(25, 5, dtype=torch.float64)},
        {"items": torch.zeros(25, 5, dtype=torch.int64)},
    ],
)
def test_another_models_state_is_refused(state: dict[str, torch.Tensor]) -> None:
    with pytest.raises(
        CheckpointError, match=r"hold 5 float32 factors for each of 25 items; it is another model's"
    ):
        load_factors(25, 5, state, "cpu", weigh, 1.0)
    items = ITEMS.float()
    assert torch.equal(load_factors(25, 5, {"items": items}, "cpu", weigh, 1.0).items, items)
