"""Copies from the host to a device: a GPU takes them from pinned memory, so that the host does not wait for it."""

from __future__ import annotations

import torch

PINNED_BYTES = 64 << 20
"""What is larger is copied as it lies: pinned memory is kept by PyTorch and belongs to no one else."""


def onto(tensor: torch.Tensor, device: torch.device | str) -> torch.Tensor:
    """Return a tensor of the host on `device`; on the CPU it is the same one.

    The host continues at once, and what is asked of the device next comes after the copy.
    """
    place = torch.device(device)
    if place.type != "cuda" or tensor.numel() * tensor.itemsize > PINNED_BYTES:
        return tensor.to(place)
    return tensor.pin_memory().to(place, non_blocking=True)
