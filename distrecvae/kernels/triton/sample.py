"""RecVAE's sample of a code and its divergence from the composite prior on a GPU: a launch each way.

The equations are those of `distrecvae.kernels.composite_prior`, its oracle, where they are some thirty launches. All is
elementwise but the divergence, a sum over a row's coordinates: a program has a row. In float32 throughout.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import triton
import triton.language as tl

WIDEST = 2048
"""Codes up to this width fit: a program holds its row in registers."""

_LOG_2PI = math.log(2 * math.pi)


class Sample(NamedTuple):
    """A sample of codes, and what its gradient needs.

    Attributes:
        z: (n_rows, width).
        divergence: (n_rows,), log q(z|x) - log p~(z|x).
        ahead: (n_rows, width), z - mu.
        pull: (n_rows, width), the derivative of -log p~(z|x) by z.
    """

    z: torch.Tensor
    divergence: torch.Tensor
    ahead: torch.Tensor
    pull: torch.Tensor


@triton.jit(do_not_specialize=["standard", "old", "wide", "narrow"], do_not_specialize_on_alignment=["noise"])
def _sample(
    mu, logvar, noise, old_mu, old_logvar, out_z, out_divergence, out_ahead, out_pull,
    standard, old, wide, narrow, LOG_2PI: tl.constexpr, STANDARD: tl.constexpr, OLD: tl.constexpr,
    WIDE: tl.constexpr, WIDTH: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """`standard`, `old` and `wide` are the logarithms of the parts' constant factors; `narrow` is exp(-10)."""
    row = tl.program_id(0)
    column = tl.arange(0, COLUMNS)
    real = column < WIDTH
    at = row.to(tl.int64) * WIDTH + column
    some_logvar = tl.load(logvar + at, mask=real, other=0.0)
    some_noise = tl.load(noise + at, mask=real, other=0.0)
    ahead = tl.exp(some_logvar / 2) * some_noise
    z = tl.load(mu + at, mask=real, other=0.0) + ahead
    none = tl.full([COLUMNS], float("-inf"), tl.float32)
    first, second, third = none, none, none
    by_second = tl.zeros([COLUMNS], tl.float32)
    if STANDARD:
        first = standard - 0.5 * z * z
    if OLD:
        log_variance = tl.load(old_logvar + at, mask=real, other=0.0)
        away = z - tl.load(old_mu + at, mask=real, other=0.0)
        by_second = away * tl.exp(-log_variance)
        second = old - 0.5 * (log_variance + away * by_second)
    if WIDE:
        third = wide - 0.5 * narrow * z * z
    top = tl.maximum(tl.maximum(first, second), third)
    first, second, third = tl.exp(first - top), tl.exp(second - top), tl.exp(third - top)
    total = first + second + third
    pull = (first * z + second * by_second + third * (narrow * z)) / total
    term = 0.5 * (some_logvar + some_noise * some_noise + LOG_2PI) + (top + tl.log(total))
    tl.store(out_divergence + row, -tl.sum(tl.where(real, term, 0.0), 0))
    tl.store(out_z + at, z, mask=real)
    tl.store(out_ahead + at, ahead, mask=real)
    tl.store(out_pull + at, pull, mask=real)


@triton.jit
def _gradients(
    by_z, by_divergence, ahead, pull, by_mu, by_logvar, WIDTH: tl.constexpr, COLUMNS: tl.constexpr
):
    row = tl.program_id(0)
    column = tl.arange(0, COLUMNS)
    real = column < WIDTH
    at = row.to(tl.int64) * WIDTH + column
    by_row = tl.load(by_divergence + row)
    found = tl.load(by_z + at, mask=real, other=0.0) + by_row * tl.load(pull + at, mask=real, other=0.0)
    tl.store(by_mu + at, found, mask=real)
    found = (tl.load(ahead + at, mask=real, other=0.0) * found - by_row) / 2
    tl.store(by_logvar + at, found, mask=real)


def fits(mu: torch.Tensor) -> bool:
    """Return whether these kernels are for codes such as `mu`: of float32 and not too wide."""
    return mu.dtype == torch.float32 and mu.shape[1] <= WIDEST


def sample(
    mu: torch.Tensor,
    logvar: torch.Tensor,
    noise: torch.Tensor,
    weights: tuple[float, float, float],
    old: tuple[torch.Tensor, torch.Tensor] | None,
    wide_logvar: float,
) -> Sample:
    """Return z = mu + eps exp(logvar / 2), its divergence, and what the gradient needs.

    Args:
        mu: of the posterior, float32, (n_rows, width), at most `WIDEST` wide.
        logvar: of the posterior, of the same shape, as all that follow.
        noise: eps.
        weights: of N(0, I), q_old and N(0, exp(wide_logvar) I); one at least is positive.
        old: mean and log-variance of q_old(z|x); needed where its weight is positive.
        wide_logvar: of the third part.
    """
    assert old is not None or not weights[1], "q_old's part needs its posterior"  # noqa: S101
    assert fits(mu), "a program holds its row in registers"  # noqa: S101
    n_rows, width = mu.shape
    out = Sample(torch.empty_like(mu), mu.new_empty(n_rows), torch.empty_like(mu), torch.empty_like(mu))
    # log w_k of what is removed is of no account, but a number.
    logs = [math.log(weight) - _LOG_2PI / 2 if weight else 0.0 for weight in weights]
    logs[2] -= wide_logvar / 2
    parts = [part.contiguous() for part in (mu, logvar, noise, *(old or (mu, mu)))]
    if n_rows:
        with torch.cuda.device_of(mu):
            _sample[(n_rows,)](
                *parts, *out, *logs, math.exp(-wide_logvar), LOG_2PI=_LOG_2PI, STANDARD=weights[0] > 0,
                OLD=weights[1] > 0, WIDE=weights[2] > 0, WIDTH=width, COLUMNS=triton.next_power_of_2(width),
                num_warps=4,
            )  # fmt: skip
    return out


def sample_gradients(
    by_z: torch.Tensor, by_divergence: torch.Tensor, ahead: torch.Tensor, pull: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the gradients by mu and by logvar, (n_rows, width) each.

    Args:
        by_z: the gradient by z, (n_rows, width).
        by_divergence: the gradient by the divergence, (n_rows,).
        ahead: as `sample` returns it.
        pull: as `sample` returns it.
    """
    n_rows, width = ahead.shape
    by_mu, by_logvar = torch.empty_like(ahead), torch.empty_like(ahead)
    if n_rows:
        with torch.cuda.device_of(ahead):
            _gradients[(n_rows,)](
                by_z.contiguous(), by_divergence.contiguous(), ahead, pull, by_mu, by_logvar,
                WIDTH=width, COLUMNS=triton.next_power_of_2(width), num_warps=4,
            )  # fmt: skip
    return by_mu, by_logvar
