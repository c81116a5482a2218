"""The names of precisions: they are chosen on command lines, where PyTorch is not imported yet."""

from __future__ import annotations

from typing import Literal

Precision = Literal["float32", "bfloat16"]
"""Of matrix products; see `distrecvae.kernels.precision`."""
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")
AUTO = "auto"
"""The choice of what the device is fast at."""
PRECISION_CHOICES = (AUTO, *PRECISIONS)
PRECISION_HELP = "precision of matrix products; auto takes bfloat16 where the hardware multiplies it"
