"""`distrecvae cluster init` as it is typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from distrecvae.cli import main


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["cluster", *words])
    said = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, said.out, said.err


def test_it_says_what_it_wrote_what_to_change_and_what_to_type(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, _ = run(capsys, "init", "aws", "--out", "new/mine.yaml")
    lines = out.splitlines()
    assert status == 0
    assert lines[0] == "wrote new/mine.yaml, new/iam-launcher.json, new/iam-head.json"
    number, words = next(line for line in lines if "ImageId" in line).split(maxsplit=1)
    written = (tmp_path / "new/mine.yaml").read_text(encoding="utf-8").splitlines()
    assert written[int(number) - 1].strip() == words
    assert lines[-2:] == ["  distrecvae doctor --cluster new/mine.yaml", "  ray up new/mine.yaml"]


def test_a_file_that_is_there_stays(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(capsys, "init", "on-prem")[0] == 0
    before = (tmp_path / "on-prem.yaml").read_bytes()
    status, out, err = run(capsys, "init", "on-prem")
    assert (status, out) == (2, "")
    assert err == "error: on-prem.yaml is there already, and not written over; remove it, or give --out\n"
    assert (tmp_path / "on-prem.yaml").read_bytes() == before


def test_another_kind_is_refused_with_the_kinds_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "init", "azure")
    assert status == 2
    assert "'aws', 'gcp', 'on-prem', 'kubernetes'" in err


def test_help_of_both_words_fits_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--help"], ["init", "--help"]):
        status, out, _ = run(capsys, *words)
        assert status == 0
        assert "distrecvae cluster init" in out
        assert max(map(len, out.splitlines())) <= 80
