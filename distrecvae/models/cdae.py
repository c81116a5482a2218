"""CDAE: a denoising autoencoder of users' rows whose hidden layer also sees a vector of the user's own.

Wu, DuBois, Zheng, Ester, "Collaborative Denoising Auto-Encoders for Top-N Recommender Systems", WSDM 2016:

    z_u = h(W^T x~_u + V_u + b),   y_u = W' z_u + b'
    loss = mean_u [ sum_i w_ui l(x_ui, y_ui) + regularization (||W||^2 + ||W'||^2 + ||V_u||^2) ]

l is the square or the logistic loss, w_ui is 1 where the user has the item and else the item's chance to be drawn as a
negative. The training users' V_u are the trainer's; a user who is scored has none, and gets the mean of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from distrecvae.checks import require_choice, require_fraction, require_number, require_whole
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.kernels.layers import Draws, ItemOutput, SparseLinear
from distrecvae.kernels.likeness import cosines
from distrecvae.kernels.pointwise import CellLoss, Pointwise, logistic, square
from distrecvae.kernels.sparse import SparseRows

LOSSES: dict[str, CellLoss] = {"square": square, "logistic": logistic}


@dataclass(frozen=True, kw_only=True)
class CDAEConfig:
    """Settings of CDAE.

    Attributes:
        hidden_dim: width of the hidden layer, and length of a user's vector.
        loss: of a cell, "square" or "logistic".
        negatives: zeros an interaction that the loss is an expectation over; None for all cells alike.
        dropout: share of a user's interactions hidden while training, the paper's q.
        regularization: weight of the squared weights and vectors in a batch's mean loss; biases are free.
        learning_rate: of Adam.
        batch_size: users a batch.

    Raises:
        ConfigError: a value breaks its rule.
    """

    hidden_dim: int = 200
    loss: str = "logistic"
    negatives: float | None = 5.0
    dropout: float = 0.5
    regularization: float = 1e-4
    learning_rate: float = 1e-3
    batch_size: int = 500

    def __post_init__(self) -> None:
        for name in ("hidden_dim", "batch_size"):
            require_whole(name, getattr(self, name), at_least=1)
        require_choice("loss", self.loss, tuple(LOSSES))
        if self.negatives is not None:
            require_number("negatives", self.negatives, above=0)
        require_fraction("dropout", self.dropout)
        require_number("regularization", self.regularization, at_least=0)
        require_number("learning_rate", self.learning_rate, above=0)


class CDAE(nn.Module):
    """CDAE's network; scores are its outputs y.

    Args:
        config: its settings.
        n_items: number of items.
        low: what the factors of products are rounded to in training; None for not at all.

    Attributes:
        user: (hidden_dim,), what a user without a vector is given for one.
    """

    user: torch.Tensor

    def __init__(self, config: CDAEConfig, n_items: int, low: torch.dtype | None = None) -> None:
        super().__init__()
        self._config = config
        self.first = SparseLinear(n_items, config.hidden_dim)
        self.items = ItemOutput(
            n_items, config.hidden_dim, Pointwise(LOSSES[config.loss], low, negatives=config.negatives)
        )
        self.register_buffer("user", torch.zeros(config.hidden_dim))

    @property
    def n_items(self) -> int:
        """Number of items."""
        return self.items.bias.numel()

    @property
    def user_dim(self) -> int:
        """Length of a user's vector."""
        return self._config.hidden_dim

    @property
    def weight_decay(self) -> float:
        """What Adam adds of a weight to its gradient: the penalty's derivative is twice its factor."""
        return 2 * self._config.regularization

    def loss_of_users(
        self,
        rows: SparseRows,
        vectors: torch.Tensor,
        draws: Draws,
        updates: torch.Tensor,  # noqa: ARG002
    ) -> dict[str, torch.Tensor]:
        """Return the mean losses of a batch: ``loss``, which is minimized, and its parts ``error`` and ``penalty``.

        The penalty is of the users' vectors, (n_rows, hidden_dim); that of the weights is the optimizer's.
        """
        values, dropout = rows.ones(self.items.bias.dtype), self._config.dropout
        if dropout:
            values = values * draws.kept(values.numel(), dropout) / (1 - dropout)
        code = torch.sigmoid(self.first(rows, values) + vectors)
        error = self.items.mean_loss(code, rows)
        penalty = self._config.regularization * vectors.square().sum(dim=1).mean()
        return {"loss": error + penalty, "error": error, "penalty": penalty}

    def settle(self, vectors: torch.Tensor) -> None:
        """Take the mean of the training users' vectors, (n_users, hidden_dim), for a user who has none."""
        torch.mean(vectors, dim=0, out=self.user)

    def score(self, fold_in: InteractionMatrix) -> torch.Tensor:
        """Return outputs, float32, (n_users, n_items)."""
        rows = SparseRows.from_matrix(fold_in, self.items.bias.device)
        with torch.no_grad():
            hidden = self.first(rows, rows.ones(self.items.bias.dtype)) + self.user
            scores: torch.Tensor = self.items(torch.sigmoid(hidden))
        return scores.float()

    def likeness(self, item: int) -> torch.Tensor:
        """Return how alike each item and `item` are, by the cosine of their output weights: float32, (n_items,)."""
        return cosines(self.items.weight, item)

    def dense_scores(self, x: torch.Tensor) -> torch.Tensor:
        """Return the same from rows with a place for every item, as a graph of tensors: (n_rows, n_items)."""
        scores: torch.Tensor = self.items(torch.sigmoid(self.first.dense(x) + self.user))
        return scores
