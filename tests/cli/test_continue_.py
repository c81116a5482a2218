"""`distrecvae continue`, as it is typed: what cannot continue is refused before anything starts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from distrecvae.cli import main
from tests import ROOT


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["continue", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize(
    ("trial", "passes", "message"),
    [
        ("9", "99", "there is no trial 9; 6 trials were begun"),
        ("3", "16", "trial 3 has had 16 passes and a cycle takes 4; give --max-passes 20 or more"),
    ],
)
def test_what_cannot_go_on_is_refused_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], trial: str, passes: str, message: str
) -> None:
    shutil.copytree(ROOT / "tests" / "kept" / "search-2", tmp_path / "mine")
    before = (tmp_path / "mine" / "ledger.jsonl").read_bytes()
    assert run(str(tmp_path / "mine"), "--trial", trial, "--max-passes", passes) == 2
    assert message in capsys.readouterr().err
    assert (tmp_path / "mine" / "ledger.jsonl").read_bytes() == before
    assert not (tmp_path / "mine" / "requests").exists()
