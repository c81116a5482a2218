"""What is a URI, what lies below one, and where its working copy lies."""

from __future__ import annotations

from pathlib import Path

import pytest

from distrecvae.errors import ConfigError
from distrecvae.storage.uri import SCHEMES, as_place, below, default_copy, is_uri, parted, require_place


@pytest.mark.parametrize(
    "place",
    [
        *(f"{scheme}://bucket/x" for scheme in SCHEMES),
        "gs://",
        "file:///x",
        "s3://bucket/x?region=eu-west-1",
        "abfs+x.1-y://z",
        "HDFS://n/x",
    ],
)
def test_a_scheme_and_two_slashes_are_a_uri(place: str) -> None:
    assert is_uri(place)
    assert as_place(place) == place


@pytest.mark.parametrize(
    "place",
    [
        "data",
        "/data",
        "./s3://bucket",
        "s3:/bucket",  # what Path makes of a URI
        "data/s3://bucket",
        "C://mine",  # a drive
        "",
        "://x",
        "3s://x",
    ],
)
def test_anything_else_is_a_path(place: str) -> None:
    assert not is_uri(place)
    assert as_place(place) == Path(place)


def test_a_path_object_is_a_path() -> None:
    assert not is_uri(Path("s3://bucket"))
    assert as_place(Path("x")) == Path("x")


def test_what_lies_below_a_uri_keeps_its_query_at_the_end() -> None:
    assert below("s3://bucket/runs/", "best") == "s3://bucket/runs/best"
    assert below("s3://bucket/runs?region=x", "best") == "s3://bucket/runs/best?region=x"


def test_a_uri_is_parted_into_a_folder_and_a_name() -> None:
    assert parted("s3://bucket/runs/best/") == ("s3://bucket/runs", "best")
    assert parted("s3://bucket/runs/best?region=x") == ("s3://bucket/runs?region=x", "best")


def test_results_need_a_scheme_that_is_known_and_a_folder() -> None:
    require_place("s3://bucket/runs/mine")
    with pytest.raises(ConfigError) as caught:
        require_place("ftp://host/runs")
    assert str(caught.value) == (
        "ftp://host/runs is of ftp://, which is not one of s3://, gs://, abfs://, hdfs://, file://"
    )
    with pytest.raises(
        ConfigError, match="names no folder; give one below the bucket, such as s3://bucket/runs/mine"
    ):
        require_place("s3://bucket/")


def test_the_working_copy_lies_in_the_cache_one_a_uri(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    copy = default_copy("s3://bucket/runs/mine")
    assert copy.parent == tmp_path / "distrecvae" / "results"
    assert copy.name.startswith("mine-")
    # The same place, said in another way: what continues must find what was begun.
    assert default_copy("s3://bucket/runs/mine/") == copy
    assert default_copy("s3://bucket/runs/mine?region=eu-west-1") == copy
    assert default_copy("s3://other/runs/mine") != copy
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert default_copy("s3://bucket/a b").parent == tmp_path / "home/.cache/distrecvae/results"
    assert default_copy("s3://bucket/a b").name.startswith("a-b-")
