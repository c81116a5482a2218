"""RaCT: Mult-VAE, tuned further by a critic that learned to tell NDCG@100 from three numbers.

Lobel, Li, Gao, Carin, "RaCT: Toward Amortized Ranking-Critical Training for Collaborative Filtering", ICLR 2020. With
x a user's row, split by denoising into what the actor sees and what is withheld, and L_E = -log p(x) under the actor:

    h      = (number of items seen, number withheld, L_E), normalized
    omega  = sigmoid(critic(h))                                  the critic's estimate of NDCG@100
    actor pre-training    minimize Mult-VAE's loss
    critic pre-training   minimize (NDCG@100 - omega)^2 by the critic, the actor as it is
    joint training        maximize omega by the actor, through L_E; continue with the critic
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Protocol

import torch
from torch import nn

from distrecvae.checks import require_fraction, require_number, require_whole
from distrecvae.errors import ConfigError
from distrecvae.kernels.layers import Draws, denoised
from distrecvae.kernels.phases import Objective, Phase
from distrecvae.kernels.sparse import SparseRows
from distrecvae.models.multvae import MultVAE, MultVAEConfig

CRITIC_WIDTHS = (100, 100, 10)
"""Of the critic's hidden layers, as published."""
CRITIC_PENALTY = 1e-4
"""Weight of the critic's squared weights, as published; a batch's mean loss has a share of it."""
NORMALIZER_EPS = 1e-3
"""Added to a variance that is divided by, as in the published code's normalization."""


@dataclass(frozen=True, kw_only=True)
class RaCTConfig:
    """Settings of RaCT; the defaults are those of the published code for MovieLens-20M.

    Attributes:
        hidden_dim: width of the actor's hidden layer on each side.
        latent_dim: size of a user's code z.
        dropout: share of a user's interactions withheld while training.
        beta: the weight of the KL term that annealing ends at.
        anneal_updates: updates after which that weight would be 1; 0 starts at `beta`.
        learning_rate: of the actor's Adam in its pre-training.
        actor_passes: of the actor's pre-training.
        critic_learning_rate: of the critic's Adam.
        critic_passes: of the critic's pre-training; the scores do not change meanwhile.
        joint_learning_rate: of the actor's Adam in joint training, which takes all further passes.
        batch_size: users a batch.

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
    actor_passes: int = 100
    critic_learning_rate: float = 1e-4
    critic_passes: int = 50
    joint_learning_rate: float = 2e-6
    batch_size: int = 500

    def __post_init__(self) -> None:
        require_fraction("dropout", self.dropout)
        if not self.dropout:
            raise ConfigError("dropout is 0; it must be above 0: rankings are judged by what is withheld")
        for name in ("actor_passes", "critic_passes"):
            require_whole(name, getattr(self, name), at_least=1)
        for name in ("critic_learning_rate", "joint_learning_rate"):
            require_number(name, getattr(self, name), above=0)
        self.actor()

    @property
    def pretraining_passes(self) -> int:
        """Passes before actor and critic are trained together."""
        return self.actor_passes + self.critic_passes

    def actor(self) -> MultVAEConfig:
        """Return the actor's settings."""
        return MultVAEConfig(
            hidden_dim=self.hidden_dim,
            latent_dim=self.latent_dim,
            dropout=self.dropout,
            beta=self.beta,
            anneal_updates=self.anneal_updates,
            learning_rate=self.learning_rate,
            batch_size=self.batch_size,
        )


class Judge(Protocol):
    """Tells how well withheld items are ranked: `distrecvae.training.schemes.withheld.withheld_ndcg`."""

    def __call__(
        self,
        logits: Callable[[torch.Tensor], torch.Tensor],
        code: torch.Tensor,
        rows: SparseRows,
        kept: torch.Tensor,
    ) -> torch.Tensor:
        """Return each row's score in 0..1, (n_rows,).

        Args:
            logits: from codes of some rows to their logits, (n_rows, n_items).
            code: (n_rows, width).
            rows: the batch's users.
            kept: bool, (n_places,), which of their interactions the actor saw; the others are withheld.
        """


class Critic(nn.Module):
    """A small network from the three features to an estimate of NDCG@100.

    Attributes:
        mean: (3,), of the features over its pre-training.
        variance: (3,), within batches, over its pre-training.
    """

    mean: torch.Tensor
    variance: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        widths = (3, *CRITIC_WIDTHS, 1)
        self.layers = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(widths))
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            else:
                nn.init.xavier_uniform_(parameter)
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("variance", torch.ones(3))

    def observe(self, h: torch.Tensor, batches: torch.Tensor) -> None:
        """Add a batch's features, (n_rows, 3), to their mean and variance, made of `batches` batches so far.

        `batches` is a scalar, float64.
        """
        share = (1 / (batches + 1)).to(h.dtype)
        self.mean.lerp_(h.mean(dim=0), share)
        self.variance.lerp_(h.var(dim=0, correction=0), share)

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        """Return omega, (n_rows,), for features (n_rows, 3) as they are: they are normalized here."""
        h = (h - self.mean) * (self.variance + NORMALIZER_EPS).rsqrt()
        for layer in self.layers[:-1]:
            h = torch.relu(layer(h))
        omega: torch.Tensor = torch.sigmoid(self.layers[-1](h))[:, 0]
        return omega


class RaCT(nn.Module):
    """The actor, which scores, and its critic.

    Args:
        config: its settings.
        n_items: number of items.
        low: what the factors of products are rounded to in training; None for not at all.
        judge: computes the true NDCG@100; not needed for scoring.
    """

    def __init__(
        self, config: RaCTConfig, n_items: int, low: torch.dtype | None = None, *, judge: Judge
    ) -> None:
        super().__init__()
        self._config, self._judge = config, judge
        self.actor = MultVAE(config.actor(), n_items, low)
        self.critic = Critic()

    @property
    def scorer(self) -> MultVAE:
        """The part that scores: all that is kept of a trained model."""
        return self.actor

    def phases(self) -> tuple[Phase, ...]:
        """Return the three phases of training."""
        config = self._config
        pretrained = Objective("actor", "loss", config.learning_rate)
        judged = Objective(
            "critic", "critic_loss", config.critic_learning_rate, 2 * CRITIC_PENALTY / config.batch_size
        )
        praised = Objective("actor", "actor_loss", config.joint_learning_rate)
        return (
            Phase(config.actor_passes, self.actor.loss, (pretrained,)),
            Phase(config.critic_passes, self.critic_losses, (judged,)),
            Phase(None, self.joint_losses, (praised, judged)),
        )

    def critic_losses(self, rows: SparseRows, draws: Draws, updates: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the mean losses of a batch in the critic's pre-training: ``critic_loss``, ``nll``, ``ndcg``."""
        with torch.no_grad():
            h, ndcg = self._features(rows, draws)
            self.critic.observe(h, updates)
        return {"critic_loss": self._misjudged(h, ndcg), "nll": h[:, 2].mean(), "ndcg": ndcg.mean()}

    def joint_losses(
        self,
        rows: SparseRows,
        draws: Draws,
        updates: torch.Tensor,  # noqa: ARG002
    ) -> dict[str, torch.Tensor]:
        """Return the same in joint training, and ``actor_loss``, which is minus the critic's estimate."""
        h, ndcg = self._features(rows, draws)
        actor_loss = -self.critic(h).mean()
        h = h.detach()
        losses = {"critic_loss": self._misjudged(h, ndcg), "nll": h[:, 2].mean(), "ndcg": ndcg.mean()}
        return {"actor_loss": actor_loss} | losses

    def _misjudged(self, h: torch.Tensor, ndcg: torch.Tensor) -> torch.Tensor:
        """Return the critic's mean squared error."""
        error: torch.Tensor = ndcg - self.critic(h)
        return error.square().mean()

    def _features(self, rows: SparseRows, draws: Draws) -> tuple[torch.Tensor, torch.Tensor]:
        """Return h, (n_rows, 3), and the true NDCG@100, (n_rows,), of one draw of what is withheld and of z."""
        items = self.actor.items
        values = denoised(rows, self._config.dropout, draws, items.bias.dtype)
        code, _ = self.actor.sampled(rows, values, draws)
        kept = values > 0
        with torch.no_grad():
            ndcg = self._judge(items, code.detach(), rows, kept)
        # One row more, for padding, of which nothing is kept.
        seen = code.new_zeros(rows.n_rows + 1).index_add_(0, rows.row_of, kept.to(code.dtype))[:-1]
        withheld = rows.counts.to(code.dtype) - seen
        return torch.stack([seen, withheld, items.row_losses(code, rows)], dim=1), ndcg
