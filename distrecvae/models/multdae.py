"""Mult-DAE: a denoising autoencoder with a multinomial likelihood.

Liang, Krishnan, Hoffman, Jebara, "Variational Autoencoders for Collaborative Filtering", WWW 2018: Mult-VAE with a
code that is a function of the user's items, and the squares of all weights as a penalty,

    z = tanh(W_2 tanh(W_1 x~ + b_1) + b_2),   pi = softmax(W_4 tanh(W_3 z + b_3) + b_4)
    loss = -sum_i x_i log pi_i + regularization sum_l ||W_l||^2
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from distrecvae.checks import require_fraction, require_number, require_whole
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.kernels.layers import Draws, ItemOutput, SparseLinear, denoised, init_as_published, unit_rows
from distrecvae.kernels.likeness import cosines
from distrecvae.kernels.multinomial import Multinomial
from distrecvae.kernels.precision import linear
from distrecvae.kernels.sparse import SparseRows


@dataclass(frozen=True, kw_only=True)
class MultDAEConfig:
    """Settings of Mult-DAE; the defaults are the published ones for MovieLens-20M.

    Attributes:
        hidden_dim: width of the hidden layer on each side.
        latent_dim: size of a user's code z.
        dropout: share of a user's interactions hidden while training.
        regularization: weight of the squared weights in a batch's mean loss; biases are free.
        learning_rate: of Adam.
        batch_size: users a batch.

    Raises:
        ConfigError: a value breaks its rule.
    """

    PUBLISHED: ClassVar = True  # the defaults are those of the paper or its code

    hidden_dim: int = 600
    latent_dim: int = 200
    dropout: float = 0.5
    regularization: float = 0.01 / 500
    learning_rate: float = 1e-3
    batch_size: int = 500

    def __post_init__(self) -> None:
        for name in ("hidden_dim", "latent_dim", "batch_size"):
            require_whole(name, getattr(self, name), at_least=1)
        require_fraction("dropout", self.dropout)
        require_number("regularization", self.regularization, at_least=0)
        require_number("learning_rate", self.learning_rate, above=0)


class MultDAE(nn.Module):
    """Mult-DAE's network; scores are its logits.

    Args:
        config: its settings.
        n_items: number of items.
        low: what the factors of products are rounded to in training; None for not at all.
    """

    def __init__(self, config: MultDAEConfig, n_items: int, low: torch.dtype | None = None) -> None:
        super().__init__()
        self._config, self._low = config, low
        self.first = SparseLinear(n_items, config.hidden_dim)
        self.code = nn.Linear(config.hidden_dim, config.latent_dim)
        self.hidden = nn.Linear(config.latent_dim, config.hidden_dim)
        self.items = ItemOutput(n_items, config.hidden_dim, Multinomial(low))
        init_as_published(self)

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
        values = denoised(rows, self._config.dropout, draws, self.items.bias.dtype)
        return {"loss": self.items.mean_loss(self._code(self.first(rows, values), self._low), rows)}

    def score(self, fold_in: InteractionMatrix) -> torch.Tensor:
        """Return logits, float32, (n_users, n_items)."""
        rows = SparseRows.from_matrix(fold_in, self.items.bias.device)
        with torch.no_grad():
            first = self.first(rows, rows.unit_values(self.items.bias.dtype))
            scores: torch.Tensor = self.items(self._code(first, None))
        return scores.float()

    def likeness(self, item: int) -> torch.Tensor:
        """Return how alike each item and `item` are, by the cosine of their output weights: float32, (n_items,)."""
        return cosines(self.items.weight, item)

    def dense_scores(self, x: torch.Tensor) -> torch.Tensor:
        """Return the same from rows with a place for every item, as a graph of tensors: (n_rows, n_items)."""
        scores: torch.Tensor = self.items(self._code(self.first.dense(unit_rows(x)), None))
        return scores

    def _code(self, preactivation: torch.Tensor, low: torch.dtype | None) -> torch.Tensor:
        """Return what the last layer turns into logits from what the first one gives, (n_rows, hidden_dim) both."""
        hidden = torch.tanh(preactivation)
        z = torch.tanh(linear(hidden, self.code.weight, self.code.bias, low))
        return torch.tanh(linear(z, self.hidden.weight, self.hidden.bias, low))
