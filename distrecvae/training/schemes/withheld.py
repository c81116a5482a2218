"""The true NDCG@100 of training users, on the interactions that denoising withheld from the model."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.evaluation import BATCH_USERS
from distrecvae.kernels.precision import fast_float32
from distrecvae.kernels.sparse import SparseRows
from distrecvae.metrics import ndcg
from distrecvae.ranking import found


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
        DivergedError: a logit is not finite. On a GPU, which this never waits for, the loss shows it.
    """
    k = 100
    if code.is_cuda:
        return _on_the_device(logits, code, rows, kept, k)
    seen = kept.cpu().numpy()
    shown, withheld = _chosen(rows, seen), _chosen(rows, ~seen)
    hits = np.zeros((rows.n_rows, min(k, rows.n_items)), dtype=np.bool_)
    for start in range(0, rows.n_rows, BATCH_USERS):
        stop = min(start + BATCH_USERS, rows.n_rows)
        with fast_float32():
            scores = logits(code[start:stop])
        hits[start:stop] = found(scores, shown.slice(start, stop), withheld.slice(start, stop), hits.shape[1])
        del scores  # or two batches of them would live while the next one is made
    values, counts = np.zeros(rows.n_rows), withheld.counts()
    values[counts > 0] = ndcg(hits[counts > 0], counts[counts > 0], k)
    return torch.from_numpy(values).to(code.device, code.dtype)


def _on_the_device(
    logits: Callable[[torch.Tensor], torch.Tensor],
    code: torch.Tensor,
    rows: SparseRows,
    kept: torch.Tensor,
    k: int,
) -> torch.Tensor:
    """Return what `withheld_ndcg` does, by tensors whose shapes the host knows: a step with it can be recorded."""
    k, n_items = min(k, rows.n_items), rows.n_items
    users, items = rows.row_of, rows.items.long()
    real = users < rows.n_rows
    withheld = real & ~kept
    counts = code.new_zeros(rows.n_rows + 1).index_add_(0, users, withheld.to(code.dtype))[:-1]
    gains = 1 / torch.arange(2, k + 2, dtype=torch.float64, device=code.device).log2()
    best = torch.cat([gains.new_zeros(1), gains.cumsum(0)])[counts.clamp(max=k).long()]
    found = torch.zeros(rows.n_rows, dtype=torch.float64, device=code.device)
    for start in range(0, rows.n_rows, BATCH_USERS):
        stop = min(start + BATCH_USERS, rows.n_rows)
        scores = logits(code[start:stop])
        # One row more, for what belongs to other users. Adding 0 makes -0 a 0: a radix sort would tell them apart.
        scores = torch.cat([scores, scores.new_zeros(1, n_items)]).add_(0.0)
        inside = real & (users >= start) & (users < stop)
        cells = torch.where(inside, users - start, stop - start) * n_items + items
        shown, sought = (
            torch.zeros(scores.numel() + 1, dtype=torch.bool, device=code.device).index_fill_(
                0, torch.where(places, cells, scores.numel()), True
            )[:-1]
            for places in (kept, withheld)
        )
        scores.view(-1).masked_fill_(shown, -math.inf)
        ranked = scores[:-1].sort(dim=1, descending=True, stable=True).indices[:, :k]
        hits = sought.view_as(scores).gather(1, ranked)
        found[start:stop] = (hits * gains).sum(dim=1)
    return torch.where(best > 0, found / best.clamp(min=gains[-1:]), 0.0).to(code.dtype)


def _chosen(rows: SparseRows, places: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> InteractionMatrix:
    """Return the interactions at `places`, (n_places,), as a matrix of the same rows."""
    before = np.concatenate([[0], places.cumsum(dtype=np.int64)])
    items = rows.items.cpu().numpy()[places]
    return InteractionMatrix(before[rows.offsets.cpu().numpy()], items, rows.n_items)
