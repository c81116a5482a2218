"""The newer one of a working copy and its mirror is taken; two that have diverged are refused, never mixed."""

from __future__ import annotations

from pathlib import Path

import pytest

from distrecvae.errors import ResultsError, StorageError
from distrecvae.files import exclusive
from distrecvae.storage.manifest import MANIFEST_FILE, Manifest
from distrecvae.storage.store import Store
from distrecvae.storage.working_copy import (
    AGREED_FILE,
    FETCHING_FILE,
    agreed,
    files_of,
    in_order,
    is_agreed,
    is_hidden,
    look,
    settle,
    unit_of,
    whole_lines,
    write_agreed,
)
from tests.storage.test_mirror import Search, local, mirrored


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return f"file://{tmp_path}/there"


@pytest.fixture
def search(tmp_path: Path) -> Search:
    return Search(tmp_path / "copy")


def settled(folder: Path, uri: str) -> list[str]:
    said: list[str] = []
    settle(folder, Store(uri), said.append)
    return said


def begin(search: Search, uri: str) -> None:
    """Mirror a search with two reports and a model."""
    with mirrored(search.folder, uri=uri):
        search.grow()
        search.grow()
        for name in ("search.json", "best/config.json", "best/metrics.json"):
            search.write(name)


def test_where_nothing_is_mirrored_nothing_happens(search: Search, uri: str, tmp_path: Path) -> None:
    assert settled(tmp_path / "none", uri) == []
    assert not (tmp_path / "none").exists()
    search.grow()
    assert settled(search.folder, uri) == []
    assert local(search.folder) == {"ledger.jsonl": b"1 line\n"}


def test_a_working_copy_that_is_gone_is_fetched(search: Search, uri: str, tmp_path: Path) -> None:
    begin(search, uri)
    fetched = tmp_path / "a" / "fetched"
    assert settled(fetched, uri) == [f"Fetching 4 files, 0 MiB, from {uri} into {fetched}."]
    assert local(fetched) == local(search.folder)
    assert is_agreed(agreed(fetched), look(Store(uri)).manifest)
    assert not (fetched / FETCHING_FILE).exists()
    assert settled(fetched, uri) == [], "it is there"


def test_one_that_was_killed_while_it_was_fetched_is_fetched_again(
    search: Search, uri: str, tmp_path: Path
) -> None:
    begin(search, uri)
    fetched = tmp_path / "fetched"
    fetched.mkdir()
    (fetched / FETCHING_FILE).touch()
    (fetched / "search.json").write_text("half of it is missing")
    assert len(settled(fetched, uri)) == 1
    assert local(fetched) == local(search.folder)


def test_a_copy_ahead_of_its_mirror_is_kept(search: Search, uri: str) -> None:
    # Its process was killed before it could put the last of it.
    begin(search, uri)
    search.grow()
    before = local(search.folder)
    assert settled(search.folder, uri) == []
    assert local(search.folder) == before
    with mirrored(search.folder, uri=uri):
        pass
    assert Store(uri).read("ledger.jsonl") == b"1 line\n2 line\n3 line\n"


@pytest.mark.parametrize("died", ["before", "after"])
def test_a_writer_that_died_around_its_manifest_is_still_the_last(
    search: Search, uri: str, died: str
) -> None:
    begin(search, uri)
    last = agreed(search.folder)
    assert last is not None
    following = last.next({})
    if died == "after":
        Store(uri).put(MANIFEST_FILE, following.text().encode())
    write_agreed(search.folder, following)
    (search.folder / "search.json").write_text("2")
    before = local(search.folder)
    assert settled(search.folder, uri) == []
    assert local(search.folder) == before


def heir_of(search: Search, uri: str, folder: Path, *, lines: int = 1) -> Search:
    """Let another machine resume the search from its mirror."""
    settled(folder, uri)
    heir = Search(folder)
    heir.lines = search.lines
    with mirrored(folder, uri=uri):
        for _ in range(lines):
            heir.grow("of the heir")
        heir.write("search.json")
    return heir


def test_a_mirror_that_another_machine_went_on_with_is_taken(
    search: Search, uri: str, tmp_path: Path
) -> None:
    begin(search, uri)
    (search.folder / "old").touch()
    heir = heir_of(search, uri, tmp_path / "heir")
    assert settled(search.folder, uri)[0] == (
        f"{uri} is newer than the working copy {search.folder}, which is replaced."
    )
    assert local(search.folder) == local(heir.folder)
    with mirrored(search.folder, uri=uri):
        pass


def test_where_another_machine_came_no_further_the_copy_is_kept(
    search: Search, uri: str, tmp_path: Path
) -> None:
    begin(search, uri)
    heir_of(search, uri, tmp_path / "heir", lines=0)
    search.grow()
    search.write("search.json")
    before = local(search.folder)
    assert settled(search.folder, uri) == []
    with mirrored(search.folder, uri=uri):
        pass
    assert local(search.folder) == before
    assert {name: Store(uri).read(name) for name in before} == before


def test_two_that_went_on_separately_are_refused(search: Search, uri: str, tmp_path: Path) -> None:
    begin(search, uri)
    heir_of(search, uri, tmp_path / "heir")
    search.grow("of the first")
    before = local(search.folder)
    with pytest.raises(ResultsError) as caught:
        settled(search.folder, uri)
    assert str(caught.value) == (
        f"the working copy {search.folder} and {uri} have diverged, each has what the other lacks; keep one:"
        f" remove {search.folder} to continue from the mirror, or continue with --out {search.folder} alone"
    )
    assert local(search.folder) == before
    refused = r"was written by process .*, and not from the working copy"
    with pytest.raises(ResultsError, match=refused), mirrored(search.folder, uri=uri):
        pytest.fail("they would be mixed")


def test_a_folder_that_was_never_mirrored_there_is_refused_unless_its_ledger_fits(
    search: Search, uri: str, tmp_path: Path
) -> None:
    begin(search, uri)
    other = Search(tmp_path / "other")
    other.grow("another search")
    with pytest.raises(ResultsError, match="have diverged"):
        settled(other.folder, uri)


def test_of_several_searches_some_may_not_be_newer_here_and_some_there(uri: str, tmp_path: Path) -> None:
    # A comparison has a ledger for each model.
    names = ("ease", "recvae")
    mine = {name: Search(tmp_path / "copy" / name) for name in names}
    with mirrored(tmp_path / "copy", uri=uri):
        for each in mine.values():
            each.grow()
    settled(tmp_path / "heir", uri)
    with mirrored(tmp_path / "heir", uri=uri), (tmp_path / "heir/ease/ledger.jsonl").open("a") as ledger:
        ledger.write("2 of the heir\n")
    mine["recvae"].grow("of the first")
    with pytest.raises(ResultsError, match="have diverged"):
        settled(tmp_path / "copy", uri)


def test_without_a_ledger_the_mirror_is_taken_where_nothing_changed_here(uri: str, tmp_path: Path) -> None:
    # A training's folder: its state says how far it came, and no line of it what it came from.
    mine, heir = Search(tmp_path / "copy"), tmp_path / "heir"
    with mirrored(mine.folder, uri=uri):
        mine.write("run.json")
    settled(heir, uri)
    with mirrored(heir, uri=uri):
        (heir / "run.json").write_text("7")
    assert len(settled(mine.folder, uri)) == 2
    assert local(mine.folder) == local(heir)
    with mirrored(heir, uri=uri):
        (heir / "run.json").write_text("8")
    (mine.folder / "run.json").write_text("9")
    with pytest.raises(ResultsError, match="have diverged"):
        settled(mine.folder, uri)


def test_a_model_of_which_half_is_newer_is_left_out(search: Search, uri: str, tmp_path: Path) -> None:
    begin(search, uri)
    Store(uri).put("best/config.json", b"0")
    settled(tmp_path / "fetched", uri)
    assert set(local(tmp_path / "fetched")) == {"ledger.jsonl", "search.json"}


def test_a_model_of_which_a_file_is_missing_is_left_out(search: Search, uri: str, tmp_path: Path) -> None:
    begin(search, uri)
    Store(uri).delete("best/config.json")
    settled(tmp_path / "fetched", uri)
    assert set(local(tmp_path / "fetched")) == {"ledger.jsonl", "search.json"}


def test_a_folder_that_was_copied_there_by_hand_is_fetched_as_it_is(uri: str, tmp_path: Path) -> None:
    for name in ("ledger.jsonl", "best/config.json"):
        Store(uri).put(name, b"1\n")
    settled(tmp_path / "fetched", uri)
    assert set(local(tmp_path / "fetched")) == {"ledger.jsonl", "best/config.json"}
    assert agreed(tmp_path / "fetched") is None


def test_a_file_that_changes_its_size_while_it_is_fetched(
    search: Search, uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(search, uri)
    sizes = Store.sizes
    monkeypatch.setattr(Store, "sizes", lambda store: {name: size + 1 for name, size in sizes(store).items()})
    with pytest.raises(
        StorageError, match=r"best/config.json had 2 bytes and now has 1: something writes there"
    ):
        settled(tmp_path / "fetched", uri)
    monkeypatch.undo()
    settled(tmp_path / "fetched", uri)
    assert local(tmp_path / "fetched") == local(search.folder)


def test_a_copy_that_another_process_works_in_is_left_alone(search: Search, uri: str) -> None:
    begin(search, uri)
    with exclusive(search.folder), pytest.raises(ResultsError, match="in use"):
        settled(search.folder, uri)


def test_a_name_that_leads_out_of_the_folder_is_refused(monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    monkeypatch.setattr(Store, "sizes", lambda _: {"../../.ssh/authorized_keys": 1})
    with pytest.raises(StorageError, match="leads out of its folder"):
        look(Store(uri))


def test_what_is_read_last_is_what_others_tell_the_length_of() -> None:
    names = ["recvae/ledger.jsonl", "a", "ledger.jsonl", "z", "recvae/search.json"]
    assert in_order(names) == ["a", "recvae/search.json", "z", "ledger.jsonl", "recvae/ledger.jsonl"]


def test_folders_that_are_of_use_only_as_a_whole() -> None:
    assert unit_of("best/config.json") == "best"
    assert unit_of("seed-1/best/config.json") == "seed-1/best"
    assert unit_of("data/deep/x") == "data"
    assert unit_of("trials/00000/state.safetensors") == ""
    assert unit_of("best") == ""


def test_what_is_hidden_is_none_of_the_results(tmp_path: Path) -> None:
    (tmp_path / ".ray").mkdir()
    for name in ("a", ".lock", ".ray/x", ".a.x.part"):
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert set(files_of(tmp_path)) == {"a"}
    assert is_hidden(".ray/x")
    assert is_hidden("a/.b.part")
    assert not is_hidden("a/b.c")


def test_the_whole_lines_of_a_file_that_is_being_written() -> None:
    assert whole_lines(b"one\ntw") == b"one\n"
    assert whole_lines(b"on") == b""


def test_what_was_agreed_on_is_none_where_it_cannot_be_read(tmp_path: Path) -> None:
    assert agreed(tmp_path) is None
    (tmp_path / AGREED_FILE).write_text("{")
    assert agreed(tmp_path) is None
    manifest = Manifest(generation=1, writer="f")
    write_agreed(tmp_path, manifest)
    assert agreed(tmp_path) == manifest
    assert not is_agreed(manifest, None)
    assert not is_agreed(None, manifest)
    assert not is_agreed(manifest, manifest.next({}))
