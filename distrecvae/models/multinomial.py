"""Owns the multinomial likelihood of a user's row under a linear output layer, and its gradient by hand.

For logits l = W z + b and a row x with n ones, log p(x) = sum_(i in x) l_i - n logsumexp(l), and its
derivative by the logits is x - n softmax(l). So no target matrix and no autograd graph of users x items is
ever made: logits exist for a chunk of users at a time, in one buffer that becomes the gradient in place.
"""

from __future__ import annotations

import torch

from distrecvae.models.sparse import SparseRows

CHUNK_ELEMENTS = 2_500_000
"""Logits held at a time, unless that is fewer than `MIN_CHUNK_ROWS` users; the fastest measured on a CPU."""
MIN_CHUNK_ROWS = 32


def chunk_rows(n_rows: int, n_items: int) -> int:
    """Return how many users' logits are held at a time."""
    return min(n_rows, max(MIN_CHUNK_ROWS, CHUNK_ELEMENTS // max(n_items, 1)))


class Multinomial:
    """The negative log-likelihood of rows given codes, with buffers that live as long as the training does.

    Args:
        chunk_rows: users whose logits are held at a time; None chooses by the number of items.
    """

    def __init__(self, chunk_rows: int | None = None) -> None:
        self._chunk_rows = chunk_rows
        self._buffer = torch.empty(0)

    def loss_and_gradients(
        self,
        rows: SparseRows,
        code: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        *,
        code_gradient: torch.Tensor | None = None,
        weight_gradient: torch.Tensor | None = None,
        bias_gradient: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return -log p(x) of each row, (n_rows,), and write the gradients of its mean over the rows.

        Args:
            rows: the observed items; an empty row has likelihood one and no gradient.
            code: z, (n_rows, width).
            weight: W, (n_items, width).
            bias: b, (n_items,).
            code_gradient: overwritten with the gradient by `code` where given.
            weight_gradient: overwritten with the gradient by `weight` where given.
            bias_gradient: overwritten with the gradient by `bias` where given.
        """
        n_rows, n_items = rows.n_rows, rows.n_items
        counts = rows.counts().to(code.dtype)
        losses = torch.empty_like(counts)
        for gradient in (weight_gradient, bias_gradient):
            if gradient is not None:
                gradient.zero_()
        step = self._chunk_rows or chunk_rows(n_rows, n_items)
        for start in range(0, n_rows, step):
            stop = min(start + step, n_rows)
            part, n = rows.slice(start, stop), counts[start:stop]
            logits = self._logits(stop - start, n_items, code)
            torch.addmm(bias, code[start:stop], weight.T, out=logits)
            row_of = part.row_of()
            observed = row_of * n_items + part.items
            flat = logits.view(-1)
            largest = logits.amax(dim=1)
            likelihood = torch.zeros_like(n).index_add_(0, row_of, flat[observed])
            share = torch.softmax(logits, dim=1, out=logits)
            # softmax at the largest logit is exactly 1 / sum exp(l - largest), so this is logsumexp at full
            # precision.
            losses[start:stop] = n * (largest - share.amax(dim=1).log()) - likelihood
            flat[observed] -= (1 / n)[row_of]
            scale = (n / n_rows)[:, None]
            if code_gradient is not None:
                torch.mm(share, weight, out=code_gradient[start:stop]).mul_(scale)
            if weight_gradient is not None:
                weight_gradient.addmm_(share.T, code[start:stop] * scale)
            if bias_gradient is not None:
                bias_gradient.addmv_(share.T, scale[:, 0])
        return losses

    def _logits(self, n_rows: int, n_items: int, like: torch.Tensor) -> torch.Tensor:
        """Return a buffer for logits, (n_rows, n_items)."""
        wrong = self._buffer.dtype != like.dtype or self._buffer.device != like.device
        if wrong or self._buffer.numel() < n_rows * n_items:
            self._buffer = torch.empty(n_rows * n_items, dtype=like.dtype, device=like.device)
        return self._buffer[: n_rows * n_items].view(n_rows, n_items)
