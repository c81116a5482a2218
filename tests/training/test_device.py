"""Devices: what they offer, and that what cannot fit into a share of a GPU is refused before it starts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from distrecvae.errors import ResourceError
from distrecvae.training.device import (
    CUDA_CONTEXT_BYTES,
    DeviceFacts,
    checked_device,
    device_facts,
    device_kind,
    is_ruinous,
    keep_to_share,
    moved,
    processor_name,
    require_room,
    resolved_precision,
    threads_in_use,
    use_threads,
)
from tests.soft_cuda import SoftDevice

GPU = DeviceFacts("a GPU", "bfloat16", 8 << 30)


def test_auto_is_what_the_device_is_fast_at_and_a_name_is_itself() -> None:
    assert resolved_precision("auto", "bfloat16") == "bfloat16"
    assert resolved_precision("float32", "bfloat16") == "float32"
    assert resolved_precision("bfloat16", "float32") == "bfloat16"


def test_a_cpu_says_what_it_is_and_its_memory_is_not_counted_here() -> None:
    facts = device_facts("cpu")
    assert facts.memory_bytes == 0
    require_room(10**15, facts, 0)


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(ResourceError, match="'cuda:99' cannot be used"):
        device_facts("cuda:99")


def test_a_share_holds_what_fits_and_refuses_what_does_not() -> None:
    fits = (2 << 30) - CUDA_CONTEXT_BYTES
    require_room(fits, GPU, 0.25)
    with pytest.raises(
        ResourceError, match=r"takes about 2,049 MiB .* of a GPU \(0.25\) has 2,048 MiB; raise"
    ):
        require_room(fits + (1 << 20), GPU, 0.25)
    require_room(fits * 3, GPU, 1)
    require_room(fits * 3, GPU, 2)
    with pytest.raises(ResourceError, match="8,192 MiB"):
        require_room(8 << 30, GPU, 2)


@pytest.mark.parametrize("name", ["meta", "hpu", "mps", "xpu", "privateuseone"])
def test_a_device_that_nothing_is_written_for_is_refused_in_a_line(name: str) -> None:
    # "meta" passed, and trained nothing; "hpu" was a ModuleNotFoundError.
    with pytest.raises(
        ResourceError, match=f"^device '{name}' cannot be used .*; use cpu, or cuda where there is a GPU$"
    ):
        checked_device(name)


@pytest.mark.parametrize(
    ("error", "ruinous"),
    [
        (torch.AcceleratorError("CUDA error: an illegal memory access was encountered"), True),
        (torch.AcceleratorError("CUDA error: device-side assert triggered"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasGemmEx`"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), False),
        (torch.AcceleratorError("CUDA error: out of memory"), False),
        (MemoryError(), False),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("CUDA error: not said by PyTorch"), False),
    ],
)
def test_every_cuda_error_but_out_of_memory_leaves_a_process_without_its_gpu(
    error: Exception, ruinous: bool
) -> None:
    assert is_ruinous(error) is ruinous
    outer = KeyError("what came of it")
    outer.__cause__ = error
    assert is_ruinous(outer) is ruinous


@pytest.mark.cuda
def test_a_share_of_a_gpu_has_room_for_the_context(cuda_device: SoftDevice | None) -> None:
    # Four processes at a quarter each held all of it in tensors, and four contexts: a neighbour paid for the last one.
    total = torch.cuda.get_device_properties(0).total_memory
    keep_to_share(0.25)
    try:
        share = torch.cuda.get_per_process_memory_fraction()
        assert 4 * (share * total + CUDA_CONTEXT_BYTES) == pytest.approx(total)
        with pytest.raises(torch.OutOfMemoryError):
            _take(int(0.25 * total), cuda_device)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def _take(n_bytes: int, device: SoftDevice | None) -> None:
    if device is None:
        torch.empty(n_bytes, dtype=torch.uint8, device="cuda")
    else:  # whose tensors would take that much of this machine
        device.take(n_bytes, None)


@pytest.mark.parametrize("gpus", [0, 1, 4])
def test_whole_gpus_and_none_need_no_limit(gpus: float) -> None:
    keep_to_share(gpus)  # would fail here, where there is no GPU, if it did anything


def test_going_on_on_another_kind_of_device_is_said_and_elsewhere_is_not() -> None:
    # Random values are a kind's own: a run begun on a GPU went on on a CPU with others, without a word.
    assert moved("a GPU", "cpu") == (
        "Continues on cpu, was on a GPU until now: random values and rounding differ, and so will the scores"
    )
    assert [moved("cpu", "cpu"), moved(None, "cpu")] == [""] * 2


@pytest.mark.cuda
def test_another_kind_of_gpu_is_another_kind_of_device() -> None:
    # Each thread of a GPU has a random stream of its own, and larger GPUs run more of them.
    name = torch.cuda.get_device_name(0)
    assert (device_kind("cpu"), device_kind("cuda")) == ("cpu", name)
    assert moved("an older GPU", "cuda:0").startswith(f"Continues on {name}, was on an older GPU until now")
    assert moved(name, torch.device("cuda")) == ""


def test_a_processor_says_its_name_and_the_instructions_that_are_used(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text(
        "processor\t: 0\nmodel name\t: A Chip @ 2 GHz\nmodel name\t: A Chip @ 2 GHz\n", encoding="utf-8"
    )
    assert processor_name(info) == f"A Chip @ 2 GHz ({torch.backends.cpu.get_cpu_capability()})"
    assert processor_name(tmp_path / "none").endswith(f"({torch.backends.cpu.get_cpu_capability()})")


def test_threads_are_those_that_were_asked_for() -> None:
    before = threads_in_use()
    use_threads(2)
    assert threads_in_use() == 2
    use_threads(None)
    assert threads_in_use() == 2
    use_threads(before)
