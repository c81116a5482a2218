"""How alike items are, by vectors that a model has of them."""

from __future__ import annotations

import torch
from torch.nn import functional as F  # noqa: N812


def cosines(vectors: torch.Tensor, item: int) -> torch.Tensor:
    """Return the cosine of each item's vector and that of `item`: float32, (n_items,); 0 where one is zero.

    Args:
        vectors: (n_items, width).
        item: a position.
    """
    with torch.no_grad():
        found: torch.Tensor = F.cosine_similarity(vectors, vectors[item : item + 1], dim=1)
    return found.float()
