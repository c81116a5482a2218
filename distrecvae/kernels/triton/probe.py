"""The smallest kernel there is: whether Triton can compile and launch one at all."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

OLDEST = (3, 7)
"""The oldest Triton that the kernels were tested under: the interpreters of older ones do not run beside NumPy 2.4."""


@triton.jit
def _fill(out, value: tl.constexpr):
    tl.store(out, value)


def launch(device: torch.device) -> torch.Tensor:
    """Launch a kernel on `device` and do not wait for it; return what it fills, (1,), with 1.

    Raises:
        ImportError: Triton is older than `OLDEST`.
        Exception: whatever Triton, its compilers or its driver raise where they do not work.
    """
    if tuple(int(part) for part in triton.__version__.split(".")[:2]) < OLDEST:
        oldest = ".".join(str(part) for part in OLDEST)
        raise ImportError(f"Triton is {triton.__version__}; the kernels need {oldest} or newer")
    out = torch.zeros(1, device=device)
    with torch.cuda.device_of(out):
        _fill[(1,)](out, 1.0)
    return out
