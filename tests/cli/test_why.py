"""`distrecvae why`, as it is typed."""

from __future__ import annotations

import pytest

from distrecvae.cli import main
from tests import ROOT

KEPT = ROOT / "tests" / "kept" / "search-2"


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["why", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_it_prints_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(KEPT), "--trial", "4") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Trial 4 of" in said
    assert "stopped (asha at 4 passes)" in said
    assert "It was stopped. Rivals there" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [(("--trial", "77"), "has no trial 77"), ((), "--trial"), (("--trial", "-1"), "-1")],
)
def test_what_cannot_be_is_refused(
    options: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(str(KEPT), *options) == 2
    assert message in capsys.readouterr().err
