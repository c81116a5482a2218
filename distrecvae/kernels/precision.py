"""The precision of matrix products: float32 throughout, or bfloat16 factors with everything else in float32.

In bfloat16 a product's two factors are rounded to 8 significant bits; it is accumulated in float32 inside and its
result rounded once more on CPUs, whose libraries give no other. Parameters, optimizer, layer norms, exponentials
and sums stay in float32.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812

from distrecvae.kernels.scratch import Scratch
from distrecvae.precisions import Precision

PARITY_ERROR = 2.0**-7
"""How far a product of bfloat16 factors may lie from the truth, in the norm and relative to it: twice the rounding of a
factor. A library or a processor that misses it is not trusted with bfloat16."""


def product_dtype(precision: Precision) -> torch.dtype | None:
    """Return what the factors of a product are rounded to; None for not at all."""
    return torch.bfloat16 if precision == "bfloat16" else None


def best_precision(device: torch.device) -> Precision:
    """Return "bfloat16" where the device multiplies it in hardware and passes the parity check, else "float32"."""
    return "bfloat16" if _has_bfloat16(device) and _passes_parity(device) else "float32"


@cache
def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):
        return False  # PyTorch before 2.9 does not say what a CPU has
    has = torch.cpu.get_capabilities()
    return bool(has.get("amx_bf16") or has.get("avx512_bf16"))


@cache
def _passes_parity(device: torch.device) -> bool:
    """Multiply random matrices and hold the result to float64."""
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(96, 160, generator=generator, dtype=torch.float64) for _ in range(2))
    truth = a @ b.T
    low = (a.to(device, torch.bfloat16) @ b.to(device, torch.bfloat16).T).cpu().double()
    return float((low - truth).norm() / truth.norm()) <= PARITY_ERROR


@contextmanager
def fast_float32(device: torch.device | None = None) -> Iterator[None]:
    """Let a CPU's float32 products inside be made by oneDNN where that is as exact as MKL and faster.

    On AMD's CPUs MKL keeps to AVX2, oneDNN uses AVX-512. PyTorch gives it float32 products only when told that
    bfloat16 would do; a CPU without AMX then multiplies in float32 all the same, which is checked once. Inside,
    `torch.get_float32_matmul_precision`, which `torch.compile` asks, raises RuntimeError.

    Args:
        device: where the products are made; None for the CPU. For a GPU's nothing is changed.
    """
    if (device is not None and device.type != "cpu") or not _onednn_is_exact_and_faster():
        yield
        return
    with _bfloat16_would_do():
        yield


@contextmanager
def _bfloat16_would_do() -> Iterator[None]:
    products = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = products.fp32_precision
    products.fp32_precision = "bf16"
    try:
        yield
    finally:
        products.fp32_precision = before


@cache
def _onednn_is_exact_and_faster() -> bool:
    has = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    amd = "AMD" in str(has.get("cpu_name", "")) and bool(has.get("avx512_f")) and not has.get("amx_bf16")
    if not amd or not hasattr(torch.backends.mkldnn, "matmul"):
        return False
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(512, 256, generator=generator) for _ in range(2))
    truth = a.double() @ b.double().T
    usual = (a @ b.T - truth).norm()
    with _bfloat16_would_do():
        return bool((a @ b.T - truth).norm() <= 2 * usual)


def rounded(x: torch.Tensor, low: torch.dtype | None, scratch: Scratch, name: str) -> torch.Tensor:
    """Return the matrix `x` rounded to `low` in the buffer `name`, or itself where `low` is None."""
    if low is None:
        return x
    return scratch.matrix(name, x.shape[0], x.shape[1], low, x.device).copy_(x)


def product(
    a: torch.Tensor, b: torch.Tensor, low: torch.dtype | None, scratch: Scratch, name: str = "product"
) -> torch.Tensor:
    """Return a b, (n_rows, n_columns), in the buffer `name`, which the next product of that name overwrites.

    A rounded product is copied to float32 before anything is done with it: sums of mixed types would make the same
    copy in fresh memory each time, which costs more and leaves the heap in pieces.

    Args:
        a: (n_rows, n_inner).
        b: (n_inner, n_columns).
        low: what the factors are rounded to, unless they are already; None for not at all.
        scratch: has the buffer.
        name: of the buffer.

    Returns:
        Of the factors' dtype where `low` is None, else float32.
    """
    if low is None:
        return torch.mm(a, b, out=scratch.matrix(name, a.shape[0], b.shape[1], a.dtype, a.device))
    a, b = a.to(low), b.to(low)
    if a.is_cuda:
        return torch.mm(a, b, out_dtype=torch.float32)
    rough = torch.mm(a, b, out=scratch.matrix("rough", a.shape[0], b.shape[1], low, a.device))
    return scratch.matrix(name, a.shape[0], b.shape[1], torch.float32, a.device).copy_(rough)


def _multiplied(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return the product of two rounded factors in float32: on a GPU it is not rounded, on CPUs it has been."""
    return torch.mm(a, b, out_dtype=torch.float32) if a.is_cuda else torch.mm(a, b).float()


class _RoundedLinear(torch.autograd.Function):
    """`linear` of float32: fewer calls than autograd would make, and on a GPU no result is rounded."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, low: torch.dtype
    ) -> torch.Tensor:
        x_low, weight_low = x.to(low), weight.to(low)
        ctx.save_for_backward(x_low, weight_low)
        return _multiplied(x_low, weight_low.T).add_(bias)

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (gradient,) = upstream
        x_low, weight_low = ctx.saved_tensors
        rough = gradient.to(x_low.dtype)
        by_x = _multiplied(rough, weight_low) if ctx.needs_input_grad[0] else None
        by_weight = _multiplied(rough.T, x_low) if ctx.needs_input_grad[1] else None
        by_bias = gradient.sum(dim=0) if ctx.needs_input_grad[2] else None
        return by_x, by_weight, by_bias, None


def linear(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, low: torch.dtype | None
) -> torch.Tensor:
    """Return x W^T + b, (n_rows, out_dim), of the dtype of `x`; differentiable.

    Args:
        x: (n_rows, in_dim).
        weight: (out_dim, in_dim).
        bias: (out_dim,), added unrounded.
        low: what the factors are rounded to, in the products of the gradient too; None for not at all.
    """
    if low is None:
        return F.linear(x, weight, bias)
    if x.dtype == torch.float32:
        product: torch.Tensor = _RoundedLinear.apply(x, weight, bias, low)  # type: ignore[no-untyped-call]
        return product
    return F.linear(x.to(low), weight.to(low)).to(x.dtype) + bias
