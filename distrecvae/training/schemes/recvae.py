"""Makes RecVAE's trainer, plain or with ImplicitSLIM, and estimates the memory it takes."""

from __future__ import annotations

import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.kernels.multinomial import working_bytes
from distrecvae.kernels.precision import product_dtype
from distrecvae.kernels.shifted_logits import rounded_weight_bytes
from distrecvae.kernels.sparse import SparseRows
from distrecvae.models.recvae import RecVAE, RecVAEConfig
from distrecvae.models.recvae_implicitslim import RecVAEImplicitSLIMConfig, refined, refined_bytes
from distrecvae.precisions import Precision
from distrecvae.training.entry import FLOAT_BYTES, score_bytes
from distrecvae.training.schemes.alternating import AlternatingTrainer
from distrecvae.training.schemes.batches import batch_bytes, item_gradient_bytes
from distrecvae.training.schemes.update import old_posterior_bytes

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
    scores = score_bytes(train.n_users, train.n_items, device)
    step = FLOAT_BYTES * hidden + working_bytes(
        config.batch_size, train.n_items, device.type, product_dtype(precision)
    )
    working = FLOAT_BYTES * both + scores + step  # a step's buffers stay while models are evaluated
    if device.type == "cuda":
        # The data lies there too. What a CUDA graph holds is not lent to anyone else, nor to steps that run as they
        # are. The best model's copy is on the host. Where Triton's kernels take the item
        # layers' steps, there are neither their gradients nor logits, but a rounded copy of the decoder's weight.
        low = product_dtype(precision)
        working += (
            train.indices.nbytes
            + train.indptr.nbytes
            + 2 * item_gradient_bytes(train, config.batch_size, config.hidden_dim)
            + 2
            * FLOAT_BYTES
            * (encoder - train.n_items * config.hidden_dim)  # those of the dense layers, twice more
            + step
            + batch_bytes(train, config.batch_size, config.latent_dim)
            + (model.decoder.weight.numel() * low.itemsize if low is not None else 0)
        )
    else:
        working += FLOAT_BYTES * both
        if product_dtype(precision) is not None:
            working += rounded_weight_bytes(*model.decoder.weight.shape)
    old = old_posterior_bytes(config, train.n_users, FLOAT_BYTES)
    return FLOAT_BYTES * saved + working + old, FLOAT_BYTES * (saved + both)


def recvae_implicitslim(
    config: RecVAEImplicitSLIMConfig,
    train: InteractionMatrix,
    *,
    seed: int,
    device: torch.device,
    precision: Precision,
    dtype: torch.dtype,
) -> AlternatingTrainer:
    """Return RecVAE's trainer that refines the item embeddings of encoder and decoder every `refine_every` cycles.

    As in the published code: before the passes of every `refine_every`-th cycle; Adam's moments and q_old stay.
    """

    def refine(cycle: int, model: RecVAE, rows: SparseRows) -> None:
        if cycle % config.refine_every != config.refine_every - 1:
            return
        with torch.no_grad():
            for embeddings in (model.encoder.fc1.weight, model.decoder.weight):
                embeddings.copy_(
                    refined(
                        embeddings,
                        rows,
                        regularization=config.regularization,
                        alpha=config.alpha,
                        min_item_interactions=config.min_item_interactions,
                    )
                )

    return AlternatingTrainer(
        config, train, seed=seed, device=device, precision=precision, dtype=dtype, before_cycle=refine
    )


def recvae_implicitslim_bytes(
    config: RecVAEImplicitSLIMConfig, train: InteractionMatrix, *, device: torch.device, precision: Precision
) -> tuple[int, int]:
    """Return RecVAE's memory with that of a refinement, and its state's size on disk: bytes."""
    in_training, on_disk = recvae_bytes(config, train, device=device, precision=precision)
    width = max(config.hidden_dim, config.latent_dim)
    refinement = refined_bytes(train.n_users, train.n_items, train.n_interactions, width)
    # It comes between cycles, where models are scored, and they let go of what they used.
    return in_training + max(0, refinement - score_bytes(train.n_users, train.n_items, device)), on_disk
