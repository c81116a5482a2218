"""Copies to a device and back: what arrives, and that the host continues, or waits once."""

from __future__ import annotations

import pytest
import torch

from distrecvae.kernels import transfer
from distrecvae.kernels.transfer import copies_on_host, onto
from tests.soft_cuda import SoftDevice


def test_on_the_cpu_nothing_is_copied() -> None:
    tensor = torch.arange(5)
    assert onto(tensor, "cpu").data_ptr() == tensor.data_ptr()


@pytest.mark.cuda
def test_what_arrives_is_what_was_sent() -> None:
    tensor = torch.arange(10).view(2, 5)
    there = onto(tensor, torch.device("cuda"))
    assert there.is_cuda
    assert torch.equal(there.cpu(), tensor)


def test_a_copy_is_not_waited_for_unless_it_is_large(
    soft_device: SoftDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each batch of an evaluation waited for four of them.
    onto(torch.zeros(1000), "cuda")
    assert soft_device.n_waits == 0
    # Pinned memory stays PyTorch's: a whole data set is not pinned.
    monkeypatch.setattr(transfer, "PINNED_BYTES", 3999)
    onto(torch.zeros(1000), "cuda")
    assert soft_device.n_waits == 1


def some() -> dict[str, torch.Tensor]:
    named = {"weight": torch.randn(30, 4), "bias": torch.randn(4), "step": torch.tensor(3.0)}
    named |= {"none": torch.zeros(0, 2), "counts": torch.arange(5), "turned": torch.randn(3, 5).T}
    return named


@pytest.mark.cuda
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_copies_on_the_host_are_the_values_and_share_nothing(device: str) -> None:
    there = {
        name: value.to(device).requires_grad_(value.is_floating_point()) for name, value in some().items()
    }
    before = {name: value.detach().cpu().clone() for name, value in there.items()}
    found = copies_on_host(there)
    with torch.no_grad():
        for value in there.values():
            value.zero_()
    assert found.keys() == before.keys()
    for name, value in before.items():
        assert torch.equal(found[name], value), name
        assert (found[name].device.type, found[name].dtype) == ("cpu", value.dtype)
        assert not found[name].requires_grad


def test_a_gpu_is_waited_for_once_however_many_copies(
    soft_device: SoftDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each tensor of a state was waited for, and came through PyTorch's own buffer, a second copy.
    there = {name: value.to("cuda") for name, value in some().items()}
    soft_device.reset_counts()
    copies_on_host(there)
    assert [place.rpartition(" [")[2] for place in soft_device.waits] == ["synchronize]"]
    assert soft_device.n_waits == 1
    # Pinned memory stays PyTorch's, and is counted in powers of 2: what is large is not pinned.
    monkeypatch.setattr(transfer, "PINNED_BYTES", 479)
    soft_device.reset_counts()
    copies_on_host(there)
    assert soft_device.n_waits == 2
    soft_device.reset_counts()
    copies_on_host({"a": torch.ones(2)})
    assert not soft_device.n_waits
