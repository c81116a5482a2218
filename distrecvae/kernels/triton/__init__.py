"""Optional Triton kernels for what limits an NVIDIA GPU; `choice.usable` says whether they can be used."""
