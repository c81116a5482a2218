"""What commands read at a URI belongs together, is gone afterwards, and errors name the URI."""

from __future__ import annotations

from pathlib import Path

import pytest

from distrecvae.errors import CheckpointError, StorageError
from distrecvae.storage import fetched
from distrecvae.storage.fetched import on_this_machine
from distrecvae.storage.manifest import MANIFEST_FILE
from distrecvae.storage.store import Store
from distrecvae.storage.writer import Writer

FILES = {"best/config.json": b"{}", "best/model": b"abc", "ledger.jsonl": b"1\n", "big": b"x"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store, folder = Store(f"file://{tmp_path}/there"), tmp_path / "copy"
    for name, data in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    Writer(folder, store.uri).put_changes()
    return store


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetched, "AGAIN_AFTER_S", 0.0)


def read(uri: str) -> dict[str, bytes]:
    with on_this_machine(uri, lambda name: name != "big") as folder:
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }


def test_a_path_is_as_it_is(tmp_path: Path) -> None:
    with on_this_machine(tmp_path, lambda _: True) as folder:
        assert folder == tmp_path
    with on_this_machine("some/where", lambda _: True) as folder:
        assert folder == Path("some/where")


def test_of_a_uri_what_is_wanted_comes_and_goes(store: Store) -> None:
    with on_this_machine(f"{store.uri}/", lambda name: name.startswith("best")) as folder:
        assert folder.name == "there"
        assert sorted(path.name for path in folder.iterdir()) == ["best"]
    assert not folder.exists()
    assert read(store.uri) == {name: data for name, data in FILES.items() if name != "big"}
    assert read(f"{store.uri}/best") == {"config.json": b"{}", "model": b"abc"}


def test_errors_name_the_uri(store: Store) -> None:
    with pytest.raises(CheckpointError) as caught, on_this_machine(store.uri, lambda _: True) as folder:
        raise CheckpointError(f"{folder / 'best'} is damaged")
    assert str(caught.value) == f"{store.uri}/best is damaged"


@pytest.mark.parametrize("place", ["", "/best"])
def test_a_model_of_which_half_is_newer_is_not_believed(store: Store, place: str) -> None:
    # As long as before: only its digest tells.
    store.put("best/model", b"abd")
    with pytest.raises(
        StorageError, match=r"model is newer than what lies beside it: its search is putting it"
    ):
        read(store.uri + place)


def test_what_is_being_put_is_waited_for(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put("best/model", b"abd")
    sizes, looks = Store.sizes, list[int]()

    def later(each: Store) -> dict[str, int]:
        looks.append(1)
        if len(looks) == 2:
            store.put("best/model", b"abc")
        return sizes(each)

    monkeypatch.setattr(Store, "sizes", later)
    assert read(store.uri)["best/model"] == b"abc"


def test_a_ledger_that_has_grown_since_is_no_trouble(store: Store) -> None:
    store.put("ledger.jsonl", b"1\n2\n")
    assert read(store.uri)["ledger.jsonl"] == b"1\n2\n"


def test_what_was_copied_there_by_hand_is_read_as_it_is(store: Store) -> None:
    store.delete(MANIFEST_FILE)
    store.put("best/model", b"abd")
    assert read(store.uri)["best/model"] == b"abd"


def test_a_place_with_nothing_in_it(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="none holds nothing; give the place of results, or of a model"):
        read(f"file://{tmp_path}/none")
