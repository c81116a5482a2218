"""Owns how RecVAE gets its trainer, and the estimate of the memory that takes."""

from __future__ import annotations

import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.models.choices import Precision
from distrecvae.models.multinomial import working_bytes
from distrecvae.models.precision import product_dtype
from distrecvae.models.recvae import RecVAE, RecVAEConfig
from distrecvae.training.alternating import AlternatingTrainer
from distrecvae.training.entry import FLOAT_BYTES, score_bytes
from distrecvae.training.update import old_posterior_bytes

HIDDEN_TENSORS = 40
"""What an encoder's step keeps for its gradient, counted in tensors of (batch_size, hidden_dim)."""


def recvae(
    config: RecVAEConfig,
    train: InteractionMatrix,
    *,
    seed: int,
    device: torch.device,
    precision: Precision,
    dtype: torch.dtype,
) -> AlternatingTrainer:
    """Return RecVAE's trainer."""
    return AlternatingTrainer(config, train, seed=seed, device=device, precision=precision, dtype=dtype)


def recvae_bytes(
    config: RecVAEConfig, train: InteractionMatrix, *, device: torch.device, precision: Precision
) -> tuple[int, int]:
    """Return RecVAE's memory in training and its state's size on disk: bytes, by counting tensors."""
    with torch.device("meta"):
        model = RecVAE(config, train.n_items)
    encoder = sum(parameter.numel() for parameter in model.encoder.parameters())
    both = encoder + sum(parameter.numel() for parameter in model.decoder.parameters())
    # Parameters and two moments of both sides, q_old and the best model are saved; gradients are not.
    saved = 3 * both + encoder
    hidden = HIDDEN_TENSORS * config.batch_size * config.hidden_dim
    scores = score_bytes(train.n_users, train.n_items)
    step = FLOAT_BYTES * hidden + working_bytes(
        config.batch_size, train.n_items, device.type, product_dtype(precision)
    )
    working = FLOAT_BYTES * both + scores + step  # a step's buffers stay while models are evaluated
    if device.type == "cuda":
        # The data lies there too, a sparse gradient is made before it is put in its place, and what a CUDA graph
        # holds is not lent to anyone else. The best model's copy is on the host.
        working += (
            train.indices.nbytes
            + train.indptr.nbytes
            + FLOAT_BYTES * train.n_items * config.hidden_dim
            + step
        )
    else:
        working += FLOAT_BYTES * both
    old = old_posterior_bytes(config, train.n_users, FLOAT_BYTES)
    return FLOAT_BYTES * saved + working + old, FLOAT_BYTES * (saved + both)
