"""NBVAE: a variational autoencoder whose items are negative-binomial, with a decoder for each parameter.

Zhao, Rai, Du, Buntine, Phung, Zhou, "Variational Autoencoders for Sparse and Overdispersed Discrete Data", AISTATS
2020:

    h = tanh(W_1 x~ + b_1),   (mu, logvar) = W_2 h + b_2,   z = mu + eps exp(logvar / 2)
    r = exp(f_r(z)),   p = sigmoid(f_p(z)),   f a layer of tanh and a linear one
    x_i ~ Bernoulli(1 - (1 - p_i)^r_i)        NBVAE_b, for binary data: whether a count is positive
    x_i ~ NB(r_i, p_i)                        NBVAE, for counts: x_i is the count itself
    loss = -sum_i log P(x_i) + beta_t KL(q(z|x) || N(0, I)),   beta_t = min(beta, updates / anneal_updates)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from distrecvae.checks import require_choice, require_fraction, require_number, require_whole
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.kernels import item_axes
from distrecvae.kernels.layers import (
    Draws,
    SparseLinear,
    annealed,
    denoised,
    divergence,
    init_as_published,
    unit_rows,
)
from distrecvae.kernels.likeness import cosines
from distrecvae.kernels.negative_binomial import (
    Head,
    NegativeBinomial,
    OneLoss,
    counted,
    log_mean,
    log_rate,
    occurred,
)
from distrecvae.kernels.precision import linear
from distrecvae.kernels.sparse import SparseRows

LIKELIHOODS: dict[str, tuple[OneLoss, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]]] = {
    "bernoulli": (occurred, log_rate),
    "negative_binomial": (counted, log_mean),
}
"""The loss of a cell that is a one, and scores of all cells, which grow with what the paper ranks by."""
SCORED_AT_ONCE = 16
"""Users whose scores are made of their two logits at a time."""


@dataclass(frozen=True, kw_only=True)
class NBVAEConfig:
    """Settings of NBVAE; the defaults are those of the published code for binary data.

    Attributes:
        hidden_dim: width of the hidden layer of the encoder and of each decoder.
        latent_dim: size of a user's code z.
        likelihood: "bernoulli", the paper's NBVAE_b, or "negative_binomial", its NBVAE.
        dropout: share of a user's interactions hidden while training.
        beta: the weight of the KL term that annealing ends at.
        anneal_updates: updates after which the weight would be 1; the weight is min(beta, updates / anneal_updates).
            0 starts at `beta`.
        learning_rate: of Adam.
        batch_size: users a batch.

    Raises:
        ConfigError: a value breaks its rule.
    """

    PUBLISHED: ClassVar = True  # the defaults are those of the paper or its code

    hidden_dim: int = 600
    latent_dim: int = 200
    likelihood: str = "bernoulli"
    dropout: float = 0.5
    beta: float = 0.2
    anneal_updates: int = 20_000
    learning_rate: float = 1e-3
    batch_size: int = 500

    def __post_init__(self) -> None:
        for name in ("hidden_dim", "latent_dim", "batch_size"):
            require_whole(name, getattr(self, name), at_least=1)
        require_choice("likelihood", self.likelihood, tuple(LIKELIHOODS))
        require_whole("anneal_updates", self.anneal_updates, at_least=0)
        require_fraction("dropout", self.dropout)
        require_number("beta", self.beta, at_least=0)
        require_number("learning_rate", self.learning_rate, above=0)


class NBVAE(nn.Module):
    """NBVAE's network; scores are logarithms of what the paper ranks by, at z = mu.

    Args:
        config: its settings.
        n_items: number of items.
        low: what the factors of products are rounded to in training; None for not at all.
    """

    weight_decay = 0.0
    ITEM_AXES: ClassVar = {
        f"{head}_items.{name}": axes for head in ("r", "p") for name, axes in item_axes.ROWS.items()
    }

    def __init__(self, config: NBVAEConfig, n_items: int, low: torch.dtype | None = None) -> None:
        super().__init__()
        one_loss, self._log_score = LIKELIHOODS[config.likelihood]
        self._config, self._low = config, low
        self._likelihood = NegativeBinomial(one_loss, low)
        self.first = SparseLinear(n_items, config.hidden_dim)
        self.posterior = nn.Linear(config.hidden_dim, 2 * config.latent_dim)
        self.r_hidden, self.p_hidden = (nn.Linear(config.latent_dim, config.hidden_dim) for _ in range(2))
        self.r_items, self.p_items = (nn.Linear(config.hidden_dim, n_items) for _ in range(2))
        init_as_published(self)

    @property
    def n_items(self) -> int:
        """Number of items."""
        return self.r_items.bias.numel()

    def loss(self, rows: SparseRows, draws: Draws, updates: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the mean losses of a batch: ``loss``, which is minimized, and its parts ``nll`` and ``kl``."""
        config = self._config
        values = denoised(rows, config.dropout, draws, self.r_items.bias.dtype)
        mu, logvar = self._encoded(self.first(rows, values), self._low)
        z = mu + draws.normal((rows.n_rows, config.latent_dim), mu.dtype) * (logvar / 2).exp()
        r_head, p_head = self._heads(z, self._low)
        nll: torch.Tensor = _MeanLoss.apply(*r_head, *p_head, rows, self._likelihood)  # type: ignore[no-untyped-call]
        weight = annealed(config.beta, config.anneal_updates, updates, nll.dtype)
        kl = weight * divergence(mu, logvar).mean()
        return {"loss": nll + kl, "nll": nll, "kl": kl}

    def score(self, fold_in: InteractionMatrix) -> torch.Tensor:
        """Return log(-log P(x = 0)) ("bernoulli") or log(r p), float32, (n_users, n_items)."""
        rows = SparseRows.from_matrix(fold_in, self.r_items.bias.device)
        with torch.no_grad():
            mu, _ = self._encoded(self.first(rows, rows.unit_values(self.r_items.bias.dtype)), None)
            a, b = (torch.addmm(head.bias, head.code, head.weight.T) for head in self._heads(mu, None))
            # Some at a time: what a score is made of on the way would take several times as much as the scores.
            for start in range(0, rows.n_rows, SCORED_AT_ONCE):
                some = slice(start, start + SCORED_AT_ONCE)
                a[some] = self._log_score(a[some], b[some])
            return a.float()

    def likeness(self, item: int) -> torch.Tensor:
        """Return how alike each item and `item` are, by the cosine of the output weights of r: float32, (n_items,)."""
        return cosines(self.r_items.weight, item)

    def dense_scores(self, x: torch.Tensor) -> torch.Tensor:
        """Return the same from rows with a place for every item, as a graph of tensors: (n_rows, n_items)."""
        mu, _ = self._encoded(self.first.dense(unit_rows(x)), None)
        a, b = (torch.addmm(head.bias, head.code, head.weight.T) for head in self._heads(mu, None))
        return self._log_score(a, b)

    def _encoded(
        self, preactivation: torch.Tensor, low: torch.dtype | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mu and logvar, each (n_rows, latent_dim), from what the first layer gives."""
        hidden = torch.tanh(preactivation)
        mu, logvar = linear(hidden, self.posterior.weight, self.posterior.bias, low).chunk(2, dim=1)
        return mu, logvar

    def _heads(self, z: torch.Tensor, low: torch.dtype | None) -> tuple[Head, Head]:
        """Return the output layer of log r and that of the logit of p, with their codes."""

        def head(hidden: nn.Linear, items: nn.Linear) -> Head:
            return Head(torch.tanh(linear(z, hidden.weight, hidden.bias, low)), items.weight, items.bias)

        return head(self.r_hidden, self.r_items), head(self.p_hidden, self.p_items)


class _MeanLoss(torch.autograd.Function):
    """The mean of the rows' losses, by the parts of both heads."""

    @staticmethod
    def forward(ctx: Any, *given: Any) -> torch.Tensor:
        *parts, rows, likelihood = given
        ctx.gradients = [torch.empty_like(part) for part in parts]
        heads, gradients = ((Head(*six[:3]), Head(*six[3:])) for six in (parts, ctx.gradients))
        losses: torch.Tensor = likelihood.loss_and_gradients(rows, heads, gradients)
        return losses.mean()

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (scale,) = upstream
        return *(part.mul_(scale) for part in ctx.gradients), None, None
