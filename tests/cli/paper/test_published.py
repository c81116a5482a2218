"""`distrecvae published` as typed, on small data."""

from __future__ import annotations

from pathlib import Path

import pytest

from distrecvae.cli import main
from distrecvae.data.io import save_dataset
from distrecvae.data.synthetic import synthetic_split


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_dataset(synthetic_split(n_users=150, n_items=60, seed=1), Path("data"), {"source": "synthetic"})


def run(*options: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(["published", *options])
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


def test_a_row_is_run_and_stands_beside_the_published_one(capsys: pytest.CaptureFixture[str]) -> None:
    options = (
        "multvae",
        "--data",
        "data",
        "--models",
        "wmf",
        "--settings",
        "msd",
        "--max-passes",
        "2",
        "--out",
        "out",
    )
    assert run(*options) == 0
    out = capsys.readouterr().out
    assert "NOT THE PUBLISHED DATA" in out
    assert "0.257" in out
    assert Path("out/published.md").exists()
    assert run(*options, "--resume") == 0


def test_what_is_wrong_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("recvae", "--data", "data") == 2
    err = capsys.readouterr().err
    assert err.startswith("error: data has 150 users x")
    assert err.count("\n") == 1
    assert run("svd", "--data", "data") == 2
    assert run("recvae", "--data", "absent") == 2
