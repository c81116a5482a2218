"""Parameters with an axis of items: which they are, and taking them over item by item."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from torch import nn

from distrecvae.errors import CheckpointError
from distrecvae.kernels.item_axes import ROWS, item_axes, take_items
from distrecvae.kernels.layers import SparseLinear


class Square(nn.Module):
    """Weights between items, as of a linear path."""

    ITEM_AXES: ClassVar = {"between": (0, 1)}

    def __init__(self, n_items: int) -> None:
        super().__init__()
        self.between = nn.Parameter(torch.zeros(n_items, n_items))


class Whole(nn.Module):
    def __init__(self, n_items: int) -> None:
        super().__init__()
        self.first = SparseLinear(n_items, 3)
        self.path = Square(n_items)
        self.code = nn.Linear(3, 2)


def test_layers_say_it_and_a_module_collects() -> None:
    assert item_axes(Whole(4)) == {"first.weight": (0,), "path.between": (0, 1)}
    assert item_axes(Square(4)) == {"between": (0, 1)}
    assert item_axes(nn.Linear(2, 2)) == {}
    assert set(ROWS) == {"weight", "bias"}


AT = torch.tensor([2, -1, 0])
"""Today's first item is the third of yesterday's, the second is new."""


@pytest.mark.parametrize(
    ("axes", "before", "now"),
    [
        ((0,), [1.0, 2.0, 3.0], [3.0, 0.0, 1.0]),
        ((0,), [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [[5.0, 6.0], [0.0, 0.0], [1.0, 2.0]]),
        ((1,), [[1.0, 2.0, 3.0]], [[3.0, 0.0, 1.0]]),
        ((0, 1), [[1.0, 2, 3], [4, 5, 6], [7, 8, 9]], [[9.0, 0, 7], [0, 0, 0], [3, 0, 1]]),
        ((), [1.0, 2.0], [1.0, 2.0]),
    ],
    ids=["entries", "rows", "columns", "both", "no items"],
)
def test_what_both_have_is_taken_over_and_new_items_stay_as_they_are(
    axes: tuple[int, ...], before: list[float], now: list[float]
) -> None:
    value = torch.zeros_like(torch.tensor(now))
    take_items({"w": value}, {"w": torch.tensor(before)}, {"w": axes}, AT)
    assert value.tolist() == now


@pytest.mark.parametrize(
    ("earlier", "found"),
    [
        ({}, "b is missing"),
        ({"b": torch.ones(3, 2)}, r"b is of shape \(3, 2\)"),
        ({"b": torch.ones(2, 1)}, "b is of shape"),  # fewer items than are said to be there
        ({"b": torch.ones(3)}, "b is of shape"),
        ({"b": torch.ones(3, 1, dtype=torch.int64)}, "b is of shape"),
    ],
    ids=["missing", "width", "items", "axes", "type"],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(
    earlier: dict[str, torch.Tensor], found: str
) -> None:
    named = {"a": torch.zeros(3), "b": torch.zeros(3, 1)}
    with pytest.raises(CheckpointError, match=found) as refused:
        take_items(named, {"a": torch.ones(3)} | earlier, {"a": (0,), "b": (0,)}, AT)
    assert "\n" not in str(refused.value)
    assert not any(value.any() for value in named.values())


def test_parameters_that_are_trained_can_be_written_into() -> None:
    module = Whole(3)
    before = {name: torch.full_like(value, 7.0) for name, value in Whole(3).state_dict().items()}
    take_items(module.state_dict(), before, item_axes(module), AT)
    assert module.first.weight.requires_grad
    assert (module.first.weight[0] == 7).all()
    assert (module.code.weight == 7).all()
