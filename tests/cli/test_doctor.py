"""`distrecvae doctor` as it is typed: a line a finding, and an exit status that scripts can go by."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
import torch

from distrecvae.cli import main
from distrecvae.search.doctor import doctor, gpu
from distrecvae.search.doctor.doctor import Finding
from distrecvae.search.doctor.gpu import Checked


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[str]]:
    with pytest.raises(SystemExit) as stop:
        main(["doctor", *arguments])
    return int(stop.value.code or 0), capsys.readouterr().out.splitlines()


def found(*findings: Finding) -> object:
    def examine(address: str | None) -> Iterator[Finding]:
        yield Finding("address", str(address))
        yield from findings

    return examine


def test_all_is_well(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(doctor, "examine", found(Finding("cores", "8 of 8")))
    assert run(capsys) == (
        0,
        ["ok    address        None", "ok    cores          8 of 8", "", "all is well"],
    )


def test_what_must_be_mended_ends_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "examine", found(Finding("shared memory", "too small", "make it larger")))
    status, lines = run(capsys, "--address", "auto")
    assert status == 1
    assert lines[0].endswith("auto")
    assert lines[1:] == ["mend  shared memory  too small; make it larger", "", "1 to mend"]


def test_a_broken_installation_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "distrecvae.search.doctor.doctor", None)
    status, (line,) = run(capsys)
    assert status == 1
    assert line.startswith("mend  packages       cannot be imported")


def test_a_gpu_is_tried_where_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        gpu, "examine_gpu", lambda: iter([Checked("device", "it"), Checked("waits", "9", "wait")])
    )
    assert run(capsys, "--gpu") == (
        1,
        ["ok    device         it", "mend  waits          9; wait", "", "1 to mend"],
    )


def test_without_a_gpu_trying_it_is_refused_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit) as stop:
        main(["doctor", "--gpu"])
    said = capsys.readouterr()
    assert (stop.value.code, said.out) == (2, "")
    (line,) = said.err.splitlines()
    assert "finds no GPU" in line


def test_a_gpu_is_tried_here_only(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["doctor", "--gpu", "--address", "auto"])
    assert stop.value.code == 2
    assert "leave --address out" in capsys.readouterr().err
