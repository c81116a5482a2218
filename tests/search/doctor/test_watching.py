"""What is noted of PyTorch while a check runs; on the soft device, which waits and records as a GPU does."""

from __future__ import annotations

import logging
import warnings

import pytest
import torch

from distrecvae.search.doctor.watching import (
    graphs_made,
    median_s,
    outside_bytes,
    recording_failures,
    waits,
)
from distrecvae.training.schemes import graphs
from tests.soft_cuda import SoftDevice


def test_waits_are_noted_and_nothing_else_that_is_warned_of(soft_device: SoftDevice) -> None:
    there = torch.ones(3, device="cuda")
    with waits() as places:
        there.add_(1)
        there.tolist()
        there.cpu()
        torch.cuda.synchronize()  # asked for
        warnings.warn("something else", UserWarning, stacklevel=1)
    assert len(places) == 2
    there.tolist()
    assert len(places) == 2


def test_graphs_are_noted_while_asked_for(soft_device: SoftDevice) -> None:
    real = torch.cuda.CUDAGraph
    with graphs_made() as made:
        assert torch.cuda.CUDAGraph() is made[0]
    assert torch.cuda.CUDAGraph is real
    torch.cuda.CUDAGraph()
    assert len(made) == 1


def test_failures_to_record_are_noted() -> None:
    log = logging.getLogger(graphs.__name__)
    with recording_failures() as said:
        log.warning("CUDA graphs do not work here (%s)", "why")
    log.warning("later")
    assert said == ["CUDA graphs do not work here (why)"]


def test_the_first_run_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    now, runs = [0.0], [100.0, 1.0, 5.0, 2.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])

    def work() -> None:
        now[0] += runs.pop(0)

    assert median_s(work) == 2.0
    assert runs == []


def test_memory_of_others_is_what_is_neither_free_nor_reserved(
    soft_device: SoftDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = torch.zeros(1000, device="cuda")
    assert outside_bytes() == 0
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (30, 1000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: 900)
    assert outside_bytes() == 70
    assert held.numel() == 1000
