"""PMF: Gaussian matrix factorization of observed ratings, here of interactions and sampled zeros.

Salakhutdinov, Mnih, "Probabilistic Matrix Factorization", NIPS 2008, finds the factors of greatest posterior density:

    min over U, V   sum_(observed i,j) (R_ij - U_i . V_j)^2 + lambda_U sum_i ||U_i||^2 + lambda_V sum_j ||V_j||^2

Where all that is observed is ones, constant factors would do; so zeros are needed. Each user is given `negatives` zeros
an interaction, drawn from the items without one, and the loss is taken in expectation over the draw: each of a user's
other cells counts by its chance to be drawn, negatives * n / (n_items - n), at most 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from distrecvae.checks import require_number, require_whole
from distrecvae.kernels.least_squares import Weighing, Weights
from distrecvae.kernels.pointwise import chance_of_a_zero


@dataclass(frozen=True, kw_only=True)
class PMFConfig:
    """Settings of PMF.

    Attributes:
        latent_dim: factors of a user and of an item.
        regularization: lambda_U and lambda_V. One number is enough: factors multiplied by c on one side and divided
            by it on the other fit as well, so only the product of the two matters.
        negatives: zeros an interaction.

    Raises:
        ConfigError: a value breaks its rule.
    """

    latent_dim: int = 30
    regularization: float = 5.0
    negatives: float = 4.0

    def __post_init__(self) -> None:
        require_whole("latent_dim", self.latent_dim, at_least=1)
        require_number("regularization", self.regularization, above=0)
        require_number("negatives", self.negatives, above=0)


def weigh_pmf(config: PMFConfig) -> Weighing:
    """Return PMF's weights: 1 for interactions, a zero's chance to be drawn for all else."""

    def weigh(counts: torch.Tensor, n_items: int) -> Weights:
        return Weights(1.0, chance_of_a_zero(counts.double(), n_items, config.negatives))

    return weigh
