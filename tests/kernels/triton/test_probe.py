"""The smallest kernel: it runs where Triton works, and says so by raising where not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.kernels.triton import PLACES, needs_triton
from tests.kernels.triton.compiled import CAPABILITIES, launches_of, resources_of
from tests.kernels.triton.interpreted import interpreted

pytestmark = needs_triton


@pytest.mark.parametrize("run", PLACES)
def test_it_runs(run: Callable[..., Any]) -> None:
    device = torch.device("cpu" if run is interpreted else "cuda")
    assert run("probe", "launch", device)[0].tolist() == [1.0]


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU has a driver")
def test_it_raises_where_there_is_no_driver() -> None:
    from distrecvae.kernels.triton.probe import launch

    with pytest.raises(RuntimeError, match="0 active drivers"):
        launch(torch.device("cpu"))


def test_a_triton_that_no_kernel_was_tested_under_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import triton

    from distrecvae.kernels.triton.probe import launch

    for version in ("3.6.1", "2.10.0+git5"):
        monkeypatch.setattr(triton, "__version__", version)
        with pytest.raises(ImportError, match=r"Triton is .*; the kernels need 3.7 or newer"):
            launch(torch.device("cpu"))
    monkeypatch.setattr(triton, "__version__", "3.10.0")
    assert len(launches_of(monkeypatch, lambda: launch(torch.device("meta")))) == 1


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_it_compiles(monkeypatch: pytest.MonkeyPatch, capability: int) -> None:
    from distrecvae.kernels.triton.probe import launch

    (only,) = launches_of(monkeypatch, lambda: launch(torch.device("meta")))
    assert resources_of(only, capability).registers <= 32
