"""One sweep over the items: against logsumexp and the mean under softmax in float64."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch

from tests.kernels.triton import PRODUCTS, assert_as_exact, lowered, needs_triton
from tests.kernels.triton.compiled import CAPABILITIES, launches_of, made_up, resources_of
from tests.kernels.triton.random_batch import random_batch

pytestmark = needs_triton

SHAPES = [(37, 330, 24), (5, 31, 200), (70, 210, 17), (64, 64, 16), (1, 1, 1), (3, 500, 3)]


def usual(
    code: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, low: torch.dtype | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logsumexp and mean with all logits in memory; factors are rounded to `low`, and no more than they."""
    logits = lowered(code, low) @ lowered(weight, low).T + bias
    powers = (logits - logits.amax(1, keepdim=True)).exp()
    return logits.logsumexp(1), lowered(powers, low) @ lowered(weight, low) / powers.sum(1, keepdim=True)


@pytest.mark.parametrize(("n_rows", "n_items", "width"), SHAPES)
@pytest.mark.parametrize("mean", [True, False])
@pytest.mark.parametrize(("run", "low"), PRODUCTS)
def test_totals_and_means_are_as_exact_as_with_all_logits_in_memory(
    run: Callable[..., Any], low: torch.dtype | None, mean: bool, n_rows: int, n_items: int, width: int
) -> None:
    batch = random_batch(1, n_rows, n_items, width)
    parts = (batch.code, batch.weight, batch.bias)
    found = run("sweep", "sweep", *parts, low, mean=mean)[0]
    log_total, mean_weight = usual(*parts, low)
    true_total, true_mean = usual(batch.code.double(), batch.weight.double(), batch.bias.double(), None)
    assert_as_exact(found.log_total, log_total, true_total, low)
    assert (found.mean is not None) == mean
    if mean:
        assert_as_exact(found.mean, mean_weight, true_mean, low)


@pytest.mark.parametrize(("run", "low"), PRODUCTS)
def test_a_weight_that_is_rounded_already_gives_the_same_bits(
    run: Callable[..., Any], low: torch.dtype | None
) -> None:
    batch = random_batch(2, 20, 300, 24)
    weight = batch.weight if low is None else batch.weight.to(low)
    first, again = (
        run("sweep", "sweep", batch.code, some, batch.bias, low, mean=True)[0]
        for some in (batch.weight, weight)
    )
    assert torch.equal(first.log_total, again.log_total)
    assert torch.equal(first.mean, again.mean)


@pytest.mark.parametrize(("run", "low"), PRODUCTS)
def test_logits_of_eighty_stay_finite_and_right(run: Callable[..., Any], low: torch.dtype | None) -> None:
    # The greatest logit is in the last split for one row and in the first one for the other. 80 is exact in any type.
    n_items = 400
    weight = torch.linspace(-80, 80, n_items).round()[:, None]
    parts = (torch.tensor([[1.0], [-1.0]]), weight, torch.zeros(n_items))
    found = run("sweep", "sweep", *parts, low, mean=True)[0]
    log_total, mean = usual(parts[0].double(), parts[1].double(), parts[2].double(), None)
    torch.testing.assert_close(found.log_total.double(), log_total, rtol=1e-6, atol=0)
    torch.testing.assert_close(found.mean.double(), mean, rtol=1e-3, atol=0)


def test_the_split_fills_a_gpu_and_takes_no_more_memory_than_the_logits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from distrecvae.kernels.triton import sweep

    for n_rows, n_items, width in (
        (500, 20_108, 200),
        (500, 3_628, 200),
        (100, 41_140, 64),
        (9, 50, 256),
        (2, 7, 1),
    ):
        parts = (made_up((n_rows, width)), made_up((n_items, width)), made_up((n_items,)))
        first, _ = launches_of(monkeypatch, partial(sweep.sweep, *parts, torch.bfloat16, mean=True))
        row_blocks, n_splits = first.grid
        assert row_blocks * n_splits <= sweep.PROGRAMS
        assert first.arguments["sums"].numel() <= n_rows * max(n_items, width)
        assert (n_splits - 1) * first.arguments["share"] < n_items, "each split has an item"
        if n_items > 20_000:
            assert row_blocks * n_splits >= 0.8 * sweep.PROGRAMS


@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize(
    ("low", "rounded", "width"),
    [
        (None, False, 256),
        (torch.bfloat16, False, 200),
        (torch.bfloat16, False, 256),
        (torch.bfloat16, True, 256),
    ],
    ids=str,
)
def test_it_compiles_without_spills(
    monkeypatch: pytest.MonkeyPatch, low: torch.dtype | None, rounded: bool, width: int, capability: int
) -> None:
    from distrecvae.kernels.triton.sweep import sweep

    weight = made_up((20_108, width), low if rounded and low is not None else torch.float32)
    parts = (made_up((500, width)), weight, made_up((20_108,)))
    for launch in launches_of(monkeypatch, partial(sweep, *parts, low, mean=True)):
        found = resources_of(launch, capability)
        # 255 is what a thread can have; 99 KiB is what a program can have on every GPU since Ampere.
        assert found.registers <= 255
        assert found.spilled_bytes == 0
        assert found.shared_bytes <= 99 << 10
        if found.name == "_sweep" and low is not None:
            assert ("wgmma" if capability >= 90 else "mma.sync") in found.ptx, "tensor cores multiply"
        if low is None:
            assert "tf32" not in found.ptx, "float32 is float32"
