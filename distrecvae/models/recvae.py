"""RecVAE: its configuration and its networks; its prior is `distrecvae.kernels.composite_prior`'s.

Shenbin et al., "RecVAE: a New Variational Autoencoder for Top-N Recommendations with Implicit Feedback", WSDM
2020. Mult-VAE (Liang et al., WWW 2018) and the steps of the paper's ablation between the two are settings of
the same model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import nn

from distrecvae.checks import (
    require_choice,
    require_flag,
    require_fraction,
    require_number,
    require_whole,
)
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import ConfigError
from distrecvae.kernels import item_axes
from distrecvae.kernels.layers import SparseLinear, load_parameters, unit_rows
from distrecvae.kernels.likeness import cosines
from distrecvae.kernels.normed import normed_swish
from distrecvae.kernels.precision import linear
from distrecvae.kernels.sparse import SparseRows, gather_sum

Architecture = Literal["dense", "mlp"]
ARCHITECTURES = ("dense", "mlp")
N_HIDDEN = 5
LAYER_NORM_EPS = 0.1


@dataclass(frozen=True, kw_only=True)
class RecVAEConfig:
    """Settings of RecVAE; the defaults are the published ones for MovieLens-20M.

    Attributes:
        hidden_dim: width of the encoder's hidden layers.
        latent_dim: size of a user's code z.
        dropout: share of a user's interactions hidden from the encoder while it is trained (denoising).
        decoder_dropout: the same while the decoder is trained; RecVAE's point is that it is 0.
        gamma: weight of the KL term per interaction of the user (the paper's rescaling). Exactly one of
            `gamma` and `beta` is given.
        beta: constant weight of the KL term.
        anneal_updates: encoder updates over which `beta` is approached: the weight is min(beta, updates /
            anneal_updates), as in Mult-VAE; 0 for none.
        mixture_weights: of the composite prior's N(0, I), q_old(z|x) and N(0, exp(10) I); they sum to 1 and a
            zero removes its component. (1, 0, 0) is the standard prior.
        architecture: "dense" for RecVAE's encoder of five densely connected layers; "mlp" for Mult-VAE's one
            tanh layer in the encoder and one in the decoder.
        alternating: train encoder and decoder in turn; False trains them together, one pass a cycle, with
            denoising.
        encoder_passes: data passes for the encoder in a cycle (alternating training).
        decoder_passes: data passes for the decoder in a cycle (alternating training).
        learning_rate: of both Adam optimizers.
        batch_size: users a batch.

    Raises:
        ConfigError: a value breaks its rule.
    """

    PUBLISHED: ClassVar = True  # the defaults are those of the paper or its code

    hidden_dim: int = 600
    latent_dim: int = 200
    dropout: float = 0.5
    decoder_dropout: float = 0.0
    gamma: float | None = 0.005
    beta: float | None = None
    anneal_updates: int = 0
    mixture_weights: tuple[float, float, float] = (3 / 20, 3 / 4, 1 / 10)
    architecture: Architecture = "dense"
    alternating: bool = True
    encoder_passes: int = 3
    decoder_passes: int = 1
    learning_rate: float = 5e-4
    batch_size: int = 500

    def __post_init__(self) -> None:
        for name in ("hidden_dim", "latent_dim", "encoder_passes", "decoder_passes", "batch_size"):
            require_whole(name, getattr(self, name), at_least=1)
        require_whole("anneal_updates", self.anneal_updates, at_least=0)
        require_number("learning_rate", self.learning_rate, above=0)
        for name in ("dropout", "decoder_dropout"):
            require_fraction(name, getattr(self, name))
        require_flag("alternating", self.alternating)
        require_choice("architecture", self.architecture, ARCHITECTURES)
        for name in ("gamma", "beta"):
            if getattr(self, name) is not None:
                require_number(name, getattr(self, name), at_least=0)
        if (self.gamma is None) == (self.beta is None):
            given = (
                "neither is given"
                if self.gamma is None
                else f"gamma={self.gamma} and beta={self.beta} are given"
            )
            remedy = "give one" if self.gamma is None else "pass gamma=None to use beta"
            raise ConfigError(f"{given}; exactly one of gamma and beta must be: {remedy}")
        if self.anneal_updates and self.beta is None:
            raise ConfigError(
                f"anneal_updates is {self.anneal_updates}; only beta is annealed: pass gamma=None and a beta"
            )
        object.__setattr__(self, "mixture_weights", _checked_weights(self.mixture_weights))

    @property
    def cycle_passes(self) -> int:
        """Data passes of a cycle: of encoder and decoder in turn, or one for both together."""
        return self.encoder_passes + self.decoder_passes if self.alternating else 1


def _checked_weights(weights: object) -> tuple[float, float, float]:
    """Return the mixture weights as floats that sum to one.

    Raises:
        ConfigError: they are not three non-negative numbers that sum to 1.
    """
    if not isinstance(weights, tuple | list) or len(weights) != 3:
        raise ConfigError(f"mixture_weights is {weights!r}; it must be three weights")
    for weight in weights:
        require_number("a weight of mixture_weights", weight, at_least=0)
    if abs(sum(weights) - 1) > 1e-6:
        raise ConfigError(f"mixture_weights {tuple(weights)} sum to {sum(weights):g}; they must sum to 1")
    first, second, third = (float(weight) for weight in weights)
    return first, second, third


class Encoder(nn.Module):
    """q(z|x): from a row to the mean and the log-variance of a diagonal Gaussian.

    `preactivation` is the layer that sees the items, `forward` the rest; training differentiates them apart,
    since the first one's gradient is a sparse product.
    """

    def __init__(self, n_items: int, hidden_dim: int, latent_dim: int, architecture: Architecture) -> None:
        super().__init__()
        self.fc1 = SparseLinear(n_items, hidden_dim)
        if architecture == "dense":
            for k in range(2, N_HIDDEN + 1):
                self.add_module(f"fc{k}", nn.Linear(hidden_dim, hidden_dim))
            for k in range(1, N_HIDDEN + 1):
                self.add_module(f"ln{k}", nn.LayerNorm(hidden_dim, eps=LAYER_NORM_EPS))
        self.fc_mu = nn.Linear(hidden_dim, latent_dim)
        self.fc_logvar = nn.Linear(hidden_dim, latent_dim)
        self._is_dense = architecture == "dense"

    def preactivation(self, rows: SparseRows, values: torch.Tensor) -> torch.Tensor:
        """Return W_1 x~ + b_1, (n_rows, hidden_dim), for the rows with `values` at their interactions."""
        return gather_sum(rows, values, self.fc1.weight) + self.fc1.bias

    def forward(
        self, preactivation: torch.Tensor, low: torch.dtype | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mu and logvar, each (n_rows, latent_dim); `low` as in `precision.linear`."""
        hidden = self._dense(preactivation, low) if self._is_dense else torch.tanh(preactivation)
        return self._linear("fc_mu", hidden, low), self._linear("fc_logvar", hidden, low)

    def posterior(
        self, rows: SparseRows, low: torch.dtype | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mu and logvar of whole rows, without denoising and without a gradient."""
        with torch.no_grad():
            mu, logvar = self(self.preactivation(rows, rows.unit_values(self.fc1.weight.dtype)), low)
        return mu, logvar

    def _dense(self, preactivation: torch.Tensor, low: torch.dtype | None) -> torch.Tensor:
        hidden, total = normed_swish(preactivation, None, self._norm(1), add=True)
        for k in range(2, N_HIDDEN + 1):
            product = self._linear(f"fc{k}", hidden, low)
            hidden, total = normed_swish(product, total, self._norm(k), add=k < N_HIDDEN)
        return hidden

    def _norm(self, k: int) -> nn.LayerNorm:
        norm = self.get_submodule(f"ln{k}")
        assert isinstance(norm, nn.LayerNorm)  # noqa: S101  (as made)
        return norm

    def _linear(self, name: str, x: torch.Tensor, low: torch.dtype | None) -> torch.Tensor:
        layer = self.get_submodule(name)
        return linear(x, layer.get_parameter("weight"), layer.get_parameter("bias"), low)


class Decoder(nn.Module):
    """p(x|z): linear in z for RecVAE, one tanh layer before that for Mult-VAE.

    Attributes:
        weight: (n_items, latent_dim or hidden_dim).
        bias: (n_items,).
    """

    ITEM_AXES: ClassVar = item_axes.ROWS

    def __init__(self, n_items: int, hidden_dim: int, latent_dim: int, architecture: Architecture) -> None:
        super().__init__()
        self.hidden = nn.Linear(latent_dim, hidden_dim) if architecture == "mlp" else None
        width = hidden_dim if self.hidden is not None else latent_dim
        bound = 1 / math.sqrt(width)
        self.weight = nn.Parameter(torch.empty(n_items, width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(n_items).uniform_(-bound, bound))

    def forward(self, z: torch.Tensor, low: torch.dtype | None = None) -> torch.Tensor:
        """Return the code that `weight` and `bias` turn into logits: z itself, or the tanh layer's output."""
        if self.hidden is None:
            return z
        return torch.tanh(linear(z, self.hidden.weight, self.hidden.bias, low))


class RecVAE(nn.Module):
    """RecVAE's networks; scores are the logits at z = mu.

    `encoder_old`, q_old of the prior, is not part of it: only training needs it.
    """

    def __init__(self, config: RecVAEConfig, n_items: int) -> None:
        super().__init__()
        self.encoder = new_encoder(config, n_items)
        self.decoder = Decoder(n_items, config.hidden_dim, config.latent_dim, config.architecture)

    @property
    def n_items(self) -> int:
        """Number of items."""
        return self.decoder.bias.numel()

    def score(self, fold_in: InteractionMatrix) -> torch.Tensor:
        """Return logits, float32, (n_users, n_items)."""
        rows = SparseRows.from_matrix(fold_in, self.decoder.bias.device)
        with torch.no_grad():
            mu, _ = self.encoder.posterior(rows)
            code = self.decoder(mu)
            return torch.addmm(self.decoder.bias, code, self.decoder.weight.T).float()

    def likeness(self, item: int) -> torch.Tensor:
        """Return how alike each item and `item` are, by the cosine of their decoder weights: float32, (n_items,)."""
        return cosines(self.decoder.weight, item)

    def dense_scores(self, x: torch.Tensor) -> torch.Tensor:
        """Return the same from rows with a place for every item, as a graph of tensors: (n_rows, n_items)."""
        mu, _ = self.encoder(self.encoder.fc1.dense(unit_rows(x)))
        return torch.addmm(self.decoder.bias, self.decoder(mu), self.decoder.weight.T)


def new_encoder(config: RecVAEConfig, n_items: int) -> Encoder:
    """Return an encoder with fresh parameters: RecVAE's own, or the q_old that training starts from."""
    return Encoder(n_items, config.hidden_dim, config.latent_dim, config.architecture)


def load_recvae(
    config: RecVAEConfig, n_items: int, state: Mapping[str, torch.Tensor], device: torch.device | str = "cpu"
) -> RecVAE:
    """Return the model with the parameters `state`.

    Raises:
        CheckpointError: names or shapes do not fit the configuration.
    """
    with torch.device("meta"):
        model = RecVAE(config, n_items)
    load_parameters(model, state, device)
    return model
