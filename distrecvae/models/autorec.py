"""AutoRec: an autoencoder of users' rows with one sigmoid layer and a squared error.

Sedhain, Menon, Sanner, Xie, "AutoRec: Autoencoders Meet Collaborative Filtering", WWW 2015, U-AutoRec:

    h(x) = W g(V x + mu) + b,   g the sigmoid
    loss = sum_i (x_i - h(x)_i)^2 + regularization (||W||^2 + ||V||^2)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from distrecvae.checks import require_fraction, require_number, require_whole
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.kernels.layers import Draws, ItemOutput, SparseLinear
from distrecvae.kernels.likeness import cosines
from distrecvae.kernels.pointwise import Pointwise, square
from distrecvae.kernels.sparse import SparseRows


@dataclass(frozen=True, kw_only=True)
class AutoRecConfig:
    """Settings of AutoRec.

    Attributes:
        hidden_dim: width of the hidden layer.
        dropout: share of a user's interactions hidden while training; the paper has none.
        regularization: weight of the squared weights in a batch's mean loss; biases are free.
        learning_rate: of Adam.
        batch_size: users a batch.

    Raises:
        ConfigError: a value breaks its rule.
    """

    hidden_dim: int = 500
    dropout: float = 0.0
    regularization: float = 1e-4
    learning_rate: float = 1e-3
    batch_size: int = 500

    def __post_init__(self) -> None:
        for name in ("hidden_dim", "batch_size"):
            require_whole(name, getattr(self, name), at_least=1)
        require_fraction("dropout", self.dropout)
        require_number("regularization", self.regularization, at_least=0)
        require_number("learning_rate", self.learning_rate, above=0)


class AutoRec(nn.Module):
    """AutoRec's network; scores are its reconstruction of the row.

    Args:
        config: its settings.
        n_items: number of items.
        low: what the factors of products are rounded to in training; None for not at all.
    """

    def __init__(self, config: AutoRecConfig, n_items: int, low: torch.dtype | None = None) -> None:
        super().__init__()
        self._config = config
        self.first = SparseLinear(n_items, config.hidden_dim)
        self.items = ItemOutput(n_items, config.hidden_dim, Pointwise(square, low))

    @property
    def n_items(self) -> int:
        """Number of items."""
        return self.items.bias.numel()

    @property
    def weight_decay(self) -> float:
        """What Adam adds of a weight to its gradient: the penalty's derivative is twice its factor."""
        return 2 * self._config.regularization

    def loss(self, rows: SparseRows, draws: Draws, updates: torch.Tensor) -> dict[str, torch.Tensor]:  # noqa: ARG002
        """Return the mean loss of a batch, without the penalty, which is the optimizer's: ``loss``."""
        values, dropout = rows.ones(self.items.bias.dtype), self._config.dropout
        if dropout:
            values = values * draws.kept(values.numel(), dropout) / (1 - dropout)
        return {"loss": self.items.mean_loss(torch.sigmoid(self.first(rows, values)), rows)}

    def score(self, fold_in: InteractionMatrix) -> torch.Tensor:
        """Return reconstructions, float32, (n_users, n_items)."""
        rows = SparseRows.from_matrix(fold_in, self.items.bias.device)
        with torch.no_grad():
            scores: torch.Tensor = self.items(
                torch.sigmoid(self.first(rows, rows.ones(self.items.bias.dtype)))
            )
        return scores.float()

    def likeness(self, item: int) -> torch.Tensor:
        """Return how alike each item and `item` are, by the cosine of their output weights: float32, (n_items,)."""
        return cosines(self.items.weight, item)

    def dense_scores(self, x: torch.Tensor) -> torch.Tensor:
        """Return the same from rows with a place for every item, as a graph of tensors: (n_rows, n_items)."""
        scores: torch.Tensor = self.items(torch.sigmoid(self.first.dense(x)))
        return scores
