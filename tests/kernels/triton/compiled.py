"""The Triton kernels compiled for GPUs that are not here: what their launches on some tensors would take of each."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from tests.kernels.triton.interpreted import ROOM

CAPABILITIES = (80, 90)
"""Of an A100 and of an H100."""
POINTERS = {
    torch.float32: "*fp32", torch.float16: "*fp16", torch.bfloat16: "*bf16", torch.int32: "*i32", torch.int64: "*i64",
}  # fmt: skip


class Launch(NamedTuple):
    """A kernel as it was asked for.

    Attributes:
        kernel: the kernel.
        grid: how many programs along each axis.
        arguments: by name.
        options: warps and stages.
    """

    kernel: Any
    grid: tuple[int, ...]
    arguments: dict[str, Any]
    options: dict[str, int]


class Resources(NamedTuple):
    """What a compiled kernel takes.

    Attributes:
        name: of the kernel.
        registers: 32-bit ones, a thread.
        spilled_bytes: of local memory, a thread: what found no register.
        shared_bytes: shared memory, a program.
        ptx: the program in NVIDIA's assembler.
    """

    name: str
    registers: int
    spilled_bytes: int
    shared_bytes: int
    ptx: str


def made_up(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Return a tensor without memory: what is to be compiled for has only a shape."""
    return torch.empty(shape, dtype=dtype, device="meta")


class _Recorder:
    def __init__(self, kernel: Any, launches: list[Launch]) -> None:
        self._kernel, self._launches = kernel, launches

    def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., None]:
        def record(*given: Any, **named: Any) -> None:
            names = self._kernel.arg_names
            options = {key: named.pop(key) for key in list(named) if key not in names}
            arguments = dict(zip(names, given, strict=False)) | named
            assert arguments.keys() == set(names), "a launch has to name every argument"
            self._launches.append(Launch(self._kernel, grid, arguments, options))

        return record


def launches_of(monkeypatch: pytest.MonkeyPatch, call: Callable[[], object]) -> list[Launch]:
    """Return the kernels that `call` launches, none of which is run."""
    from triton.runtime.jit import JITFunction

    found: list[Launch] = []
    with monkeypatch.context() as patch:
        for place, module in list(sys.modules.items()):
            for name, value in list(vars(module).items()) if place.startswith(f"{ROOM}.") else ():
                if isinstance(value, JITFunction):
                    patch.setattr(module, name, _Recorder(value, found))
        call()
    return found


def resources_of(launch: Launch, capability: int) -> Resources:
    """Compile a kernel as its launch would on a GPU of that capability, and ask what it takes there."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    signature, constants, attributes = {}, {}, {}
    for number, parameter in enumerate(launch.kernel.params):
        value = launch.arguments[parameter.name]
        if parameter.is_constexpr:
            signature[parameter.name], constants[parameter.name] = "constexpr", value
            continue
        if isinstance(value, torch.Tensor):
            signature[parameter.name] = POINTERS[value.dtype]
            aligned = not parameter.do_not_specialize_on_alignment
        else:
            signature[parameter.name] = "i32" if isinstance(value, int) else "fp32"
            aligned = isinstance(value, int) and value % 16 == 0 and not parameter.do_not_specialize
        if aligned:
            attributes[number,] = [["tt.divisibility", 16]]
    source = ASTSource(launch.kernel, signature, constants, attributes)
    done = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=launch.options)
    registers, stack, local = _usage(done.asm["cubin"])
    return Resources(launch.kernel.__name__, registers, stack + local, done.metadata.shared, done.asm["ptx"])


def _usage(cubin: bytes) -> tuple[int, int, int]:
    import tempfile

    import triton

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.cubin"
        path.write_bytes(cubin)
        command = [triton.knobs.nvidia.cuobjdump.path, "--dump-resource-usage", str(path)]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    registers, stack, local = (
        int(re.findall(rf"{key}:(\d+)", text)[-1]) for key in ("REG", "STACK", "LOCAL")
    )
    return registers, stack, local
