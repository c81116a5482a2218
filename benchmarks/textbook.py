"""RecVAE as its equations read, the thing to be faster than: dense rows, autograd, log_softmax times x, and everything
in every pass. And users whose items follow a power law."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.kernels.composite_prior import kl_divergence
from distrecvae.models.recvae import RecVAE, RecVAEConfig, new_encoder


def power_law_users(n_users: int, n_items: int, per_user: int) -> InteractionMatrix:
    """Return users with `per_user` draws of items each, popularity ~ rank^-0.8; duplicates are merged."""
    generator = np.random.default_rng(0)
    popularity = 1 / np.arange(1, n_items + 1) ** 0.8
    cumulated = np.cumsum(popularity / popularity.sum())
    items = np.minimum(np.searchsorted(cumulated, generator.random(n_users * per_user)), n_items - 1)
    users = np.repeat(np.arange(n_users), per_user)
    return InteractionMatrix.from_pairs(users, items, n_users=n_users, n_items=n_items)


class Textbook:
    """Trains RecVAE in float32; `step` is a cycle."""

    def __init__(
        self, config: RecVAEConfig, train: InteractionMatrix, *, seed: int = 0, device: str = "cpu"
    ) -> None:
        self.config, self.train, self.device = config, train.to_scipy(), device
        torch.manual_seed(seed)
        self.random = np.random.default_rng(seed)
        self.model = RecVAE(config, train.n_items).to(device)
        self.old = new_encoder(config, train.n_items).to(device)
        sides = (self.model.encoder, self.model.decoder)
        self.optimizers = [torch.optim.Adam(side.parameters(), lr=config.learning_rate) for side in sides]

    def encode(
        self, encoder: torch.nn.Module, x: torch.Tensor, dropout: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mu and logvar of dense rows."""
        normalized = F.dropout(x / x.norm(dim=1, keepdim=True), dropout)
        first = encoder.get_submodule("fc1")
        mu, logvar = encoder(normalized @ first.get_parameter("weight") + first.get_parameter("bias"))
        return mu, logvar

    def step(self) -> None:
        """Train one cycle."""
        config = self.config
        for pass_ in range(config.encoder_passes + config.decoder_passes):
            encoder_pass = pass_ < config.encoder_passes
            if pass_ == config.encoder_passes:
                self.old.load_state_dict(self.model.encoder.state_dict())
            order = self.random.permutation(self.train.shape[0])
            for start in range(0, order.size, config.batch_size):
                rows = self.train[order[start : start + config.batch_size]].toarray()
                x = torch.from_numpy(rows).to(self.device)
                mu, logvar = self.encode(self.model.encoder, x, config.dropout if encoder_pass else 0.0)
                z = mu + torch.randn_like(mu) * (logvar / 2).exp()
                with torch.no_grad():
                    old = self.encode(self.old, x, 0.0)
                logits = z @ self.model.decoder.weight.T + self.model.decoder.bias
                log_likelihood = (F.log_softmax(logits, dim=1) * x).sum(dim=1)
                assert config.gamma is not None
                kl = config.gamma * x.sum(dim=1) * kl_divergence(z, mu, logvar, config.mixture_weights, old)
                for optimizer in self.optimizers:
                    optimizer.zero_grad()
                (kl - log_likelihood).mean().backward()  # type: ignore[no-untyped-call]
                self.optimizers[0 if encoder_pass else 1].step()
