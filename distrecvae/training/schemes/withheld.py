"""Owns the true NDCG@100 of training users, by the interactions that denoising withheld from the model."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.evaluation import BATCH_USERS, found
from distrecvae.kernels.precision import fast_float32
from distrecvae.kernels.sparse import SparseRows
from distrecvae.metrics import METRICS


def withheld_ndcg(
    logits: Callable[[torch.Tensor], torch.Tensor], code: torch.Tensor, rows: SparseRows, kept: torch.Tensor
) -> torch.Tensor:
    """Return the NDCG@100 with which each row's withheld items are ranked: (n_rows,), of the dtype of `code`.

    What the model saw is left out of the ranking, as in an evaluation. A row with nothing withheld gets 0, as in the
    published code. Logits are made for some users at a time.

    Args:
        logits: from codes of some rows to their logits, (n_rows, n_items).
        code: (n_rows, width).
        rows: the users.
        kept: bool, (n_places,), which of their interactions the model saw; the others are withheld.

    Raises:
        DivergedError: a logit is not finite.
    """
    metric, k = METRICS["ndcg_100"]
    seen = kept.cpu().numpy()
    shown, withheld = _chosen(rows, seen), _chosen(rows, ~seen)
    hits = np.zeros((rows.n_rows, min(k, rows.n_items)), dtype=np.bool_)
    for start in range(0, rows.n_rows, BATCH_USERS):
        stop = min(start + BATCH_USERS, rows.n_rows)
        with fast_float32():
            scores = logits(code[start:stop])
        hits[start:stop] = found(scores, shown.slice(start, stop), withheld.slice(start, stop), hits.shape[1])
        del scores  # or two batches of them would live while the next one is made
    ndcg, counts = np.zeros(rows.n_rows), withheld.counts()
    ndcg[counts > 0] = metric(hits[counts > 0], counts[counts > 0], k)
    return torch.from_numpy(ndcg).to(code.device, code.dtype)


def _chosen(rows: SparseRows, places: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> InteractionMatrix:
    """Return the interactions at `places`, (n_places,), as a matrix of the same rows."""
    before = np.concatenate([[0], places.cumsum(dtype=np.int64)])
    items = rows.items.cpu().numpy()[places]
    return InteractionMatrix(before[rows.offsets.cpu().numpy()], items, rows.n_items)
