"""WMF: matrix factorization in which interactions count more than their absence.

Hu, Koren, Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008:

    min over X, Y   sum_(u,i) c_ui (p_ui - x_u . y_i)^2 + lambda (sum_u ||x_u||^2 + sum_i ||y_i||^2)

over all cells, p_ui = 1 and c_ui = 1 + alpha for an interaction, p_ui = 0 and c_ui = 1 elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from distrecvae.checks import require_number, require_whole
from distrecvae.kernels.least_squares import Weighing, Weights


@dataclass(frozen=True, kw_only=True)
class WMFConfig:
    """Settings of WMF.

    Attributes:
        latent_dim: factors of a user and of an item.
        regularization: lambda.
        alpha: what an interaction counts more than its absence, which counts 1.

    Raises:
        ConfigError: a value breaks its rule.
    """

    latent_dim: int = 100
    regularization: float = 100.0
    alpha: float = 40.0

    def __post_init__(self) -> None:
        require_whole("latent_dim", self.latent_dim, at_least=1)
        require_number("regularization", self.regularization, above=0)
        require_number("alpha", self.alpha, at_least=0)


def weigh_wmf(config: WMFConfig) -> Weighing:
    """Return WMF's weights: 1 + alpha for interactions, 1 for all else."""

    def weigh(counts: torch.Tensor, _n_items: int) -> Weights:
        return Weights(1.0 + config.alpha, torch.ones_like(counts, dtype=torch.float64))

    return weigh
