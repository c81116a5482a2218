"""AWAE: a Wasserstein autoencoder with sparse codes, held to its prior by a discriminator.

Zhong, Zhang, "Wasserstein Autoencoders for Collaborative Filtering", 2018, as far as its abstract goes; the term that
holds codes to the prior is the adversarial one of Tolstikhin et al., "Wasserstein Auto-Encoders", ICLR 2018
(algorithm 1). With x~ a user's row of unit length, partly hidden,

    z      = W_2 tanh(W_1 x~ + b_1) + b_2,    l = W_4 tanh(W_3 z + b_3) + b_4
    cost   = -sum_i x_i log softmax(l)_i      or   -sum_i [a x_i log s(l_i) + (1 - x_i) log(1 - s(l_i))]
    loss   = cost - adversarial log D(z) + sparsity ||z||_1           by encoder and decoder
    and    -log D(e) - log(1 - D(z)),  e ~ N(0, I)                   by the discriminator D
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from distrecvae.checks import require_fraction, require_number, require_whole
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.kernels.layers import (
    Draws,
    ItemOutput,
    OutputLoss,
    SparseLinear,
    denoised,
    init_as_published,
    unit_rows,
)
from distrecvae.kernels.likeness import cosines
from distrecvae.kernels.multinomial import Multinomial
from distrecvae.kernels.phases import Objective, Phase
from distrecvae.kernels.pointwise import CellLoss, Pointwise
from distrecvae.kernels.precision import linear
from distrecvae.kernels.sparse import SparseRows


@dataclass(frozen=True, kw_only=True)
class AWAEConfig:
    """Settings of aWAE; docs/models.md says which defaults are published and which are not.

    Attributes:
        hidden_dim: width of the hidden layer on each side.
        latent_dim: size of a user's code z.
        dropout: share of a user's interactions hidden while training.
        positive_weight: what an interaction counts in the logistic cost, where a cell without one counts 1; None for
            the multinomial cost.
        adversarial: weight of the discriminator's verdict; 0 for an autoencoder that is not held to the prior.
        sparsity: weight of the codes' absolute values.
        discriminator_dim: width of the discriminator's two hidden layers.
        learning_rate: of Adam for encoder and decoder.
        discriminator_learning_rate: of Adam for the discriminator.
        batch_size: users a batch.

    Raises:
        ConfigError: a value breaks its rule.
    """

    hidden_dim: int = 600
    latent_dim: int = 200
    dropout: float = 0.5
    positive_weight: float | None = None
    adversarial: float = 1.0
    sparsity: float = 0.01
    discriminator_dim: int = 100
    learning_rate: float = 1e-3
    discriminator_learning_rate: float = 5e-4
    batch_size: int = 500

    def __post_init__(self) -> None:
        for name in ("hidden_dim", "latent_dim", "discriminator_dim", "batch_size"):
            require_whole(name, getattr(self, name), at_least=1)
        require_fraction("dropout", self.dropout)
        if self.positive_weight is not None:
            require_number("positive_weight", self.positive_weight, above=0)
        for name in ("adversarial", "sparsity"):
            require_number(name, getattr(self, name), at_least=0)
        for name in ("learning_rate", "discriminator_learning_rate"):
            require_number(name, getattr(self, name), above=0)


def logistic(positive_weight: float) -> CellLoss:
    """Return the logistic loss of a cell, times `positive_weight` where the user has the item."""

    def loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        # -log s(l) = softplus(-l) and -log(1 - s(l)) = softplus(l): neither overflows.
        return positive_weight * targets * F.softplus(-logits) + (1 - targets) * F.softplus(logits)

    return loss


class Autoencoder(nn.Module):
    """Encoder and decoder; scores are the logits.

    Args:
        config: its settings.
        n_items: number of items.
        low: what the factors of products are rounded to in training; None for not at all.
    """

    def __init__(self, config: AWAEConfig, n_items: int, low: torch.dtype | None = None) -> None:
        super().__init__()
        self._low = low
        weight = config.positive_weight
        cost: OutputLoss = Multinomial(low) if weight is None else Pointwise(logistic(weight), low)
        self.first = SparseLinear(n_items, config.hidden_dim)
        self.code = nn.Linear(config.hidden_dim, config.latent_dim)
        self.hidden = nn.Linear(config.latent_dim, config.hidden_dim)
        self.items = ItemOutput(n_items, config.hidden_dim, cost)
        init_as_published(self)

    @property
    def n_items(self) -> int:
        """Number of items."""
        return self.items.bias.numel()

    def encoded(self, rows: SparseRows, values: torch.Tensor) -> torch.Tensor:
        """Return z in training, (n_rows, latent_dim)."""
        return self._encoded(self.first(rows, values), self._low)

    def cost(self, z: torch.Tensor, rows: SparseRows) -> torch.Tensor:
        """Return the mean cost of the rows being made again from `z`."""
        return self.items.mean_loss(self._decoded(z, self._low), rows)

    def score(self, fold_in: InteractionMatrix) -> torch.Tensor:
        """Return logits, float32, (n_users, n_items)."""
        rows = SparseRows.from_matrix(fold_in, self.items.bias.device)
        with torch.no_grad():
            z = self._encoded(self.first(rows, rows.unit_values(self.items.bias.dtype)), None)
            scores: torch.Tensor = self.items(self._decoded(z, None))
        return scores.float()

    def likeness(self, item: int) -> torch.Tensor:
        """Return how alike each item and `item` are, by the cosine of their output weights: float32, (n_items,)."""
        return cosines(self.items.weight, item)

    def dense_scores(self, x: torch.Tensor) -> torch.Tensor:
        """Return the same from rows with a place for every item, as a graph of tensors: (n_rows, n_items)."""
        scores: torch.Tensor = self.items(
            self._decoded(self._encoded(self.first.dense(unit_rows(x)), None), None)
        )
        return scores

    def _encoded(self, preactivation: torch.Tensor, low: torch.dtype | None) -> torch.Tensor:
        """Return z from what the first layer gives."""
        return linear(torch.tanh(preactivation), self.code.weight, self.code.bias, low)

    def _decoded(self, z: torch.Tensor, low: torch.dtype | None) -> torch.Tensor:
        """Return what the last layer turns into logits, (n_rows, hidden_dim)."""
        return torch.tanh(linear(z, self.hidden.weight, self.hidden.bias, low))


class AWAE(nn.Module):
    """The autoencoder, which scores, and the discriminator of its codes.

    Args:
        config: its settings.
        n_items: number of items.
        low: what the factors of products are rounded to in training; None for not at all.
    """

    def __init__(self, config: AWAEConfig, n_items: int, low: torch.dtype | None = None) -> None:
        super().__init__()
        self._config = config
        width = config.discriminator_dim
        self.autoencoder = Autoencoder(config, n_items, low)
        self.discriminator = nn.Sequential(
            nn.Linear(config.latent_dim, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, 1),
        )

    @property
    def scorer(self) -> Autoencoder:
        """The part that scores: all that is kept of a trained model."""
        return self.autoencoder

    def phases(self) -> tuple[Phase, ...]:
        """Return the only phase: both sides take a step for each batch."""
        config = self._config
        sides = (
            Objective("autoencoder", "loss", config.learning_rate),
            Objective("discriminator", "discriminator_loss", config.discriminator_learning_rate),
        )
        return (Phase(None, self.losses, sides),)

    def losses(self, rows: SparseRows, draws: Draws, updates: torch.Tensor) -> dict[str, torch.Tensor]:  # noqa: ARG002
        """Return the mean losses of a batch.

        They are ``loss`` and its parts ``cost``, ``adversarial`` and ``l1``, which are weighted, and
        ``discriminator_loss``, which is not: Adam's steps do not depend on a loss's scale.
        """
        config, bias = self._config, self.autoencoder.items.bias
        z = self.autoencoder.encoded(rows, denoised(rows, config.dropout, draws, bias.dtype))
        cost = self.autoencoder.cost(z, rows)
        # log D = -softplus(-d) and log(1 - D) = -softplus(d) for the discriminator's logit d.
        fooled = config.adversarial * F.softplus(-self.discriminator(z)).mean()
        l1 = config.sparsity * z.abs().sum(dim=1).mean()
        prior = draws.normal((rows.n_rows, config.latent_dim), bias.dtype)
        true, false = self.discriminator(prior), self.discriminator(z.detach())
        return {
            "loss": cost + fooled + l1,
            "cost": cost,
            "adversarial": fooled,
            "l1": l1,
            "discriminator_loss": F.softplus(-true).mean() + F.softplus(false).mean(),
        }
