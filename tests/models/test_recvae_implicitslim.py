"""ImplicitSLIM's step, against the dense formula of the published code in float64; the settings' rules."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import ConfigError, DivergedError
from distrecvae.kernels.sparse import SparseRows
from distrecvae.models import recvae_implicitslim
from distrecvae.models.recvae_implicitslim import RecVAEImplicitSLIMConfig, refined

Matrix = npt.NDArray[np.float64]


def random_cells(seed: int, n_users: int = 60, n_items: int = 31) -> Matrix:
    draws = np.random.default_rng(seed)
    cells = draws.random((n_users, n_items)) < draws.random(n_items) * 0.5
    cells[0] = False  # a user with nothing
    cells[1] = True  # a user with everything
    cells[:, 3] = False  # an item that nobody has
    return cells.astype(np.float64)


def sparse(cells: Matrix) -> SparseRows:
    matrix = InteractionMatrix.from_pairs(*np.nonzero(cells), n_users=cells.shape[0], n_items=cells.shape[1])
    return SparseRows.from_matrix(matrix)


def dense_step(V: Matrix, X: Matrix, lam: float, alpha: float, threshold: int) -> Matrix:
    """The published code's order of operations, all matrices dense, nothing rounded to half precision."""
    gram, counts = X.T @ X, X.sum(axis=0)
    A = np.where(counts < threshold, 0.0, V.T)
    M = (lam * A + A @ gram) / (counts + lam) ** 2
    AH = lam * M + M @ gram
    inner = np.linalg.inv(np.eye(len(A)) / alpha + AH @ A.T)
    found: Matrix = (alpha * V.T @ A.T @ (AH - AH @ A.T @ inner @ AH)).T
    return found


def direct_step(V: Matrix, X: Matrix, lam: float, alpha: float) -> Matrix:
    """The same without Woodbury: alpha (alpha A A^T + H^-1)^-1 A A^T V, items x items inverted, A = V."""
    gram = X.T @ X
    shifted = gram + lam * np.eye(len(gram))
    D = np.diag(1 / (np.diag(gram) + lam))
    H = shifted @ D @ D @ shifted
    found = alpha * np.linalg.solve(alpha * V @ V.T + np.linalg.inv(H), V @ (V.T @ V))
    return found.astype(np.float64)


@pytest.mark.parametrize("threshold", [0, 12])
@pytest.mark.parametrize("alpha", [0.01, 1.0, 10.0])
@pytest.mark.parametrize("lam", [0.5, 20.0, 1000.0])
def test_a_step_is_the_dense_formulas(lam: float, alpha: float, threshold: int) -> None:
    X = random_cells(1)
    V = np.random.default_rng(2).normal(size=(X.shape[1], 5))
    settings = {"regularization": lam, "alpha": alpha}
    found = refined(torch.from_numpy(V), sparse(X), **settings, min_item_interactions=threshold)
    expected = dense_step(V, X, lam, alpha, threshold)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max())
    if not threshold:
        np.testing.assert_allclose(found.numpy(), direct_step(V, X, lam, alpha), rtol=1e-6, atol=1e-9)


def test_blocks_of_columns_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    X = random_cells(3)
    V = torch.randn(X.shape[1], 7, generator=torch.Generator().manual_seed(0))
    whole = refined(V, sparse(X), regularization=3.0, alpha=1.0)
    monkeypatch.setattr(recvae_implicitslim, "BLOCK_BYTES", 8 * X.shape[0] * 3)
    parts = refined(V, sparse(X), regularization=3.0, alpha=1.0)
    assert parts.dtype == torch.float32
    torch.testing.assert_close(parts, whole, rtol=1e-6, atol=1e-7)


def test_without_a_limit_on_the_norm_products_with_the_embeddings_are_kept() -> None:
    """H A (A^T H A)^-1 A^T V: as 1 / alpha vanishes, A^T times it is A^T V, whatever H is."""
    X = random_cells(4)
    V = np.random.default_rng(5).normal(size=(X.shape[1], 4))
    found = refined(torch.from_numpy(V), sparse(X), regularization=2.0, alpha=1e9)
    np.testing.assert_allclose(V.T @ found.numpy(), V.T @ V, rtol=1e-6)


def test_nothing_is_items_by_items() -> None:
    """Peaks of what is allocated, not of a process: the largest tensor that any operation makes."""
    from torch.utils._python_dispatch import TorchDispatchMode

    largest = 0

    class Largest(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            nonlocal largest
            out = func(*args, **(kwargs or {}))
            for value in out if isinstance(out, tuple) else (out,):
                if isinstance(value, torch.Tensor) and value.layout == torch.strided:
                    largest = max(largest, value.numel())
            return out

    n_users, n_items, width = 50, 2000, 4
    draws = np.random.default_rng(0)
    rows = sparse((draws.random((n_users, n_items)) < 0.02).astype(np.float64))
    with Largest():  # type: ignore[no-untyped-call]
        refined(torch.randn(n_items, width), rows, regularization=5.0, alpha=1.0)
    assert n_items * width <= largest <= n_items * width * 2


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e200])
def test_embeddings_that_are_not_finite_are_divergence(value: float) -> None:
    X = random_cells(6)
    V = torch.ones(X.shape[1], 3, dtype=torch.float64)
    V[2, 1] = value
    with pytest.raises(DivergedError, match="lower learning_rate"):
        refined(V, sparse(X), regularization=1.0, alpha=1.0)


def test_a_threshold_that_no_item_reaches_is_refused() -> None:
    with pytest.raises(ConfigError, match="min_item_interactions is 1000; no item has more than"):
        refined(
            torch.ones(31, 2), sparse(random_cells(7)), regularization=1, alpha=1, min_item_interactions=1000
        )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"regularization": 0}, "regularization is 0; it must be a finite number above 0"),
        ({"alpha": -1.0}, "alpha is -1.0"),
        ({"min_item_interactions": 1.5}, "min_item_interactions is 1.5; it must be a whole number"),
        ({"refine_every": 0}, "refine_every is 0"),
        ({"gamma": None}, "exactly one of gamma and beta"),
    ],
)
def test_settings_keep_their_rules(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        RecVAEImplicitSLIMConfig(**settings)
