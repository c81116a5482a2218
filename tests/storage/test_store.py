"""One folder of an object store: files put whole, listed, read, removed; what goes wrong is one line with a remedy."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from distrecvae.errors import StorageError
from distrecvae.storage.store import CHUNK_BYTES, Store, digest_of, file_entry
from tests.s3 import S3, error


@pytest.fixture(params=["s3", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "file":
        return Store(f"file://{tmp_path}/there")
    request.getfixturevalue("s3")
    return Store("s3://bucket/runs/mine")


def test_what_is_put_is_there_and_nothing_else(store: Store, tmp_path: Path) -> None:
    assert store.sizes() == {}
    assert store.read("a.txt") is None
    assert store.put("a.txt", b"abc") == (3, digest_of(b"abc"))
    assert store.put("deep/er/b", b"") == (0, digest_of(b""))
    store.put("a.txt", b"abcd")
    assert store.sizes() == {"a.txt": 4, "deep/er/b": 0}
    assert store.read("a.txt") == b"abcd"
    assert store.get("a.txt", tmp_path / "copy") == (4, digest_of(b"abcd"))
    assert (tmp_path / "copy").read_bytes() == b"abcd"
    store.delete("a.txt")
    store.delete("a.txt")
    assert store.sizes() == {"deep/er/b": 0}


def test_a_file_of_several_parts_arrives_as_it_is(store: Store, tmp_path: Path) -> None:
    data = os.urandom(2 * CHUNK_BYTES + 12_345)
    assert store.put_file("big", io.BytesIO(data), len(data)) == (len(data), digest_of(data))
    assert store.get("big", tmp_path / "big") == (len(data), digest_of(data))
    assert (tmp_path / "big").read_bytes() == data


def test_of_a_file_that_grows_only_so_much_is_put(store: Store) -> None:
    entry = store.put_file("log", io.BytesIO(b"one\ntwo\n"), 4)
    assert entry == (4, digest_of(b"one\n")) == file_entry(io.BytesIO(b"one\ntwo\n"), 4)
    assert store.read("log") == b"one\n"
    assert file_entry(io.BytesIO(b"one\ntwo\n")) == (8, digest_of(b"one\ntwo\n"))


def test_a_file_that_cannot_be_read_to_its_end_is_not_left_half_there(store: Store) -> None:
    # PyArrow completes an upload whatever happens: half a file would look like a whole one.
    with pytest.raises(OSError, match="has become shorter"):
        store.put_file("short", io.BytesIO(b"abc"), 5)
    assert store.sizes() == {}


def test_a_missing_file_is_an_error_where_it_must_be_there(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be read"):
        store.get("none", tmp_path / "none")


def test_on_a_disk_nobody_sees_a_file_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(f"file://{tmp_path}/there")
    store.put("a", b"old")
    seen: list[bytes] = []

    class Watched(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            seen.append((tmp_path / "there/a").read_bytes())
            return super().read(size)

    store.put_file("a", Watched(b"new"), 3)
    assert seen == [b"old"]
    assert (tmp_path / "there/a").read_bytes() == b"new"
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["a"]


def test_a_bucket_that_does_not_exist(s3: S3) -> None:
    for act in (Store("s3://nowhere/x").sizes, lambda: Store("s3://nowhere/x").put("a", b"")):
        with pytest.raises(StorageError) as caught:
            act()
        assert "there is no such bucket" in str(caught.value)
        assert str(caught.value).endswith("create it, or name another")
        assert not caught.value.passing


@pytest.mark.parametrize(
    ("answer", "words", "passing"),
    [
        ((403, error("AccessDenied")), "the credentials are refused", False),
        ((403, error("InvalidAccessKeyId")), "the credentials are refused", False),
        ((403, error("SignatureDoesNotMatch")), "the credentials are refused", False),
        ((403, error("ExpiredToken")), "the credentials are refused", False),
        ((400, error("ExpiredToken")), "the credentials are refused", False),
        ((401, b""), "the credentials are refused", False),
        ((301, error("PermanentRedirect")), "the bucket is in another region", False),
        ((500, error("InternalError")), "the server fails", True),
        ((503, error("SlowDown")), "the server fails", True),
        ((503, b""), "the server fails", True),
    ],
)
def test_a_server_that_refuses_or_fails(s3: S3, answer: tuple[int, bytes], words: str, passing: bool) -> None:
    s3.answer = answer
    store = Store("s3://bucket/x")
    for done, act in (("read", store.sizes), ("written", lambda: store.put("a", b"abc"))):
        with pytest.raises(StorageError) as caught:
            act()
        assert str(caught.value).startswith(f"s3://bucket/x cannot be {done}: {words} (")
        assert caught.value.passing == passing


def test_an_endpoint_where_nothing_listens(s3: S3) -> None:
    store = Store("s3://bucket/x")
    s3.stop()
    try:
        with pytest.raises(StorageError, match=r"nothing answers there .*; check the network") as caught:
            store.read("a")
        assert caught.value.passing
    finally:
        s3.start()


def test_a_uri_of_no_known_kind() -> None:
    with pytest.raises(StorageError, match=r"ftp://host/x cannot be opened .*; give a URI of s3://, gs://"):
        Store("ftp://host/x")
