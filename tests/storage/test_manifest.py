"""`mirror.json` says what a mirror holds and who writes it; one that leads out of its folder is refused."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import cast

import pytest

from distrecvae.errors import StorageError
from distrecvae.storage.manifest import MANIFEST_FILE, Manifest, is_name, manifest_at, read_manifest
from distrecvae.storage.store import Store
from tests.s3 import S3

FILES = {"search.json": (3, "ab"), "best/config.json": (0, "cd")}


def test_it_is_read_as_it_was_written() -> None:
    manifest = Manifest(generation=2, writer="f00d", sequence=7, files=FILES, after=(1, "cafe", 3))
    assert read_manifest(manifest.text().encode(), "here") == manifest
    assert manifest.state == (2, "f00d", 7)


def test_the_next_one_is_the_same_writers_and_names_what_it_follows() -> None:
    first = Manifest(generation=2, writer="f00d")
    second = first.next(FILES)
    assert second.state == (2, "f00d", 1)
    assert second.after == first.state
    assert second.files == FILES
    taken = second.by("beef", 3)
    assert (taken.state, taken.after, taken.files) == ((3, "beef", 0), second.state, FILES)


@pytest.mark.parametrize("name", ["a", "a/b", "trials/00001/state.safetensors", "..a", "ä b"])
def test_names_of_files_in_a_folder(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize("name", ["", "/a", "a/", "a//b", "..", "../a", "a/../../b", "./a", "a\\b", "a\0"])
def test_names_that_lead_elsewhere_are_none(name: str) -> None:
    # A name from a store becomes a path on this machine.
    assert not is_name(name)
    document = json.loads(Manifest(generation=1, writer="f", files={}).text())
    document["files"] = {name: [1, "ab"]}
    with pytest.raises(StorageError, match="here is damaged, or was not written by distrecvae"):
        read_manifest(json.dumps(document).encode(), "here")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"generation": "1", "writer": "f"}'])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(StorageError, match="here is damaged, or was not written by distrecvae"):
        read_manifest(text.encode(), "here")


def test_of_another_format() -> None:
    text = Manifest(generation=1, writer="f").text().replace('"format":1', '"format":9')
    with pytest.raises(
        StorageError, match="format is 9, this version reads 1; use the version that wrote it"
    ):
        read_manifest(text.encode(), "here")


def test_a_mirror_has_one_or_none(s3: S3) -> None:
    store = Store("s3://bucket/x")
    assert manifest_at(store) is None
    manifest = Manifest(generation=1, writer="f", files=FILES)
    store.put(MANIFEST_FILE, manifest.text().encode())
    assert manifest_at(store) == manifest
    store.put(MANIFEST_FILE, b"{")
    with pytest.raises(StorageError, match=r"s3://bucket/x/mirror\.json is damaged"):
        manifest_at(store)


def test_one_that_is_replaced_while_it_is_read_is_read_again() -> None:
    """Its size is asked for, then so many bytes of what is there by then: a longer one came torn, and was "damaged"."""
    whole = Manifest(generation=1, writer="f00d", files=FILES)
    pieces = [whole.text().encode()[:60], whole.text().encode()[:90], whole.text().encode()]
    store = SimpleNamespace(uri="s3://bucket/mine", read=lambda _: pieces.pop(0))
    assert manifest_at(cast(Store, store)) == whole
    assert pieces == []

    store.read = lambda _: b"{"
    with pytest.raises(StorageError, match=r"s3://bucket/mine/mirror\.json is damaged"):
        manifest_at(cast(Store, store))
