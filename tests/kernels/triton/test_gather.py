"""The gather-sum whose long rows are split: against a loop in float64, in the shapes that break such code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.kernels.triton import PLACES, assert_as_exact, needs_triton
from tests.kernels.triton.compiled import CAPABILITIES, launches_of, made_up, resources_of

pytestmark = needs_triton

CASES = {
    "empty rows among others": ([0, 5, 3, 0, 1, 17, 0], 7, 20),
    "no interaction at all": ([0, 0], 4, 3),
    "one row of one item": ([1], 1, 1),
    "a row of exactly what a program sums": ([256], 3, 40),
    "long rows one after another": ([257, 700, 300, 513], 6, 90),
    "long rows that begin where the one before ends a part": ([512, 600, 168, 1000], 5, 90),
    "a very long row among short ones": ([3, 0, 20, 5000, 40, 0, 1], 3, 90),
    "long rows, and short ones that share their parts": ([250, 300, 0, 4, 260, 255, 1, 800, 2], 9, 90),
    "a width of several blocks and a part of one": ([5, 300, 0, 2], 200, 60),
    "a width of one": ([90, 0, 700, 1], 1, 60),
}
"""What rows have, the width, the number of items."""
PADDING = 600


def random_rows(
    lengths: list[int], width: int, n_items: int, dtype: torch.dtype, padding: int = PADDING
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return offsets, items, values and weight; padding has values that would be seen in any sum."""
    generator = torch.Generator().manual_seed(len(lengths) * width + n_items)
    offsets = torch.tensor([0, *lengths]).cumsum(0)
    n_places = int(offsets[-1]) + padding
    items = torch.randint(0, n_items, (n_places,), dtype=torch.int32, generator=generator)
    values = torch.randn(n_places, generator=generator)
    values[n_places - padding :] = float("nan")
    weight = torch.randn(n_items, width, generator=generator).to(dtype)
    return offsets, items, values.to(dtype), weight


def summed(
    offsets: torch.Tensor, items: torch.Tensor, values: torch.Tensor, weight: torch.Tensor, dtype: torch.dtype
) -> torch.Tensor:
    """Return the same in `dtype`, place by place, as anyone would write it."""
    row_of = torch.arange(offsets.numel() - 1).repeat_interleave(offsets.diff())
    n_places = row_of.numel()
    parts = values[:n_places, None].to(dtype) * weight[items[:n_places].long()].to(dtype)
    return torch.zeros(offsets.numel() - 1, weight.shape[1], dtype=dtype).index_add_(0, row_of, parts)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("run", PLACES)
def test_sums_are_as_exact_as_those_of_a_loop(run: Callable[..., Any], dtype: torch.dtype, case: str) -> None:
    lengths, width, n_items = CASES[case]
    rows = random_rows(lengths, width, n_items, dtype)
    found = run("gather", "gather_sum", *rows)[0]
    # What is rounded is the result; the loop's sums are in float32 as the kernel's are.
    assert_as_exact(found, summed(*rows, torch.float32).to(dtype), summed(*rows, torch.float64))


@pytest.mark.parametrize("run", PLACES)
def test_the_same_rows_give_the_same_bits_whatever_padding_follows(run: Callable[..., Any]) -> None:
    lengths, width, n_items = CASES["long rows, and short ones that share their parts"]
    offsets, items, values, weight = random_rows(lengths, width, n_items, torch.float32)
    first = run("gather", "gather_sum", offsets, items, values, weight)[0]
    real = int(offsets[-1])
    for n_places in (real, real + PADDING):
        again = run("gather", "gather_sum", offsets, items[:n_places], values[:n_places], weight)[0]
        assert torch.equal(first, again)


@pytest.mark.parametrize("run", PLACES)
def test_a_weight_may_be_some_columns_of_a_wider_one(run: Callable[..., Any]) -> None:
    offsets, items, values, weight = random_rows([4, 0, 300], 12, 30, torch.float32)
    for some in (weight[:, 2:7], weight.T.contiguous().T):
        found = run("gather", "gather_sum", offsets, items, values, some)[0]
        assert torch.equal(found, run("gather", "gather_sum", offsets, items, values, some.contiguous())[0])


def test_more_places_than_parts_make_parts_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    from distrecvae.kernels.triton import gather

    def grids(n_places: int) -> list[tuple[int, ...]]:
        rows = [
            made_up((4,), torch.int64), made_up((n_places,), torch.int32), made_up((n_places,)), made_up((9, 3))
        ]  # fmt: skip
        return [launch.grid for launch in launches_of(monkeypatch, lambda: gather.gather_sum(*rows))]

    assert grids(gather.SHORT) == [(3, 1)], "no row can be long: one launch"
    assert grids(gather.SHORT + 1) == [(3 + 2, 1), (2, 1)]
    (programs, _), _ = grids(100_000_000)
    assert gather.MOST_PARTS // 2 < programs <= gather.MOST_PARTS + 3


@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("width", [600, 200, 1])
def test_it_compiles_into_few_registers(
    monkeypatch: pytest.MonkeyPatch, width: int, dtype: torch.dtype, capability: int
) -> None:
    from distrecvae.kernels.triton import gather

    rows = [
        made_up((501,), torch.int64), made_up((50_000,), torch.int32), made_up((50_000,), dtype),
        made_up((20_108, width), dtype),
    ]  # fmt: skip
    launches = launches_of(monkeypatch, lambda: gather.gather_sum(*rows))
    assert len(launches) == 2
    for launch in launches:
        found = resources_of(launch, capability)
        # 64 registers let 8 programs of 128 threads share a processor: that many loads hide the way to memory.
        assert found.registers <= 64
        assert found.spilled_bytes == 0
        assert found.shared_bytes <= 4096
        if width > 1:
            assert ".v4.b32" in found.ptx, "16 bytes a load: the width is known to the compiler"
