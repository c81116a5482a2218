"""What holds for every test."""

from __future__ import annotations

import os

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Compute in one thread, here and in child processes: these sizes gain nothing from more, and on a busy machine
    threads that wait for each other make a second of work last a minute."""
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
