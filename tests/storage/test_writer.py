"""What one process puts into a mirror, file by file; `test_mirror.py` has the same under a run that writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from distrecvae.errors import ResultsError, StorageError
from distrecvae.storage.manifest import MANIFEST_FILE, manifest_at
from distrecvae.storage.store import Store
from distrecvae.storage.working_copy import AGREED_FILE, agreed, settle
from distrecvae.storage.writer import Writer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "copy").mkdir()
    return tmp_path / "copy"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(f"file://{tmp_path}/there")


def puts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what hears each file that is put, in order."""
    names: list[str] = []
    put = Store._put

    def heard(store: Store, name: str, write: object) -> None:
        names.append(name)
        put(store, name, write)  # type: ignore[arg-type]

    monkeypatch.setattr(Store, "_put", heard)
    return names


def test_the_order_is_ledgers_the_rest_what_makes_a_folder_a_searchs_and_the_manifest(
    folder: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, names = Writer(folder, store.uri), puts(monkeypatch)
    (folder / "deep").mkdir()
    for name in ("search.json", "a", "z", "ledger.jsonl", "deep/ledger.jsonl"):
        (folder / name).write_text("1\n")
    writer.put_changes()
    assert sorted(names[:2]) == ["deep/ledger.jsonl", "ledger.jsonl"]
    assert names[2:] == ["a", "z", "search.json", MANIFEST_FILE]
    assert writer.behind() == 0
    names.clear()
    writer.put_changes()
    assert names == [], "nothing changed"
    writer.put_changes(anyway=True)
    assert names == [MANIFEST_FILE]


def test_what_is_there_already_is_not_put_again_by_the_next_process(
    folder: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a").write_text("1")
    Writer(folder, store.uri).put_changes()
    names = puts(monkeypatch)
    writer = Writer(folder, store.uri)
    assert writer.behind() == 1, "what it does not know it looks at"
    writer.put_changes()
    assert names == [MANIFEST_FILE, MANIFEST_FILE]
    (folder / "a").write_text("2")  # as long as before
    writer.put_changes()
    assert store.read("a") == b"2"


def test_a_claim_that_fails_leaves_the_folder_as_it_was(
    folder: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise StorageError("refused")

    monkeypatch.setattr(Store, "_put", refuse)
    with pytest.raises(StorageError):
        Writer(folder, store.uri)
    assert list(folder.iterdir()) == []
    monkeypatch.undo()
    (folder / "a").write_text("1")
    Writer(folder, store.uri).put_changes()
    monkeypatch.setattr(Store, "_put", refuse)
    with pytest.raises(StorageError):
        Writer(folder, store.uri)
    monkeypatch.undo()
    settle(folder, store, lambda _: pytest.fail("nobody else has written"))
    Writer(folder, store.uri)


def test_a_claim_says_whose_it_was(folder: Path, store: Store) -> None:
    first = Writer(folder, store.uri)
    (folder / "a").write_text("1")
    first.put_changes()
    second = Writer(folder, store.uri)
    manifest = manifest_at(store)
    assert manifest is not None
    assert manifest.generation == 2
    assert agreed(folder) == manifest
    (folder / "a").write_text("22")
    first.put_changes()
    assert "writes there since" in first.taken_by
    assert store.read("a") == b"1"
    assert second.taken_by == ""


def test_another_folder_may_not_write_there(folder: Path, store: Store, tmp_path: Path) -> None:
    (folder / "a").write_text("1")
    Writer(folder, store.uri).put_changes()
    (tmp_path / "other").mkdir()
    with pytest.raises(ResultsError, match="is not empty; pass --resume"):
        Writer(tmp_path / "other", store.uri)
    (tmp_path / "other/b").touch()
    with pytest.raises(ResultsError, match="and not from the working copy"):
        Writer(tmp_path / "other", store.uri)


def test_a_claim_is_taken_back_only_where_nothing_was_written(folder: Path, store: Store) -> None:
    writer = Writer(folder, store.uri)
    (folder / "a").touch()
    writer.put_changes()
    writer.leave_nothing()
    assert set(store.sizes()) == {"a", MANIFEST_FILE}
    (folder / "a").unlink()
    (folder / AGREED_FILE).unlink()
    store.delete("a")
    store.delete(MANIFEST_FILE)
    Writer(folder, store.uri).leave_nothing()
    assert store.sizes() == {}
    assert list(folder.iterdir()) == []
