"""Decides whether the Triton kernels can be used for given tensors on this machine.

Each kernel computes what a few lines of PyTorch compute, too; those are its oracle, and run where this module says no.
Only this module may ask whether Triton can be imported: the others of this room import it.
"""

from __future__ import annotations

import logging
import os
from functools import cache

import torch

SWITCH = "DISTRECVAE_TRITON"
"""The environment variable that switches the kernels off, by "0": for oracles and for emergencies."""
FUSION = "TRITON_DEFAULT_FP_FUSION"
"""Whether Triton makes one operation of a product and a sum: it does, says from 3.9 on that it will not by itself, and
warns until it is told."""
CAPABILITY = (8, 0)
"""The least compute capability: bfloat16 in hardware. What is older is neither compiled for nor tested."""
DTYPES = (torch.float32, torch.float16, torch.bfloat16)
"""What the kernels compute with: float64 is for oracles, and theirs are PyTorch's own operators."""
KINDS: tuple[type, ...] = (torch.Tensor, torch.nn.Parameter)
"""What a kernel can be given: where the data of another subclass lies, only that class knows."""

_log = logging.getLogger(__name__)


def usable(*tensors: torch.Tensor) -> bool:
    """Return whether the kernels of this room can be used for these tensors.

    They must be plain tensors on an NVIDIA GPU, of a type the kernels know, and need no autograd, for which a kernel
    records nothing. Triton must be installed, able to launch, and not switched off (`DISTRECVAE_TRITON=0`). If it does
    not work, that is logged once per process.
    """
    return (
        all(type(tensor) in KINDS and tensor.is_cuda and tensor.dtype in DTYPES for tensor in tensors)
        and os.environ.get(SWITCH) != "0"
        and not (torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors))
        and all(_works(tensor.device) for tensor in tensors)
    )


def keep_fusion() -> None:
    """Let Triton multiply and add in one operation, as tested here, unless the environment says otherwise."""
    os.environ.setdefault(FUSION, "1")


@cache
def _works(device: torch.device) -> bool:
    """Compile the smallest kernel and launch it: that needs a driver, a C compiler and an assembler.

    Nothing is read back, so that nothing waits for the device.
    """
    if torch.version.hip is not None or torch.cuda.get_device_capability(device) < CAPABILITY:
        return False
    keep_fusion()
    try:
        from distrecvae.kernels.triton.probe import launch

        launch(device)
    except Exception as error:  # whatever it is: training continues without
        reason = (str(error) or type(error).__name__).splitlines()[0]
        _log.warning("Triton does not work on %s (%s); PyTorch's slower kernels are used", device, reason)
        return False
    return True
