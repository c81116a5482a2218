"""Which parameters of a network have an axis of items, and how they are copied from a network of other items.

A layer says so itself: `ITEM_AXES`, from a parameter's or buffer's name to its axes that go over all items.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from distrecvae.errors import CheckpointError

ROWS: Mapping[str, tuple[int, ...]] = {"weight": (0,), "bias": (0,)}
"""Of a layer with a row of its weight and an entry of its bias for each item."""


def item_axes(module: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    """Return the axes that go over items, by name in the module's `state_dict`; names without one are left out."""
    found: dict[str, tuple[int, ...]] = {}
    for place, part in module.named_modules():
        declared: Mapping[str, tuple[int, ...]] = getattr(part, "ITEM_AXES", {})
        found |= {f"{place}.{name}" if place else name: tuple(axes) for name, axes in declared.items()}
    return found


def take_items(
    named: Mapping[str, torch.Tensor],
    earlier: Mapping[str, torch.Tensor],
    axes: Mapping[str, tuple[int, ...]],
    at: torch.Tensor,
) -> None:
    """Copy `earlier` into the tensors `named`: whole tensors, and along axes of items the items that both have.

    Nothing is changed if they do not fit.

    Args:
        named: tensors to write into, by name.
        earlier: tensors by the same names, of another number of items.
        axes: by name, the axes that go over items; names that it lacks have none.
        at: int64, (n_items,), where each item is in `earlier`, -1 for one that is not; its entries stay as they are.

    Raises:
        CheckpointError: a tensor is missing, or differs in more than its items.
    """
    here = (at >= 0).nonzero()[:, 0]
    there = at[here]
    least = int(at.max()) + 1 if at.numel() else 0
    for name, value in named.items():
        given = earlier.get(name)
        if given is None or not _alike(value, given, axes.get(name, ()), least):
            found = "missing" if given is None else f"of shape {tuple(given.shape)}"
            raise CheckpointError(
                f"{name} is {found} in the earlier model, and {tuple(value.shape)} here; weights are taken over by the"
                " same model with the same settings for its sizes"
            )
    with torch.no_grad():
        for name, value in named.items():
            before = earlier[name].to(value.device, value.dtype)
            _write(value, before, axes.get(name, ()), here.to(value.device), there.to(value.device))


def _alike(value: torch.Tensor, given: torch.Tensor, axes: tuple[int, ...], least: int) -> bool:
    if value.ndim != given.ndim or value.dtype.is_floating_point != given.dtype.is_floating_point:
        return False
    return all(
        given.shape[axis] >= least if axis in axes else given.shape[axis] == value.shape[axis]
        for axis in range(value.ndim)
    )


def _write(
    value: torch.Tensor, before: torch.Tensor, axes: tuple[int, ...], here: torch.Tensor, there: torch.Tensor
) -> None:
    """Write `before` at the positions `there` of its axes of items into `value` at the positions `here`."""
    if not axes:
        value.copy_(before)
        return
    axis, *others = axes
    rows, known = before.index_select(axis, there), value.index_select(axis, here)
    _write(known, rows, tuple(others), here, there)
    value.index_copy_(axis, here, known)
