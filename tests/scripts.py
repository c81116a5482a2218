"""Modules that lie beside the scripts in benchmarks/."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import pytest

from tests import ROOT


@contextmanager
def modules_of(package: str, *names: str) -> Iterator[dict[str, ModuleType]]:
    """Import them as a script does that finds its package beside it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        yield {name: importlib.import_module(f"{package}.{name}") for name in names}
