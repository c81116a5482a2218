"""Buffers that are made once and used again and again: fresh memory costs a page fault per 4 KiB, which on a CPU
can cost more than the arithmetic that fills it."""

from __future__ import annotations

import torch


class Scratch:
    """Named flat buffers that grow to what was asked of them; their content is whatever was written last."""

    def __init__(self) -> None:
        self._buffers: dict[str, torch.Tensor] = {}
        self._outgrown: list[torch.Tensor] = []

    def reserve(self, name: str, size: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        """Return the flat buffer `name` with room for `size` elements at least."""
        found = self._buffers.get(name)
        if found is None or found.numel() < size or found.dtype != dtype or found.device != device:
            if found is not None and found.is_cuda:
                self._outgrown.append(found)  # a CUDA graph may have recorded its address
            found = self._buffers[name] = torch.empty(size, dtype=dtype, device=device)
        return found

    def matrix(
        self, name: str, n_rows: int, n_columns: int, dtype: torch.dtype, device: torch.device
    ) -> torch.Tensor:
        """Return the start of the buffer `name` as a contiguous (n_rows, n_columns)."""
        size = n_rows * n_columns
        return self.reserve(name, size, dtype, device)[:size].view(n_rows, n_columns)
