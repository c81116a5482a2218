"""Copies between the host and a device: by pinned memory, so that the host waits for a GPU once, or not at all."""

from __future__ import annotations

from collections.abc import Mapping

import torch

PINNED_BYTES = 64 << 20
"""What is larger is copied as it lies: pinned memory is kept by PyTorch and belongs to no one else."""


def onto(tensor: torch.Tensor, device: torch.device | str) -> torch.Tensor:
    """Return a tensor of the host on `device`; on the CPU it is the same one.

    The host continues at once; work given to the device later comes after the copy.
    """
    place = torch.device(device)
    if place.type != "cuda" or tensor.numel() * tensor.itemsize > PINNED_BYTES:
        return tensor.to(place)
    return tensor.pin_memory().to(place, non_blocking=True)


def copies_on_host(named: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return copies of tensors on the CPU, by name, without autograd.

    A GPU writes them into pinned memory, one after the other, and is waited for once. A tensor larger than
    `PINNED_BYTES` is copied without it and waited for separately.
    """
    copies, waiting = {}, set()
    for name, value in named.items():
        value = value.detach()
        if not value.is_cuda or value.numel() * value.itemsize > PINNED_BYTES:
            copies[name] = value.to("cpu", copy=True)
        else:
            copies[name] = torch.empty(value.shape, dtype=value.dtype, pin_memory=True)
            copies[name].copy_(value, non_blocking=True)
            waiting.add(value.device)
    for device in waiting:
        torch.cuda.current_stream(device).synchronize()
    return copies
