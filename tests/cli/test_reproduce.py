"""`distrecvae reproduce`, as it is typed; `tests/search/living/test_reproducing.py` has what it finds."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from distrecvae.cli import main
from tests import ROOT


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["reproduce", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_a_wrong_device_a_missing_trial_and_missing_data_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "tests" / "kept" / "search-2", tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    assert run("mine", "--trial", "0") == 2
    assert "give --data" in capsys.readouterr().err
    data = str(ROOT / "tests" / "kept" / "data")
    assert run("mine", "--trial", "9", "--data", data) == 2
    assert "has no trial 9" in capsys.readouterr().err
    assert run("mine", "--trial", "0", "--data", data, "--device", "abacus") == 2
    assert "abacus" in capsys.readouterr().err
    assert run("mine", "--trial", "0", "--data", data, "--until", "1") in (
        0,
        1,
    )  # it was made on another machine
    assert "cycle 1, 4 passes" in capsys.readouterr().out
