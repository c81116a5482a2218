"""Kernels in Triton for what limits an NVIDIA GPU; optional: `choice.usable` says whether they can be taken."""
