"""Copies to a device: what arrives, and that the host continues."""

from __future__ import annotations

import pytest
import torch

from distrecvae.kernels import transfer
from distrecvae.kernels.transfer import onto
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
