"""RecVAE's sample of a code, its composite prior, and the divergence between the posterior and it.

Shenbin et al., WSDM 2020, a coordinate of the code at a time:

    z          = mu + eps exp(logvar / 2)
    p~(z|x)    = w_1 N(0, I) + w_2 q_old(z|x) + w_3 N(0, exp(10) I)
    divergence = log q(z|x) - log p~(z|x), summed over coordinates: one sample's estimate of the KL term

On a GPU, where each call on tensors is a launch, the gradient is written by hand. With r_k the share of the k-th part
in p~(z|x) and q the derivative of -log p~ by z,

    q = r_1 z + r_2 (z - mu_old) exp(-logvar_old) + r_3 z exp(-10)

and since log q(z|x) = -(logvar + log 2 pi + eps^2) / 2 depends on logvar alone, with g and h what comes back by z and
by the divergence,

    by mu = g + h q,    by logvar = ((z - mu) (g + h q) - h) / 2
"""

from __future__ import annotations

import math
from typing import Any

import torch

from distrecvae.kernels.triton.choice import usable

UNIFORM_LOGVAR = 10.0
"""The prior's third component, N(0, exp(10)), stands for a uniform density."""

Weights = tuple[float, float, float]
Posterior = tuple[torch.Tensor, torch.Tensor]
"""Mean and log-variance of a diagonal Gaussian, (n_rows, latent_dim) each."""

_LOG_2PI = math.log(2 * math.pi)


def log_normal(z: torch.Tensor, mu: torch.Tensor | float, logvar: torch.Tensor | float) -> torch.Tensor:
    """Return log N(z; mu, exp(logvar)) a coordinate: the shape of `z`."""
    variance = logvar.exp() if isinstance(logvar, torch.Tensor) else math.exp(logvar)
    return -0.5 * (logvar + _LOG_2PI + (z - mu).square() / variance)


def log_prior(z: torch.Tensor, weights: Weights, old: Posterior | None) -> torch.Tensor:
    """Return log p~(z|x) a coordinate, the composite prior: the shape of `z`.

    Args:
        z: (n_rows, latent_dim).
        weights: of N(0, I), q_old and N(0, exp(10) I); a component with weight zero is not computed.
        old: mean and log-variance of q_old(z|x); needed where its weight is positive.
    """
    parts = []
    if weights[0]:
        parts.append(log_normal(z, 0.0, 0.0) + math.log(weights[0]))
    if weights[1]:
        assert old is not None  # noqa: S101  (the caller's promise)
        parts.append(log_normal(z, *old) + math.log(weights[1]))
    if weights[2]:
        parts.append(log_normal(z, 0.0, UNIFORM_LOGVAR) + math.log(weights[2]))
    return parts[0] if len(parts) == 1 else torch.logsumexp(torch.stack(parts), dim=0)


def kl_divergence(
    z: torch.Tensor,
    mu: torch.Tensor,
    logvar: torch.Tensor,
    weights: Weights,
    old: Posterior | None,
) -> torch.Tensor:
    """Return the one-sample estimate log q(z|x) - log p~(z|x) of each row: (n_rows,)."""
    return (log_normal(z, mu, logvar) - log_prior(z, weights, old)).sum(dim=1)


def sampled(
    mu: torch.Tensor,
    logvar: torch.Tensor,
    noise: torch.Tensor,
    weights: Weights,
    old: Posterior | None,
    *,
    by_hand: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return z, (n_rows, latent_dim), and the divergence of each row, (n_rows,): differentiable by `mu` and `logvar`.

    Args:
        mu: of the posterior, (n_rows, latent_dim).
        logvar: of the posterior, (n_rows, latent_dim).
        noise: eps, of the same shape.
        weights: of N(0, I), q_old and N(0, exp(10) I); a component with weight zero is not computed.
        old: mean and log-variance of q_old(z|x); needed where its weight is positive.
        by_hand: whether the gradient is made by hand on a CPU, too: faster, and rounded otherwise than autograd's.
    """
    if by_hand or mu.is_cuda:
        z, divergence = _Sampled.apply(mu, logvar, noise, weights, old)  # type: ignore[no-untyped-call]
        return z, divergence
    z = mu + noise * (logvar / 2).exp()
    return z, kl_divergence(z, mu, logvar, weights, old)


class _Sampled(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        mu: torch.Tensor,
        logvar: torch.Tensor,
        noise: torch.Tensor,
        weights: Weights,
        old: Posterior | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if usable(mu, logvar, noise, *(old or ())):
            from distrecvae.kernels.triton.sample import fits, sample

            if fits(mu):
                made = sample(mu, logvar, noise, weights, old, UNIFORM_LOGVAR)
                ctx.save_for_backward(made.ahead, made.pull)
                return made.z, made.divergence
        ahead = (logvar / 2).exp_().mul_(noise)  # z - mu
        z = mu + ahead
        square = z * z
        parts, pulls = [], []  # log w_k N_k(z), and its derivative by z with the sign turned
        if weights[0]:
            parts.append(torch.rsub(square, math.log(weights[0]) - _LOG_2PI / 2, alpha=0.5))
            pulls.append((z, 1.0))
        if weights[1]:
            assert old is not None  # noqa: S101  (the caller's promise)
            away = z - old[0]
            pull = away * old[1].neg().exp_()
            parts.append(
                torch.rsub(torch.addcmul(old[1], away, pull), math.log(weights[1]) - _LOG_2PI / 2, alpha=0.5)
            )
            pulls.append((pull, 1.0))
        if weights[2]:
            narrow = math.exp(-UNIFORM_LOGVAR)
            constant = math.log(weights[2]) - (_LOG_2PI + UNIFORM_LOGVAR) / 2
            parts.append(torch.rsub(square, constant, alpha=0.5 * narrow))
            pulls.append((z, narrow))
        prior = parts[0]
        for part in parts[1:]:
            prior = torch.logaddexp(prior, part)
        entropy = torch.addcmul(logvar, noise, noise).add_(_LOG_2PI)
        divergence = torch.add(prior, entropy, alpha=0.5).sum(dim=1).neg_()
        total = torch.zeros_like(z)
        for part, (pull, scale) in zip(parts, pulls, strict=True):
            share = part.sub_(prior).exp_() if len(parts) > 1 else torch.ones_like(part)
            total.addcmul_(share, pull, value=scale)
        ctx.save_for_backward(ahead, total)
        return z, divergence

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        by_z, by_divergence = upstream
        ahead, pull = ctx.saved_tensors
        if usable(by_z, by_divergence, ahead, pull):
            from distrecvae.kernels.triton.sample import fits, sample_gradients

            if fits(ahead):
                return *sample_gradients(by_z, by_divergence, ahead, pull), None, None, None
        by_divergence = by_divergence[:, None]
        by_mu = torch.addcmul(by_z, by_divergence, pull)
        by_logvar = (ahead * by_mu).sub_(by_divergence).div_(2)
        return by_mu, by_logvar, None, None, None
