"""Batches of rows with codes, and an output layer."""

from __future__ import annotations

from typing import NamedTuple

import torch


class RandomBatch(NamedTuple):
    """What a step of a decoder takes.

    Attributes:
        offsets: int64, (n_rows + 1,).
        items: int32, (n_places,), padding at the end.
        row_of: int64, (n_places,); n_rows for padding.
        code: (n_rows, width).
        weight: (n_items, width).
        bias: (n_items,).
    """

    offsets: torch.Tensor
    items: torch.Tensor
    row_of: torch.Tensor
    code: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor

    def dense(self) -> torch.Tensor:
        """Return the rows with a place for every item: float64, (n_rows, n_items)."""
        x = torch.zeros(self.code.shape[0], self.weight.shape[0], dtype=torch.float64)
        real = self.row_of < x.shape[0]
        x[self.row_of[real], self.items[real].long()] = 1
        return x


def random_batch(seed: int, n_rows: int, n_items: int, width: int, padding: int = 37) -> RandomBatch:
    """Return a batch whose first row is empty; its last row has every item, its first item every row but one."""
    generator = torch.Generator().manual_seed(seed)
    cells = torch.rand(n_rows, n_items, generator=generator) < 0.2
    cells[:, 0] = True
    cells[0] = False
    cells[-1] = True
    row_of, items = cells.nonzero(as_tuple=True)
    code, weight = (torch.randn(size, width, generator=generator) for size in (n_rows, n_items))
    return RandomBatch(
        torch.cat([torch.zeros(1, dtype=torch.int64), cells.sum(1).cumsum(0)]),
        torch.cat([items, torch.arange(padding) % n_items]).int(),
        torch.cat([row_of, torch.full((padding,), n_rows)]),
        code,
        weight * 0.3,
        torch.randn(n_items, generator=generator),
    )
