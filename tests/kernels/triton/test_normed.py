"""Swish, a residual and layer normalization at once: against autograd in float64."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from tests.kernels.triton import PLACES, assert_as_exact, needs_triton
from tests.kernels.triton.compiled import CAPABILITIES, launches_of, made_up, resources_of

pytestmark = needs_triton

EPS = 0.1
WAYS = [(False, False), (True, False), (True, True)]
"""With a residual or without, and whether the sum with it is wanted."""


def given(n_rows: int, width: int) -> list[torch.Tensor]:
    """Return x, the residual, weight, bias, and what comes back by the two results."""
    generator = torch.Generator().manual_seed(4)
    shapes = [(n_rows, width)] * 2 + [(width,)] * 2 + [(n_rows, width)] * 2
    return [3 * torch.randn(shape, generator=generator) for shape in shapes]


def oracle(parts: list[torch.Tensor], residual: bool, add: bool, dtype: torch.dtype) -> list[torch.Tensor]:
    """Return the results and the gradients by all four inputs, as PyTorch's operators find them."""
    x, total, weight, bias, by_out, by_total = (part.to(dtype, copy=True) for part in parts)
    inputs = [x, *([total] if residual else []), weight, bias]
    for part in inputs:
        part.requires_grad_()
    out = F.layer_norm(F.silu(x + total if residual else x), x.shape[1:], weight, bias, EPS)
    results = [out, total + out] if add else [out]
    gradients = torch.autograd.grad(results, inputs, [by_out, by_total][: len(results)])
    return [*(result.detach() for result in results), *gradients]


@pytest.mark.parametrize(("residual", "add"), WAYS)
@pytest.mark.parametrize(("n_rows", "width"), [(9, 7), (3, 600), (1, 1), (0, 5), (8, 16)])
@pytest.mark.parametrize("run", PLACES)
def test_it_is_as_exact_as_pytorchs_operators(
    run: Callable[..., Any], n_rows: int, width: int, residual: bool, add: bool
) -> None:
    parts = given(n_rows, width)
    x, total, weight, bias, by_out, by_total = parts
    held = total if residual else None
    out, summed = run("normed", "normed_swish", x, held, weight, bias, EPS, add=add)[0]
    assert (summed is not None) == add
    back = run("normed", "normed_swish_gradients", x, held, weight, EPS, by_out, by_total if add else None)[0]
    found = [out, *([summed] if add else []), back[0], *([back[1]] if residual else []), *back[2:]]
    truth, usual = (oracle(parts, residual, add, dtype) for dtype in (torch.float64, torch.float32))
    for mine, naive, true in zip(found, usual, truth, strict=True):
        assert_as_exact(mine, naive, true)


@pytest.mark.parametrize("run", PLACES)
def test_values_of_a_hundred_stay_finite_and_right(run: Callable[..., Any]) -> None:
    # exp(100) is none in float32: swish is 0 there, and so is its derivative.
    parts = given(2, 6)
    parts[0] = torch.tensor([[-100.0, 100.0, 0.0, 1.0, -1.0, 50.0]] * 2)
    x, _, weight, bias, by_out, _ = parts
    out, _ = run("normed", "normed_swish", x, None, weight, bias, EPS, add=False)[0]
    back = run("normed", "normed_swish_gradients", x, None, weight, EPS, by_out, None)[0]
    truth, usual = (oracle(parts, False, False, dtype) for dtype in (torch.float64, torch.float32))
    for mine, naive, true in zip((out, back[0], *back[2:]), usual, truth, strict=True):
        assert_as_exact(mine, naive, true)


def test_wide_layers_and_other_types_are_left_to_pytorch() -> None:
    from distrecvae.kernels.triton.normed import WIDEST, fits

    assert fits(torch.empty(2, WIDEST))
    assert not fits(torch.empty(2, WIDEST + 1))
    assert not fits(torch.empty(2, 3, dtype=torch.float64))


@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize("width", [600, 4096])
def test_it_compiles_without_spills(monkeypatch: pytest.MonkeyPatch, width: int, capability: int) -> None:
    from distrecvae.kernels.triton.normed import normed_swish, normed_swish_gradients

    x, row = made_up((500, width)), made_up((width,))
    calls = (
        partial(normed_swish, x, x, row, row, EPS, add=True),
        partial(normed_swish_gradients, x, x, row, EPS, x, x),
    )
    for call in calls:
        (launch,) = launches_of(monkeypatch, call)
        found = resources_of(launch, capability)
        assert found.registers <= (128 if width <= 1024 else 255)
        assert found.spilled_bytes == 0
        assert found.shared_bytes <= 1024
        assert ".f64" not in found.ptx, "which most GPUs do 64 times slower"
