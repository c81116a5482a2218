"""What benchmarks/planted_gpu_faults.py plants can be planted in the package as it is now."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests import ROOT


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script: it lies in no package."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("planted_gpu_faults")


def test_each_fault_can_be_planted_and_names_tests_that_are_there(planted: Any, tmp_path: Path) -> None:
    assert len({fault.name for fault in planted.FAULTS}) == len(planted.FAULTS) >= 10
    for fault in planted.FAULTS:
        copy = tmp_path / "distrecvae" / fault.module
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "distrecvae" / fault.module, copy)
        planted.plant(fault, tmp_path)
        compile(copy.read_text(encoding="utf-8"), str(copy), "exec")  # what does not compile any test finds
        assert copy.read_text(encoding="utf-8") != (ROOT / "distrecvae" / fault.module).read_text(
            encoding="utf-8"
        )
        for test in fault.tests:
            file, _, name = test.partition("::")
            assert name.rpartition("::")[2].partition("[")[0] in (ROOT / file).read_text(encoding="utf-8")


def test_a_fault_whose_text_is_gone_is_refused(planted: Any, tmp_path: Path) -> None:
    (tmp_path / "distrecvae").mkdir()
    (tmp_path / "distrecvae" / "a.py").write_text("x = 1\nx = 1\n", encoding="utf-8")
    for before, times in (("y = 1", 0), ("x = 1", 2)):
        with pytest.raises(ValueError, match=rf"a\.py has '{before}' {times} times: plant 'a fault' anew"):
            planted.plant(planted.Fault("a fault", "a.py", before, "", ()), tmp_path)
