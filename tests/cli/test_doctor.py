"""`distrecvae doctor` as it is typed: a line a finding, and an exit status that scripts can go by."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from distrecvae.cli import main
from distrecvae.search.doctor import doctor, gpu
from distrecvae.search.doctor.finding import Finding
from distrecvae.search.doctor.gpu import Checked
from tests import ROOT


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


def test_a_clusters_file_is_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    status, lines = run(capsys, "--cluster", str(ROOT / "cluster/cluster.yaml"))
    assert (status, lines[-1]) == (0, "all is well")
    assert lines[0].startswith("ok    file ")


def test_a_mistake_in_one_is_a_line_and_a_status_of_its_own(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    text = (ROOT / "cluster/cluster.yaml").read_text(encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(
        text.replace("max_workers: 8\nup", "max_workers: 0\nup"), encoding="utf-8"
    )
    status, lines = run(capsys, "--cluster", str(tmp_path / "mine.yaml"))
    assert status == 2
    assert lines[0].startswith("mend  nodes          max_workers is 0: ")
    assert lines[0].endswith("; write how many GPUs you want at most")
    assert lines[-1] == "1 to mend"


def test_what_is_no_clusters_file_is_refused_in_a_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["doctor", "--cluster", str(tmp_path / "absent.yaml")])
    said = capsys.readouterr()
    assert (stop.value.code, said.out) == (2, "")
    assert len(said.err.splitlines()) == 1


@pytest.mark.parametrize("other", [["--gpu"], ["--address", "auto"]])
def test_a_file_is_looked_at_alone(other: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["doctor", "--cluster", "a.yaml", *other])
    assert stop.value.code == 2
    assert "looks at a file only" in capsys.readouterr().err


def test_a_file_is_looked_at_without_ray_or_pytorch() -> None:
    # No account, no network, nothing started: and no seconds spent on importing what would.
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from distrecvae.search.doctor.cluster.examination import examine_file\n"
        f"list(examine_file(Path({str(ROOT / 'cluster/cluster.yaml')!r})))\n"
        "print([name for name in ('ray', 'torch', 'optuna', 'pandas', 'boto3') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
