"""Where results go where nobody says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from distrecvae.api.folders import results_folder
from distrecvae.errors import ConfigError, ResultsError


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def used(name: str) -> None:
    (Path("runs") / name).mkdir(parents=True)
    (Path("runs") / name / "search.json").touch()


def test_a_new_run_gets_the_next_number_and_one_that_goes_on_is_the_latest() -> None:
    assert results_folder(None, None, "recvae-mine", resume=False) == Path("runs/recvae-mine")
    used("recvae-mine")
    used("recvae-mine-7")
    used("recvae-mine-other-9")
    (Path("runs") / "recvae-mine-8").mkdir()
    assert results_folder(None, None, "recvae-mine", resume=False) == Path("runs/recvae-mine-8")
    assert results_folder(None, None, "recvae-mine", resume=True) == Path("runs/recvae-mine-7")


def test_what_is_named_is_taken() -> None:
    assert results_folder(Path("here"), None, "x", resume=False) == Path("here")
    assert results_folder(None, "there", "x", resume=True) == Path("runs/there")


def test_nothing_to_resume_is_refused_unless_it_may_start() -> None:
    with pytest.raises(ResultsError, match="no runs/x to resume"):
        results_folder(None, None, "x", resume=True)
    assert results_folder(None, None, "x", resume=True, must_exist=False) == Path("runs/x")


def test_two_places_and_object_stores_are_refused() -> None:
    with pytest.raises(ConfigError, match="only one"):
        results_folder(Path("a"), "b", "x", resume=False)
    with pytest.raises(ConfigError, match="object storage"):
        results_folder(Path("s3://bucket/a"), None, "x", resume=False)
