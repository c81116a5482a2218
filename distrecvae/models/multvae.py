"""Mult-VAE: a variational autoencoder with a multinomial likelihood and an annealed KL term.

Liang, Krishnan, Hoffman, Jebara, "Variational Autoencoders for Collaborative Filtering", WWW 2018:

    h  = tanh(W_1 x~ + b_1),   (mu, logvar) = W_2 h + b_2,   z = mu + eps exp(logvar / 2)
    pi = softmax(W_4 tanh(W_3 z + b_3) + b_4)
    loss = -sum_i x_i log pi_i + beta_t KL(q(z|x) || N(0, I)),   beta_t = min(beta, updates / anneal_updates)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from distrecvae.checks import require_fraction, require_number, require_whole
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.kernels.layers import (
    Draws,
    ItemOutput,
    SparseLinear,
    annealed,
    denoised,
    divergence,
    init_as_published,
    unit_rows,
)
from distrecvae.kernels.likeness import cosines
from distrecvae.kernels.multinomial import Multinomial
from distrecvae.kernels.precision import linear
from distrecvae.kernels.sparse import SparseRows


@dataclass(frozen=True, kw_only=True)
class MultVAEConfig:
    """Settings of Mult-VAE; the defaults are the published ones for MovieLens-20M.

    Attributes:
        hidden_dim: width of the hidden layer on each side.
        latent_dim: size of a user's code z.
        dropout: share of a user's interactions hidden while training.
        beta: the weight of the KL term that annealing ends at.
        anneal_updates: updates after which the weight would be 1; the weight is min(beta, updates / anneal_updates).
            0 starts at `beta`.
        learning_rate: of Adam.
        batch_size: users a batch.
        adam_beta2: decay of Adam's second moment, from 0 to below 1; Adam's own by default, 0.9 in NVIDIA's code
            (DeepLearningExamples, VAE-CF) with its large batches.

    Raises:
        ConfigError: a value breaks its rule.
    """

    PUBLISHED: ClassVar = True  # the defaults are those of the paper or its code

    hidden_dim: int = 600
    latent_dim: int = 200
    dropout: float = 0.5
    beta: float = 0.2
    anneal_updates: int = 200_000
    learning_rate: float = 1e-3
    batch_size: int = 500
    adam_beta2: float = 0.999

    def __post_init__(self) -> None:
        for name in ("hidden_dim", "latent_dim", "batch_size"):
            require_whole(name, getattr(self, name), at_least=1)
        require_whole("anneal_updates", self.anneal_updates, at_least=0)
        require_fraction("dropout", self.dropout)
        require_fraction("adam_beta2", self.adam_beta2)
        require_number("beta", self.beta, at_least=0)
        require_number("learning_rate", self.learning_rate, above=0)


class MultVAE(nn.Module):
    """Mult-VAE's network; scores are the logits at z = mu.

    Args:
        config: its settings.
        n_items: number of items.
        low: what the factors of products are rounded to in training; None for not at all.
    """

    weight_decay = 0.0

    def __init__(self, config: MultVAEConfig, n_items: int, low: torch.dtype | None = None) -> None:
        super().__init__()
        self._config, self._low = config, low
        self.first = SparseLinear(n_items, config.hidden_dim)
        self.posterior = nn.Linear(config.hidden_dim, 2 * config.latent_dim)
        self.hidden = nn.Linear(config.latent_dim, config.hidden_dim)
        self.items = ItemOutput(n_items, config.hidden_dim, Multinomial(low))
        init_as_published(self)

    @property
    def n_items(self) -> int:
        """Number of items."""
        return self.items.bias.numel()

    def loss(self, rows: SparseRows, draws: Draws, updates: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the mean losses of a batch: ``loss``, which is minimized, and its parts ``nll`` and ``kl``."""
        config = self._config
        values = denoised(rows, config.dropout, draws, self.items.bias.dtype)
        code, mean_divergence = self.sampled(rows, values, draws)
        nll = self.items.mean_loss(code, rows)
        kl = annealed(config.beta, config.anneal_updates, updates, nll.dtype) * mean_divergence
        return {"loss": nll + kl, "nll": nll, "kl": kl}

    def sampled(
        self, rows: SparseRows, values: torch.Tensor, draws: Draws
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the last layer's code at a sampled z, (n_rows, hidden_dim), and the mean KL term, not weighted.

        Args:
            rows: the batch's users.
            values: (n_places,), what the encoder sees at their interactions.
            draws: where the noise of z comes from.
        """
        mu, logvar = self._encoded(self.first(rows, values), self._low)
        z = mu + draws.normal((rows.n_rows, self._config.latent_dim), mu.dtype) * (logvar / 2).exp()
        return self._decoded(z, self._low), divergence(mu, logvar).mean()

    def score(self, fold_in: InteractionMatrix) -> torch.Tensor:
        """Return logits, float32, (n_users, n_items)."""
        rows = SparseRows.from_matrix(fold_in, self.items.bias.device)
        with torch.no_grad():
            mu, _ = self._encoded(self.first(rows, rows.unit_values(self.items.bias.dtype)), None)
            scores: torch.Tensor = self.items(self._decoded(mu, None))
        return scores.float()

    def likeness(self, item: int) -> torch.Tensor:
        """Return how alike each item and `item` are, by the cosine of their output weights: float32, (n_items,)."""
        return cosines(self.items.weight, item)

    def dense_scores(self, x: torch.Tensor) -> torch.Tensor:
        """Return the same from rows with a place for every item, as a graph of tensors: (n_rows, n_items)."""
        mu, _ = self._encoded(self.first.dense(unit_rows(x)), None)
        scores: torch.Tensor = self.items(self._decoded(mu, None))
        return scores

    def _encoded(
        self, preactivation: torch.Tensor, low: torch.dtype | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mu and logvar, each (n_rows, latent_dim), from what the first layer gives, (n_rows, hidden_dim)."""
        hidden = torch.tanh(preactivation)
        mu, logvar = linear(hidden, self.posterior.weight, self.posterior.bias, low).chunk(2, dim=1)
        return mu, logvar

    def _decoded(self, z: torch.Tensor, low: torch.dtype | None) -> torch.Tensor:
        """Return the code that the last layer turns into logits, (n_rows, hidden_dim)."""
        return torch.tanh(linear(z, self.hidden.weight, self.hidden.bias, low))
