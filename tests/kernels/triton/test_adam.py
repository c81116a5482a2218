"""Adam with the gradient made where it is used: against PyTorch's own, in float64 and in float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.kernels.triton import PLACES, assert_as_exact, error_of, needs_triton
from tests.kernels.triton.compiled import CAPABILITIES, launches_of, made_up, resources_of
from tests.kernels.triton.random_batch import RandomBatch, random_batch

pytestmark = needs_triton

STEPS = 3
RATE = 5e-4


def gradient_of(batch: RandomBatch, values: torch.Tensor, dense: torch.Tensor) -> torch.Tensor:
    """Return the gradient of a gather-sum by its weight: of the type of `dense`."""
    real = batch.row_of < dense.shape[0]
    parts = values[real, None].to(dense.dtype) * dense[batch.row_of[real]]
    return torch.zeros(*batch.weight.shape, dtype=dense.dtype).index_add_(0, batch.items[real].long(), parts)


@pytest.mark.parametrize(
    ("n_rows", "n_items", "width"), [(9, 23, 7), (70, 5, 1), (9, 40, 24), (20, 5, 300), (1, 1, 1)]
)
@pytest.mark.parametrize(
    ("betas", "dtype"),
    [((0.9, 0.999), torch.float32), ((0.0, 0.5), torch.float32), ((0.9, 0.999), torch.float16)],
    ids=str,
)
@pytest.mark.parametrize("run", PLACES)
def test_steps_are_those_of_pytorchs_adam(
    run: Callable[..., Any],
    dtype: torch.dtype,
    betas: tuple[float, float],
    n_rows: int,
    n_items: int,
    width: int,
) -> None:
    from distrecvae.kernels.triton.adam import Moments, Rates, by_item

    weight = random_batch(0, n_rows, n_items, width).weight
    truth, usual = (weight.to(kind, copy=True).requires_grad_() for kind in (torch.float64, torch.float32))
    optimizers = [
        torch.optim.Adam([parameter], lr=RATE, betas=betas, fused=True) for parameter in (truth, usual)
    ]
    moments = Moments(torch.zeros(()), torch.zeros_like(weight), torch.zeros_like(weight))
    for seed in range(STEPS):
        # A batch's interactions differ, also in whether an item has any: then its moments decay all the same.
        batch = random_batch(seed, n_rows, n_items, width)
        values = torch.randn(batch.items.numel(), generator=torch.Generator().manual_seed(seed))
        values[batch.row_of == n_rows] = float("nan")  # what padding has is of no account
        dense = batch.code.to(dtype)
        for parameter, optimizer in zip((truth, usual), optimizers, strict=True):
            parameter.grad = gradient_of(batch, values, dense.to(parameter.dtype))
            optimizer.step()
        found = by_item(batch.items, n_items)
        arguments = (found, batch.row_of, values, dense, weight, moments, Rates(RATE, betas))
        weight, moments = run("adam", "step_item_rows", *arguments)[5:7]
    states = [optimizer.state[p] for p, optimizer in zip((truth, usual), optimizers, strict=True)]
    assert float(moments.step) == STEPS
    assert_as_exact(moments.exp_avg, *(state["exp_avg"] for state in states[::-1]))
    assert_as_exact(moments.exp_avg_sq, *(state["exp_avg_sq"] for state in states[::-1]))
    assert_as_exact(weight, usual.detach(), truth.detach())
    # A weight is thousands of times its steps, so that they are looked at on their own, too. A step's error is a few
    # roundings of the weight: 2^-24 of its size each.
    start = random_batch(0, n_rows, n_items, width).weight.double()
    largest = float(start.abs().max())
    assert float((weight - truth).abs().max().detach()) <= 2 * STEPS * 2.0**-24 * max(largest, RATE)
    assert float((truth - start).abs().max().detach()) > 0.3 * RATE


@pytest.mark.parametrize("run", PLACES)
def test_the_step_is_corrected_exactly_from_the_first_to_the_millionth(run: Callable[..., Any]) -> None:
    # 1 - 0.999 in float32 is 2e-5 off, and so would be every weight's first steps.
    from distrecvae.kernels.triton.adam import Rates

    for step in (0.0, 1.0, 99.0, 999_999.0):
        scales, counted, _ = run("adam", "advance", torch.tensor(step), Rates(RATE))
        assert float(counted) == step + 1
        truth = [RATE / (1 - 0.9 ** (step + 1)), (1 - 0.999 ** (step + 1)) ** 0.5]
        assert error_of(scales, torch.tensor(truth, dtype=torch.float64)) <= 2.0**-23


def test_interactions_are_sorted_by_item_and_stay_in_order() -> None:
    from distrecvae.kernels.triton.adam import by_item

    found = by_item(torch.tensor([3, 0, 3, 1, 0], dtype=torch.int32), 5)
    assert found.items.tolist() == [0, 0, 1, 3, 3]
    assert found.order.tolist() == [1, 4, 3, 0, 2]
    assert found.starts.tolist() == [0, 2, 3, 3, 5, 5]


@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize("width", [600, 200])
def test_it_compiles_into_few_registers(monkeypatch: pytest.MonkeyPatch, width: int, capability: int) -> None:
    from distrecvae.kernels.triton.adam import ByItem, Moments, Rates, step_item_rows

    places, n_items = (50_000,), 20_108
    found = ByItem(
        made_up((n_items + 1,), torch.int64), made_up(places, torch.int32), made_up(places, torch.int64)
    )
    weight = made_up((n_items, width))
    moments = Moments(made_up(()), weight, weight)
    row_of, values, dense = made_up(places, torch.int64), made_up(places), made_up((500, width))
    advance, step = launches_of(
        monkeypatch, lambda: step_item_rows(found, row_of, values, dense, weight, moments, Rates(RATE))
    )
    assert ".f64" in resources_of(advance, capability).ptx
    found_resources = resources_of(step, capability)
    # 64 registers let 8 programs of 128 threads share a processor: that many loads hide the way to memory.
    assert found_resources.registers <= 64
    assert found_resources.spilled_bytes == 0
    assert found_resources.shared_bytes <= 4096
    assert ".f64" not in found_resources.ptx, "which most GPUs do 64 times slower"
