"""EASE, EDLAE and RDLAE: linear weights between items, held from predicting an item by itself, in closed form.

Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019: min over B of ||X - X B||^2 + lambda ||B||^2
with diag(B) = 0 is, with P = (X^T X + lambda I)^-1, solved by B_ij = -P_ij / P_jj off the diagonal.

Steck, "Autoencoders that don't overfit towards the Identity", NeurIPS 2020 (EDLAE): hiding a share p of each user's
items while all of them are to be predicted is, in expectation, a weight of its own for each item,
Lambda_jj = lambda + p / (1 - p) (X^T X)_jj, in the place of lambda.

Moon, Kim, Lee, "It's Enough: Relaxing Diagonal Constraints in Linear Autoencoders for Recommendation", SIGIR 2023
(RDLAE): with diag(B) <= xi in the place of diag(B) = 0, B = I - P diag(c), c_j = max(Lambda_jj, (1 - xi) / P_jj). At
xi = 0 the second is never the smaller one, and that is EDLAE's solution; items whose own weight would stay below xi
anyhow are then not held back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import torch

from distrecvae.checks import require_fraction, require_number
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import DivergedError
from distrecvae.kernels.item_weights import BLOCK_ITEMS, gram_bytes, lent_gram
from distrecvae.kernels.solvers.inverse import invert_
from distrecvae.kernels.sparse_weights import load_weights

load_ease = load_weights  # sparse where a blend keeps the greatest weights alone


@dataclass(frozen=True, kw_only=True)
class EASEConfig:
    """Settings of EASE; the default is the published one for MovieLens-20M.

    Attributes:
        regularization: lambda, the weight of ||B||^2: users that an item's own count is raised by.
        dropout: p, the share of a user's items hidden from the model while it learns to predict all (EDLAE).
        xi: the most that an item may add to its own score (RDLAE); 0 for a zero diagonal.

    Raises:
        ConfigError: a value breaks its rule.
    """

    regularization: float = 500.0
    dropout: float = 0.0
    xi: float = 0.0

    def __post_init__(self) -> None:
        require_number("regularization", self.regularization, above=0)
        for name in ("dropout", "xi"):
            require_fraction(name, getattr(self, name))


def solve_ease(
    config: EASEConfig,
    train: InteractionMatrix,
    device: torch.device | str = "cpu",
    common: Mapping[str, npt.NDArray[Any]] | None = None,
    progress: Callable[[float], None] | None = None,
) -> dict[str, torch.Tensor]:
    """Return the parameters: ``weight``, B, float32, (n_items, n_items); solved in float64.

    Args:
        config: the regularization, dropout and xi.
        train: the training users.
        device: where to solve.
        common: the Gram matrix, where it is lent (`gram_arrays`); None computes it.
        progress: on the CPU called now and then, from this thread, with the share of the Gram matrix that is done,
            unless it is lent, and then with that of the inversion.

    Raises:
        DivergedError: the Gram matrix cannot be inverted with so little regularization.
    """
    # Counts of users are whole in float32; the copy in float64 is ours to change.
    gram = lent_gram(train, common, progress).to(device).to(torch.float64)
    own = _own_weights(config, gram.diagonal())
    gram.diagonal().add_(own)
    singular = DivergedError(
        f"X^T X + {config.regularization} I is singular in float64; raise regularization"
    )
    if gram.is_cuda:
        factor, failed = torch.linalg.cholesky_ex(gram)
        del gram  # one matrix of this size less while the next is made
        if int(failed):
            raise singular
        return {"weight": _weights_by_blocks(factor, own, config.xi)}
    if not invert_(gram, progress):
        raise singular
    diagonal = gram.diagonal().clone()
    gram.div_(_divisors(diagonal, own, config.xi))
    gram.diagonal().copy_(_own_score(diagonal, own, config.xi))
    return {"weight": gram.to(torch.float32)}


def _own_weights(config: EASEConfig, counts: torch.Tensor) -> torch.Tensor:
    """Return Lambda's diagonal, (n_items,), given how many users have each item."""
    return config.dropout / (1 - config.dropout) * counts + config.regularization


def _divisors(diagonal: torch.Tensor, own: torch.Tensor, xi: float) -> torch.Tensor:
    """Return what the columns of P are divided by, -1 / c: (n_columns,), given P's diagonal and Lambda's there."""
    if xi == 0:
        return -diagonal
    return -torch.minimum(diagonal / (1 - xi), 1 / own)


def _own_score(diagonal: torch.Tensor, own: torch.Tensor, xi: float) -> torch.Tensor:
    """Return B's diagonal, min(xi, 1 - Lambda_jj P_jj): (n_columns,)."""
    return (1 - own * diagonal).clamp(min=0.0, max=xi)


def _weights_by_blocks(factor: torch.Tensor, own: torch.Tensor, xi: float) -> torch.Tensor:
    """Return B, float32, given the lower Cholesky factor of the regularized Gram matrix, some columns at a time.

    A GPU inverts by solving for the identity, which would take three matrices in float64.
    """
    n_items = factor.shape[0]
    weight = torch.empty((n_items, n_items), dtype=torch.float32, device=factor.device)
    for start in range(0, n_items, BLOCK_ITEMS):
        stop = min(start + BLOCK_ITEMS, n_items)
        columns = factor.new_zeros(n_items, stop - start)
        columns.diagonal(-start).fill_(1.0)
        columns = torch.cholesky_solve(columns, factor)
        diagonal, here = columns.diagonal(-start).clone(), own[start:stop]
        columns.div_(_divisors(diagonal, here, xi))
        columns.diagonal(-start).copy_(_own_score(diagonal, here, xi))
        weight[:, start:stop] = columns
    return weight


def ease_bytes(
    config: EASEConfig,  # noqa: ARG001
    train: InteractionMatrix,
    lent: bool = False,
) -> tuple[int, int]:
    """Return what solving takes at its peak, and the weights: bytes; a Gram matrix that is `lent` is not counted."""
    size = train.n_items**2
    # One matrix in float64, one in float32 (what it is made of, or the result), and some columns thrice. On a GPU the
    # factor is a second one in float64, when that in float32 is gone.
    by_blocks = 12 * size + 3 * 8 * train.n_items * min(BLOCK_ITEMS, train.n_items)
    # Lent is what lies in the host's memory. Diagonals are small, but there.
    on_gpu = 0 if lent else 2 * 8 * size + 8 * 8 * train.n_items
    return max(0 if lent else gram_bytes(train, 4), on_gpu, by_blocks), 4 * size
