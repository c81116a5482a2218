"""A dataset folder behind a URI is fetched file by file; one line says what is wrong with a place that cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from distrecvae.data.remote import fetch
from distrecvae.errors import DataError


@pytest.fixture
def there(tmp_path: Path) -> Path:
    folder = tmp_path / "there"
    (folder / "below").mkdir(parents=True)
    (folder / "a.parquet").write_bytes(b"\x00a")
    (folder / "b.json").write_bytes(b"{}")
    (folder / "below" / "c").touch()
    return folder


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("end", ["", "/", "//"])
def test_the_named_files_come_and_no_others(end: str, there: Path, here: Path) -> None:
    fetch(f"file://{there}{end}", ["a.parquet"], here)
    assert content(here) == {"a.parquet": b"\x00a"}
    fetch(f"file://{there}{end}", (name for name in ("a.parquet", "b.json")), here)
    assert content(here) == {"a.parquet": b"\x00a", "b.json": b"{}"}


def test_what_is_missing_there_is_missing_here(there: Path, here: Path) -> None:
    # Which of a dataset's files must be there is for its reader to say, by the file's name.
    fetch(f"file://{there}", ["z.parquet", "b.json", "below"], here)
    assert content(here) == {"b.json": b"{}"}
    fetch(f"file://{there}", [], here)


def test_an_empty_folder_is_no_error(tmp_path: Path, here: Path) -> None:
    (tmp_path / "empty").mkdir()
    fetch(f"file://{tmp_path / 'empty'}", ["a"], here)
    assert content(here) == {}


def test_an_escaped_space_is_a_space(tmp_path: Path, here: Path) -> None:
    (tmp_path / "my set").mkdir()
    (tmp_path / "my set" / "a").write_bytes(b"1")
    fetch(f"file://{tmp_path}/my%20set", ["a"], here)
    assert content(here) == {"a": b"1"}


def refusal(uri: str, folder: Path) -> str:
    with pytest.raises(DataError) as refused:
        fetch(uri, ["a"], folder)
    said = str(refused.value)
    assert "\n" not in said
    assert content(folder) == {}
    return said


def test_a_folder_that_is_not_there_is_said_to_be_so(tmp_path: Path, here: Path) -> None:
    uri = f"file://{tmp_path}/nowhere"
    assert refusal(uri, here) == f"{uri} is not a prepared dataset (no such folder); copy one there"


@pytest.mark.parametrize("uri", ["ftp://host/x", "file://host/x", "file:///a b", "file:///"])
def test_a_uri_of_no_known_kind_is_refused_with_those_that_are(uri: str, here: Path) -> None:
    said = refusal(uri, here)
    assert said.startswith(f"{uri} cannot be read (")
    assert said.endswith("); give a URI of s3, gs, abfs, hdfs, file that these credentials can read")


def test_a_file_is_not_a_folder(there: Path, here: Path) -> None:
    uri = f"file://{there / 'b.json'}"
    assert refusal(uri, here).startswith(f"{uri} cannot be read (")


def test_a_file_that_cannot_be_written_here_is_one_line_too(there: Path, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "b.json").mkdir()
    with pytest.raises(DataError, match="cannot be read") as refused:
        fetch(f"file://{there}", ["b.json"], tmp_path / "here")
    assert "\n" not in str(refused.value)
