"""Owns how each model of the registry gets its trainer, and the estimate of the memory that takes."""

from __future__ import annotations

import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.models.multinomial import logits_held
from distrecvae.models.popularity import PopularityConfig, load_popularity, solve_popularity
from distrecvae.models.recvae import RecVAE, RecVAEConfig
from distrecvae.training.alternating import AlternatingTrainer, old_posterior_bytes
from distrecvae.training.closed_form import ClosedFormTrainer

FLOAT_BYTES = 4
EVALUATED_USERS = 500
"""Users a batch of evaluation, whose scores are held with two masks of the same shape."""


def recvae(
    config: RecVAEConfig, train: InteractionMatrix, *, seed: int, device: torch.device, dtype: torch.dtype
) -> AlternatingTrainer:
    """Return RecVAE's trainer."""
    return AlternatingTrainer(config, train, seed=seed, device=device, dtype=dtype)


def recvae_bytes(config: RecVAEConfig, train: InteractionMatrix) -> tuple[int, int]:
    """Return RecVAE's memory in training and its state's size on disk: bytes, by counting tensors."""
    with torch.device("meta"):
        model = RecVAE(config, train.n_items)
    encoder = sum(parameter.numel() for parameter in model.encoder.parameters())
    both = encoder + sum(parameter.numel() for parameter in model.decoder.parameters())
    # Parameters and two moments of both sides, and q_old, are saved; gradients and the best model's copy are
    # not.
    saved = 3 * both + encoder
    logits = logits_held(config.batch_size, train.n_items)
    hidden = 40 * config.batch_size * config.hidden_dim
    scores = 2 * min(EVALUATED_USERS, train.n_users) * train.n_items
    working = 2 * both + max(logits + hidden, scores)
    return FLOAT_BYTES * (saved + working) + old_posterior_bytes(
        config, train.n_users, FLOAT_BYTES
    ), FLOAT_BYTES * saved


def popularity(
    config: PopularityConfig,
    train: InteractionMatrix,
    *,
    seed: int,  # noqa: ARG001
    device: torch.device,
    dtype: torch.dtype,  # noqa: ARG001
) -> ClosedFormTrainer:
    """Return Popularity's trainer."""
    return ClosedFormTrainer(
        lambda: solve_popularity(train),
        lambda state: load_popularity(config, train.n_items, state, device),
    )


def popularity_bytes(config: PopularityConfig, train: InteractionMatrix) -> tuple[int, int]:  # noqa: ARG001
    """Return Popularity's memory and its state's size on disk: bytes."""
    scores = 2 * min(EVALUATED_USERS, train.n_users) * train.n_items
    return FLOAT_BYTES * (scores + 2 * train.n_items), FLOAT_BYTES * train.n_items
