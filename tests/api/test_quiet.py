"""Libraries are silent about widgets, and about nothing else."""

from __future__ import annotations

import logging
import warnings

import pytest

from distrecvae.api.quiet import quiet_imports


def test_other_warnings_and_later_ones_are_heard() -> None:
    with quiet_imports():
        warnings.warn("IProgress not found. Please update jupyter and ipywidgets.", UserWarning, stacklevel=1)
        with pytest.warns(UserWarning, match="something else"):
            warnings.warn("something else", UserWarning, stacklevel=1)
    with pytest.warns(UserWarning, match="IProgress"):
        warnings.warn("IProgress not found", UserWarning, stacklevel=1)
    assert not logging.getLogger("ray.widgets.util").isEnabledFor(logging.INFO)
