"""Whether the kernels are taken: never where they could not run, and PyTorch's then give the same."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from distrecvae.kernels.sparse import SparseRows, gather_sum
from distrecvae.kernels.triton import choice
from distrecvae.kernels.triton.choice import FUSION, SWITCH, keep_fusion, usable
from tests.kernels.triton import needs_gpu, needs_triton
from tests.soft_cuda import SoftDevice


def on_cuda(dtype: torch.dtype = torch.float32, *, requires_grad: bool = False) -> Any:
    """Return what a tensor on a GPU says of itself."""
    return SimpleNamespace(
        is_cuda=True, dtype=dtype, requires_grad=requires_grad, device=torch.device("cuda", 0)
    )


@pytest.fixture
def works(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a GPU and its Triton be there."""
    monkeypatch.delenv(SWITCH, raising=False)
    monkeypatch.setattr(choice, "KINDS", (*choice.KINDS, SimpleNamespace))
    monkeypatch.setattr(choice, "_works", lambda _device: True)


@pytest.mark.usefixtures("works")
def test_all_tensors_must_be_on_a_gpu_and_of_a_type_the_kernels_know() -> None:
    assert usable(on_cuda(), on_cuda(torch.bfloat16))
    assert not usable(on_cuda(), torch.zeros(1))
    assert not usable(on_cuda(torch.float64)), "the oracles' type"
    assert not usable(torch.zeros(1))


@pytest.mark.usefixtures("works")
def test_a_tensor_that_only_says_that_it_is_on_a_gpu_is_left_to_pytorch(soft_device: SoftDevice) -> None:
    # A kernel would be handed an address of its own making, and take the GPU of this machine down, if it has one.
    soft = torch.ones(2, device="cuda")
    assert soft.is_cuda
    assert not usable(soft)
    assert soft_device.n_waits == 0


@pytest.mark.usefixtures("works")
def test_they_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "0")
    assert not usable(on_cuda())
    monkeypatch.setenv(SWITCH, "1")
    assert usable(on_cuda())


@pytest.mark.usefixtures("works")
def test_a_tensor_that_wants_a_graph_gets_one() -> None:
    # A kernel's result has no history: the gradient would be lost without a word.
    assert not usable(on_cuda(requires_grad=True))
    with torch.no_grad():
        assert usable(on_cuda(requires_grad=True))


def works_where(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int]) -> bool:
    choice._works.cache_clear()
    monkeypatch.setattr(choice, "KINDS", (SimpleNamespace,))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: capability)
    try:
        return usable(on_cuda())
    finally:
        choice._works.cache_clear()


def test_a_triton_that_does_not_work_is_told_once_and_training_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # What an installation lacks shows as all kinds of errors: no Triton, no C compiler, a driver too old.
    monkeypatch.setattr(choice, "KINDS", (SimpleNamespace,))
    monkeypatch.setitem(sys.modules, "distrecvae.kernels.triton.probe", None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: (9, 0))
    choice._works.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert not usable(on_cuda())
        assert not usable(on_cuda())
    choice._works.cache_clear()
    (record,) = caplog.records
    assert "Triton does not work on cuda:0" in record.getMessage()


def test_older_gpus_are_not_even_tried(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert not works_where(monkeypatch, (7, 5))
    assert caplog.records == []


def test_nothing_imports_triton_where_there_is_no_gpu() -> None:
    code = (
        "import sys\nsys.modules['triton'] = None\n"
        "import torch\n"
        "from distrecvae.kernels.multinomial import Multinomial\n"
        "from distrecvae.kernels.sparse import SparseRows, gather_sum\n"
        "rows = SparseRows(torch.tensor([0, 2]), torch.tensor([0, 1], dtype=torch.int32), 2)\n"
        "print(gather_sum(rows, torch.ones(2), torch.ones(2, 3)).tolist())\n"
        "Multinomial(torch.bfloat16).loss_and_gradients(rows, torch.ones(1, 3), torch.ones(2, 3), torch.ones(2))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[[2.0, 2.0, 2.0]]"


@needs_triton
@needs_gpu[0]
@needs_gpu[1]
def test_rows_on_a_gpu_are_summed_by_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    from distrecvae.kernels.triton import gather

    def refuse(*_: object) -> None:
        raise AssertionError("asked for")

    offsets, items = torch.tensor([0, 2, 3]), torch.tensor([0, 1, 2], dtype=torch.int32)
    rows = SparseRows(offsets.cuda(), items.cuda(), 3)
    values, weight = torch.rand(3).cuda(), torch.rand(3, 5).cuda()
    expected = torch.stack([values[:2] @ weight[:2], values[2] * weight[2]])
    monkeypatch.delenv(SWITCH, raising=False)
    torch.testing.assert_close(gather_sum(rows, values, weight), expected)
    monkeypatch.setattr(gather, "gather_sum", refuse)
    with pytest.raises(AssertionError, match="asked for"):
        gather_sum(rows, values, weight)
    monkeypatch.setenv(SWITCH, "0")
    torch.testing.assert_close(gather_sum(rows, values, weight), expected)


def test_triton_is_told_to_fuse_unless_it_was_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    # From 3.9 on it warned of each kernel that it compiled, and 3.10 would have rounded otherwise.
    monkeypatch.setenv(FUSION, "0")
    keep_fusion()
    assert os.environ[FUSION] == "0"
    monkeypatch.delenv(FUSION)
    keep_fusion()
    assert os.environ[FUSION] == "1"
