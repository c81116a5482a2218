"""EASE: linear weights between items with a zero diagonal, in closed form.

Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019: min over B of ||X - X B||^2 + lambda ||B||^2
with diag(B) = 0 is, with P = (X^T X + lambda I)^-1, solved by B_ij = -P_ij / P_jj off the diagonal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import torch

from distrecvae.checks import require_number
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

    Raises:
        ConfigError: a value breaks its rule.
    """

    regularization: float = 500.0

    def __post_init__(self) -> None:
        require_number("regularization", self.regularization, above=0)


def solve_ease(
    config: EASEConfig,
    train: InteractionMatrix,
    device: torch.device | str = "cpu",
    common: Mapping[str, npt.NDArray[Any]] | None = None,
    progress: Callable[[float], None] | None = None,
) -> dict[str, torch.Tensor]:
    """Return the parameters: ``weight``, B, float32, (n_items, n_items); solved in float64.

    Args:
        config: the regularization.
        train: the training users.
        device: where to solve.
        common: the Gram matrix, where it is lent (`gram_arrays`); None computes it.
        progress: on the CPU called now and then, from this thread, with the share of the inversion that is done.

    Raises:
        DivergedError: the Gram matrix cannot be inverted with so little regularization.
    """
    # Counts of users are whole in float32; the copy in float64 is ours to change.
    gram = lent_gram(train, common).to(device).to(torch.float64)
    gram.diagonal().add_(config.regularization)
    singular = DivergedError(
        f"X^T X + {config.regularization} I is singular in float64; raise regularization"
    )
    if gram.is_cuda:
        factor, failed = torch.linalg.cholesky_ex(gram)
        del gram  # one matrix of this size less while the next is made
        if int(failed):
            raise singular
        return {"weight": _weights_by_blocks(factor)}
    if not invert_(gram, progress):
        raise singular
    gram.div_(-gram.diagonal().clone())  # divides column j by -P_jj
    return {"weight": gram.fill_diagonal_(0.0).to(torch.float32)}


def _weights_by_blocks(factor: torch.Tensor) -> torch.Tensor:
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
        weight[:, start:stop] = columns.div_(-columns.diagonal(-start).clone())
    return weight.fill_diagonal_(0.0)


def ease_bytes(
    config: EASEConfig,  # noqa: ARG001
    train: InteractionMatrix,
    lent: bool = False,
) -> tuple[int, int]:
    """Return what solving takes at its peak, and the weights: bytes; of a Gram matrix that is `lent` nothing."""
    size = train.n_items**2
    # One matrix in float64, one in float32 (what it is made of, or the result), and some columns thrice. On a GPU the
    # factor is a second one in float64, when that in float32 is gone.
    by_blocks = 12 * size + 3 * 8 * train.n_items * min(BLOCK_ITEMS, train.n_items)
    on_gpu = 0 if lent else 2 * 8 * size  # lent is what lies in the host's memory
    return max(0 if lent else gram_bytes(train, 4), on_gpu, by_blocks), 4 * size
