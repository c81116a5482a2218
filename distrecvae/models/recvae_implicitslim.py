"""RecVAE with ImplicitSLIM: its settings, and the closed-form step that refines item embeddings.

Shenbin, Nikolenko, "ImplicitSLIM and How it Improves Embedding-based Collaborative Filtering", ICLR 2024, and the
published code. With X the training users, V the embeddings (a row an item), A = V without the rows of rare items, and

    H = (X^T X + lambda I) D^2 (X^T X + lambda I),   D = (diag(X^T X) + lambda I)^-1

a step is V <- H A (A^T H A + I / alpha)^-1 A^T V: what the published code computes, by Woodbury's identity written with
one factorization. X^T X is never formed: it is applied to V, X^T (X V), some columns at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from distrecvae.checks import require_number, require_whole
from distrecvae.errors import ConfigError, DivergedError
from distrecvae.kernels.sparse import SparseRows, gather_sum, scatter_sum
from distrecvae.models.recvae import RecVAEConfig

BLOCK_BYTES = 256 << 20
"""What the product of the users' rows and a block of columns may take."""
WIDE = torch.float64
"""Of the step's arithmetic, whatever the model's: it squares what it is given three times."""


@dataclass(frozen=True, kw_only=True)
class RecVAEImplicitSLIMConfig(RecVAEConfig):
    """Settings of RecVAE with ImplicitSLIM: RecVAE's, and the refinement's.

    Attributes:
        regularization: lambda, of the item-item weights that are implied.
        alpha: weight of keeping products of the embeddings, A^T V, against agreeing with neighbours; less shrinks them.
        min_item_interactions: items with fewer training interactions are refined but refine no others.
        refine_every: cycles from one refinement to the next.

    Raises:
        ConfigError: a value breaks its rule.
    """

    regularization: float = 100.0
    alpha: float = 1.0
    min_item_interactions: int = 0
    refine_every: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        require_number("regularization", self.regularization, above=0)
        require_number("alpha", self.alpha, above=0)
        require_whole("min_item_interactions", self.min_item_interactions, at_least=0)
        require_whole("refine_every", self.refine_every, at_least=1)


def refined(
    embeddings: torch.Tensor,
    rows: SparseRows,
    *,
    regularization: float,
    alpha: float,
    min_item_interactions: int = 0,
) -> torch.Tensor:
    """Return item embeddings after a step of ImplicitSLIM: shape and dtype of `embeddings`.

    Args:
        embeddings: V, (n_items, width).
        rows: X, the training users, on the same device.
        regularization: lambda.
        alpha: weight of keeping A^T V.
        min_item_interactions: items with fewer are left out of A.

    Raises:
        ConfigError: no item has so many interactions.
        DivergedError: the embeddings are not finite, or too large to be factorized.
    """
    counts = torch.bincount(rows.items, minlength=rows.n_items)
    rare = counts < min_item_interactions
    if bool(rare.all()):
        raise ConfigError(
            f"min_item_interactions is {min_item_interactions}; no item has more than {int(counts.max())}: lower it"
        )
    original = embeddings.detach().to(WIDE)
    known = original.masked_fill(rare[:, None], 0.0)
    implied = _implied(known, rows, (counts + regularization).to(WIDE)[:, None].square(), regularization)
    inner = known.T @ implied
    inner.diagonal().add_(1 / alpha)
    factor, failed = torch.linalg.cholesky_ex(inner)
    found = implied @ torch.cholesky_solve(known.T @ original, factor)
    if int(failed) or not bool(torch.isfinite(found).all()):
        raise DivergedError("item embeddings are not finite or too large to be refined; lower learning_rate")
    return found.to(embeddings.dtype)


def refined_bytes(n_users: int, n_items: int, n_interactions: int, width: int) -> int:
    """Return what a step takes beside the embeddings, by counting tensors."""
    size = WIDE.itemsize
    columns = min(width, _block_width(n_users, n_items))
    # V, A, H A, the result; of a block its columns twice and their product with X; X and X^T with values.
    return size * (4 * n_items * width + columns * (n_users + 2 * n_items)) + (3 * size + 4) * n_interactions


def _implied(
    known: torch.Tensor, rows: SparseRows, squares: torch.Tensor, regularization: float
) -> torch.Tensor:
    """Return H A, (n_items, width): (X^T X + lambda I) D^2 (X^T X + lambda I) A, `squares` being D^-2's diagonal."""
    ones, width = rows.ones(WIDE), known.shape[1]
    implied = torch.empty_like(known)

    def gram(block: torch.Tensor) -> torch.Tensor:
        out = torch.empty_like(block)
        scatter_sum(rows, ones, gather_sum(rows, ones, block), out)
        return out.add_(block, alpha=regularization)

    step = _block_width(rows.n_rows, rows.n_items)
    for start in range(0, width, step):
        block = known[:, start : start + step].contiguous()
        implied[:, start : start + step] = gram(gram(block).div_(squares))
    return implied


def _block_width(n_users: int, n_items: int) -> int:
    return max(1, BLOCK_BYTES // (WIDE.itemsize * max(n_users, n_items, 1)))
