"""The Triton kernels: in their interpreter, compiled for GPUs that are not here, and on one where there is one."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest
import torch

from tests.kernels.triton.interpreted import call, interpreted

needs_triton = pytest.mark.skipif(
    find_spec("triton") is None, reason="needs Triton: pip install --no-deps triton"
)


def on_gpu(module: str, function: str, *arguments: Any, **named: Any) -> tuple[Any, ...]:
    """Call a function of the kernels' room with tensors on the GPU; return what `interpreted` does."""
    there = {name: moved(value, "cuda") for name, value in named.items()}
    found: tuple[Any, ...] = moved(call(module, function, *moved(arguments, "cuda"), **there), "cpu")
    return found


def moved(value: Any, device: str) -> Any:
    """Return the value with all its tensors on that device."""
    if isinstance(value, torch.Tensor):
        return value.to(device)
    if not isinstance(value, tuple):
        return value
    parts = [moved(part, device) for part in value]
    return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)


needs_gpu = [
    pytest.mark.cuda,
    pytest.mark.skipif(
        torch.version.cuda is None or not torch.cuda.is_available(), reason="needs a CUDA device"
    ),
]
PLACES = [
    pytest.param(interpreted, id="interpreted"),
    pytest.param(on_gpu, id="on a GPU", marks=needs_gpu),
]
"""Where a kernel runs."""
PRODUCTS = [
    pytest.param(interpreted, None, id="interpreted-float32"),
    pytest.param(interpreted, torch.float16, id="interpreted-float16"),
    pytest.param(on_gpu, None, id="on a GPU-float32", marks=needs_gpu),
    pytest.param(on_gpu, torch.float16, id="on a GPU-float16", marks=needs_gpu),
    pytest.param(on_gpu, torch.bfloat16, id="on a GPU-bfloat16", marks=needs_gpu),
]
"""Where a kernel with products runs, and what it rounds factors to. The interpreter multiplies bfloat16 wrongly."""


def lowered(x: torch.Tensor, low: torch.dtype | None) -> torch.Tensor:
    """Return a factor of a product as it is after rounding."""
    return x if low is None else x.to(low).to(x.dtype)


def error_of(found: torch.Tensor, truth: torch.Tensor) -> float:
    """Return how far `found` is from the truth, in the norm and relative to it; where that is zero, how far at all."""
    norm = float(truth.double().norm())
    return float((found.double() - truth.double()).norm()) / (norm or 1.0)


def assert_as_exact(
    found: torch.Tensor, usual: torch.Tensor, truth: torch.Tensor, low: torch.dtype | None = None
) -> None:
    """Hold what a kernel finds to float64: its error is at most three times that of the usual way in its precision.

    Where the usual way was lucky, a rounding of each element to `low` is allowed besides.
    """
    assert found.dtype == usual.dtype
    assert found.shape == usual.shape == truth.shape
    assert torch.isfinite(found).all()
    assert error_of(found, truth) <= 3 * error_of(usual, truth) + torch.finfo(low or found.dtype).eps
