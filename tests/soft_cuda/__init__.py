"""A soft CUDA device: tensors that say they are on `cuda:0`, hold CPU memory, and obey a GPU's rules.

It lets every line of the GPU path run where there is no GPU. It sees what a GPU would refuse (tensors of two devices
in one call, NumPy on a device tensor), what would make the host wait, what a CUDA graph would freeze, and how much
memory would be taken. It cannot see: the kernels' own numerics and speed, races between streams, the memory of
libraries and of the CUDA context, fragmentation, the device's own random numbers (it draws as a CPU does), several
processes on one GPU.

    with soft_cuda() as device:
        trainer = registry.make_trainer("recvae", config, train, seed=1, device="cuda")
        trainer.step()
    device.waits        # where the host waited for the device, and how often
"""

from tests.soft_cuda.device import (
    Capture,
    ForbiddenWaitError,
    MixedDevicesError,
    SoftDevice,
)
from tests.soft_cuda.runtime import soft_cuda
from tests.soft_cuda.tensors import SoftTensor

__all__ = ["Capture", "ForbiddenWaitError", "MixedDevicesError", "SoftDevice", "SoftTensor", "soft_cuda"]
