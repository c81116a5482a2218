"""Numbers computed by the published implementations, and how the tests read them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Golden:
    """The arrays of a golden file by name."""

    arrays: dict[str, npt.NDArray[np.float64]]

    def tensors(self, group: str) -> dict[str, torch.Tensor]:
        """Return the parameters of a group (`init`, `grad`, `cycle`) by the names that they have here.

        The published first layer is (hidden_dim, n_items); here it lies transposed.
        """
        named = {}
        for name, array in self.arrays.items():
            if name.startswith(f"{group}/"):
                value = torch.from_numpy(array)
                named[name.removeprefix(f"{group}/")] = (
                    value.T.contiguous() if name.endswith("fc1.weight") else value
                )
        return named


def recvae_step() -> Golden:
    """Return a tiny RecVAE's step and cycle, float64, from the published implementation."""
    return Golden(dict(np.load(FOLDER / "recvae_step.npz")))


def metrics() -> Golden:
    """Return metric values on random scores, from the published implementation."""
    return Golden(dict(np.load(FOLDER / "metrics.npz")))
