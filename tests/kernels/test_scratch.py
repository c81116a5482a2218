"""Buffers that are made once: they grow, never shrink, and are each other's only by name."""

from __future__ import annotations

import pytest
import torch

from distrecvae.kernels.scratch import Scratch

CPU = torch.device("cpu")


def test_a_buffer_grows_and_changes_its_type_but_never_shrinks() -> None:
    scratch = Scratch()
    small = scratch.matrix("x", 2, 3, torch.float32, CPU)
    assert small.shape == (2, 3)
    large = scratch.matrix("x", 20, 30, torch.float32, CPU)
    assert scratch.matrix("x", 2, 3, torch.float32, CPU).data_ptr() == large.data_ptr()
    assert scratch.matrix("x", 2, 3, torch.bfloat16, CPU).dtype == torch.bfloat16


def test_what_was_written_is_there_until_something_else_is() -> None:
    scratch = Scratch()
    scratch.matrix("a", 3, 4, torch.float32, CPU).fill_(7)
    assert (scratch.matrix("a", 2, 5, torch.float32, CPU) == 7).all()


def test_names_share_nothing_and_nor_do_two_scratches() -> None:
    scratch, other = Scratch(), Scratch()
    places = {
        buffer.data_ptr()
        for buffer in (
            scratch.reserve("a", 9, torch.float32, CPU),
            scratch.reserve("b", 9, torch.float32, CPU),
            other.reserve("a", 9, torch.float32, CPU),
        )
    }
    assert len(places) == 3


def test_a_matrix_is_the_start_of_its_buffer_and_contiguous() -> None:
    scratch = Scratch()
    flat = scratch.reserve("a", 50, torch.float64, CPU)
    matrix = scratch.matrix("a", 4, 6, torch.float64, CPU)
    assert matrix.shape == (4, 6)
    assert matrix.is_contiguous()
    assert matrix.data_ptr() == flat.data_ptr()


def test_nothing_can_be_asked_for() -> None:
    assert Scratch().matrix("a", 0, 6, torch.float32, CPU).shape == (0, 6)


def test_another_device_gets_a_buffer_of_its_own() -> None:
    scratch = Scratch()
    scratch.reserve("a", 9, torch.float32, CPU)
    assert scratch.reserve("a", 9, torch.float32, torch.device("meta")).device.type == "meta"


@pytest.mark.cuda
def test_a_buffer_that_was_outgrown_is_not_lent_to_anyone_else() -> None:
    # A CUDA graph may have recorded its address: were it freed, the next tensor of that size would lie there.
    scratch, device = Scratch(), torch.device("cuda", 0)
    before = scratch.reserve("a", 1 << 20, torch.float32, device).data_ptr()
    scratch.reserve("a", 1 << 21, torch.float32, device)
    assert torch.empty(1 << 20, dtype=torch.float32, device=device).data_ptr() != before
