"""Swish, a residual and layer normalization: by the equations, and by the kernels where they can be taken."""

from __future__ import annotations

import pytest
import torch

from distrecvae.kernels.normed import normed_swish
from tests.kernels.triton import assert_as_exact, needs_triton
from tests.kernels.triton.interpreted import interpreted

WAYS = [(False, False), (False, True), (True, False), (True, True)]
"""With a residual or without, and whether the sum is wanted."""


def given(n_rows: int = 9, width: int = 7) -> tuple[list[torch.Tensor], torch.nn.LayerNorm]:
    """Return x, the residual and what comes back by the two results; and a normalization."""
    generator = torch.Generator().manual_seed(5)
    norm = torch.nn.LayerNorm(width, eps=0.1)
    with torch.no_grad():
        for parameter in (norm.weight, norm.bias):
            parameter.copy_(torch.randn(width, generator=generator))
    return [torch.randn(n_rows, width, generator=generator) for _ in range(4)], norm


def by_hand(x: torch.Tensor, total: torch.Tensor | None, norm: torch.nn.LayerNorm) -> torch.Tensor:
    inside = x if total is None else x + total
    swish = inside / (1 + (-inside).exp())
    away = swish - swish.mean(dim=1, keepdim=True)
    return away / (away.square().mean(dim=1, keepdim=True) + norm.eps).sqrt() * norm.weight + norm.bias


@pytest.mark.parametrize(("residual", "add"), WAYS)
def test_it_is_the_equations(residual: bool, add: bool) -> None:
    (x, total, *_), norm = given()
    held = total if residual else None
    hidden, summed = normed_swish(x, held, norm, add=add)
    expected = by_hand(x, held, norm)
    torch.testing.assert_close(hidden, expected)
    assert (summed is not None) == add
    if summed is not None:
        torch.testing.assert_close(summed, expected + total if residual else expected)


@needs_triton
@pytest.mark.parametrize(("residual", "add"), WAYS)
def test_through_the_kernels_results_and_gradients_are_as_exact(residual: bool, add: bool) -> None:
    parts, norm = given()
    truth, usual, found = (
        interpreted(
            "tests.kernels.triton.wired",
            "normed_and_gradients",
            [part.to(dtype) for part in parts],
            norm.to(dtype),
            residual=residual,
            add=add,
            by_kernels=by_kernels,
        )[0]
        for dtype, by_kernels in ((torch.float64, False), (torch.float32, False), (torch.float32, True))
    )
    assert len(found) == len(truth)
    for mine, naive, true in zip(found, usual, truth, strict=True):
        assert_as_exact(mine, naive, true)
