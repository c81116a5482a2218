"""A folder is mirrored as it grows: whole at every moment, whatever the store does, and never two writers' mixed."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from distrecvae.errors import ResultsError, StorageError
from distrecvae.files import replacing, write_text
from distrecvae.storage import writer as module
from distrecvae.storage.manifest import MANIFEST_FILE, manifest_at
from distrecvae.storage.mirror import Mirror
from distrecvae.storage.store import Store, digest_of
from distrecvae.storage.working_copy import AGREED_FILE, files_of, settle
from tests import HANGS_AFTER_S
from tests.s3 import S3

URI = "s3://bucket/runs/mine"
PREFIX = "runs/mine/"
SOON_S = 0.02


class Search:
    """A stand-in for a search's folder: a ledger of numbered lines, and files that say how long it was."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.lines = folder, 0
        folder.mkdir(parents=True, exist_ok=True)

    def grow(self, line: str = "line") -> None:
        with (self.folder / "ledger.jsonl").open("a") as ledger:
            self.lines += 1
            ledger.write(f"{self.lines} {line}\n")

    def write(self, name: str) -> None:
        """Write a file as the search does: after the ledger, by renaming."""
        with replacing(self.folder / name) as path:
            path.write_text(f"{self.lines}")


def held(s3: S3) -> dict[str, bytes]:
    """Return what the mirror holds, without its manifest."""
    found = {key.removeprefix(PREFIX): data for key, data in s3.objects().items()}
    found.pop(MANIFEST_FILE, None)
    return found


def told(s3: S3) -> set[str]:
    """Return what the mirror's manifest tells of: it is put last."""
    document = json.loads(s3.objects().get(PREFIX + MANIFEST_FILE, b'{"files": {}}'))
    return set(document["files"])


def local(folder: Path) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in files_of(folder).items()}


def assert_goes_on(files: dict[str, bytes]) -> None:
    """Hold what a mirror has to what `--resume` holds it to: no file may say that the ledger was longer."""
    lines = files.get("ledger.jsonl", b"").count(b"\n")
    for name, data in files.items():
        assert name == "ledger.jsonl" or int(data) <= lines, (
            f"{name} was written after line {int(data)} of {lines}"
        )


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + HANGS_AFTER_S
    while not condition():
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.01)


@contextmanager
def mirrored(
    folder: Path, said: list[str] | None = None, every_s: float = SOON_S, uri: str = URI
) -> Iterator[Mirror]:
    heard: list[str] = [] if said is None else said
    with Mirror(folder, uri, heard.append, every_s=every_s) as mirror:
        mirror.patience_s = HANGS_AFTER_S
        yield mirror


@pytest.fixture
def search(tmp_path: Path) -> Search:
    return Search(tmp_path / "copy")


def test_what_there_is_at_the_end_is_mirrored_and_the_manifest_tells_of_it(s3: S3, search: Search) -> None:
    with mirrored(search.folder, every_s=HANGS_AFTER_S) as mirror:
        search.grow()
        search.write("search.json")
        search.write("best/config.json")
        (search.folder / ".lock").touch()
        (search.folder / ".ray").mkdir()
        (search.folder / ".ray/x").touch()
        (search.folder / "best/.model.x.part").touch()
        (search.folder / "link").symlink_to(search.folder / "search.json")
    assert mirror.left == ""
    assert held(s3) == local(search.folder)
    assert set(held(s3)) == {"ledger.jsonl", "search.json", "best/config.json"}
    manifest = manifest_at(Store(URI))
    assert manifest is not None
    assert set(manifest.files) == set(held(s3))
    assert manifest.files["search.json"][0] == 1


def test_what_changes_is_put_while_it_runs_and_what_does_not_is_not(s3: S3, search: Search) -> None:
    search.write("search.json")
    search.write("trials/00000/state.safetensors")
    with mirrored(search.folder):
        until(lambda: len(held(s3)) == 2)
        search.grow()
        search.write("search.json")
        # The manifest is put last: once it tells of all as it is, there is nothing more to do.
        now = {name: [len(data), digest_of(data)] for name, data in local(search.folder).items()}
        until(lambda: json.loads(s3.objects()[PREFIX + MANIFEST_FILE])["files"] == now)
        asked = len(s3.asked)
        time.sleep(5 * SOON_S)
        assert len(s3.asked) == asked, "nothing changed: nothing is asked"
        (search.folder / "trials/00000/state.safetensors").unlink()
        until(lambda: set(held(s3)) == {"search.json", "ledger.jsonl"})
    states = [path for method, path in s3.asked if method in ("PUT", "POST") and "state" in path]
    assert len(set(states)) == 1
    assert len(states) <= 3, "it was put once (an upload is begun, has a part, and is completed)"


def test_a_mirror_goes_on_where_an_earlier_process_ended_it(s3: S3, search: Search) -> None:
    with mirrored(search.folder):
        search.grow()
        search.write("search.json")
        search.write("old")
    (search.folder / "old").unlink()
    s3.asked.clear()
    with mirrored(search.folder):
        search.grow()
    assert held(s3) == local(search.folder)
    assert not [path for method, path in s3.asked if method in ("PUT", "POST") and "search.json" in path]
    manifest = manifest_at(Store(URI))
    assert manifest is not None
    assert manifest.generation == 2


def test_a_last_line_that_is_being_written_is_left_out(s3: S3, search: Search) -> None:
    with mirrored(search.folder):
        search.grow()
        with (search.folder / "ledger.jsonl").open("a") as ledger:
            ledger.write("2 half a li")
    assert held(s3)["ledger.jsonl"] == b"1 line\n"


def test_at_every_moment_the_mirror_can_be_gone_on_with(s3: S3, search: Search) -> None:
    # The length of the ledger is written into other files, and a shorter one is refused: with the states put first, or
    # with files opened after the ledger was read, this fails.
    def look(method: str, path: str) -> None:
        if not broken:
            try:
                assert_goes_on(held(s3))
            except AssertionError as error:
                broken.append(error)

    broken: list[AssertionError] = []
    over = threading.Event()

    def run() -> None:
        while not over.is_set():
            for number in range(3):
                search.grow()
                search.write(f"trials/{number:05d}/state.safetensors")
            search.write("search.json")
            search.write("best/metrics.json")

    s3.before = look
    writer = threading.Thread(target=run)
    with mirrored(search.folder):
        writer.start()
        until(
            lambda: b"".join(path.encode() for _, path in s3.asked).count(b"search.json") > 30 or bool(broken)
        )
        over.set()
        writer.join()
    assert not broken, broken[0]
    assert held(s3) == local(search.folder)


@pytest.mark.parametrize("puts", range(8))
def test_a_writer_that_dies_after_any_file_leaves_a_mirror_that_goes_on(
    puts: int, search: Search, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"file://{tmp_path}/there"
    names = ("trials/00000/state.safetensors", "best/config.json", "best/metrics.json", "search.json")

    def write() -> None:
        search.grow()
        for name in names:
            search.write(name)

    with mirrored(search.folder, uri=uri):
        write()
    first = local(search.folder)
    write()
    done = 0
    put = Store._put

    def dies(store: Store, name: str, act: Callable[[object], object]) -> None:
        nonlocal done
        done += 1
        if done > puts:
            raise StorageError("dead")
        put(store, name, act)

    monkeypatch.setattr(Store, "_put", dies)
    try:
        with Mirror(search.folder, uri, lambda _: None, every_s=HANGS_AFTER_S) as dying:
            dying.patience_s = 0.2
    except StorageError:
        assert puts == 0
    monkeypatch.undo()
    fetched = tmp_path / "fetched"
    settle(fetched, Store(uri), lambda _: None)
    files = local(fetched)
    assert_goes_on(files)
    best = {name: data for name, data in files.items() if name.startswith("best/")}
    whole = [{name: all_of[name] for name in names[1:3]} for all_of in (first, local(search.folder))]
    assert best in ({}, *whole), "a model is whole, or left out: half of it is of another search's end"
    # Whoever continues puts right what was left half done.
    with mirrored(fetched, uri=uri):
        pass
    manifest = manifest_at(Store(uri))
    assert manifest is not None
    assert set(manifest.files) == set(files)


def test_a_server_that_fails_is_said_once_and_caught_up_with(s3: S3, search: Search) -> None:
    said: list[str] = []
    with mirrored(search.folder, said) as mirror:
        search.grow()
        until(lambda: bool(held(s3)))
        s3.answer = (500, b"")
        search.grow()
        until(lambda: bool(said))
        search.write("search.json")
        asked = len(s3.asked)
        until(lambda: len(s3.asked) > asked + 3)
        s3.answer = None
        until(lambda: len(said) == 2)
    assert held(s3) == local(search.folder)
    assert mirror.left == ""
    assert said[0].startswith(
        f"Not mirrored for now: {URI} cannot be "
    )  # read or written, whatever it was at
    assert ": the server fails (" in said[0]
    assert said[0].endswith("The run continues, and is mirrored once that works.")
    assert said[1].startswith(f"Mirrored again at {URI}, after ")
    assert len(said) == 2


def test_a_server_that_is_gone_and_comes_back(s3: S3, search: Search) -> None:
    said: list[str] = []
    with mirrored(search.folder, said):
        search.grow()
        until(lambda: bool(held(s3)))
        s3.stop()
        search.grow()
        until(lambda: bool(said))
        s3.start()
        until(lambda: len(said) == 2)
    assert held(s3) == local(search.folder)
    assert "nothing answers there" in said[0]


def test_a_slow_server_keeps_nobody_waiting(s3: S3, search: Search) -> None:
    with mirrored(search.folder):
        s3.delay_s = 0.3
        started = time.monotonic()
        for _ in range(20):
            search.grow()
            search.write("search.json")
        assert time.monotonic() - started < HANGS_AFTER_S
        s3.delay_s = 0.0
    assert held(s3) == local(search.folder)


def test_the_end_waits_so_long_and_says_what_is_left(s3: S3, search: Search) -> None:
    said: list[str] = []
    with mirrored(search.folder, said) as mirror:
        search.grow()
        until(lambda: bool(held(s3)))
        s3.answer = (503, b"")
        search.grow()
        search.write("search.json")
        mirror.patience_s = 0.5
    assert mirror.left.startswith(f"{URI}: 2 files are not mirrored (")
    assert mirror.left.endswith(f"; all is in {search.folder}")
    s3.answer = None
    until(lambda: held(s3) == local(search.folder))  # a process that lives on catches up
    with mirrored(search.folder) as again:
        pass
    assert again.left == ""


def test_where_the_end_was_put_a_second_end_changes_nothing(s3: S3, search: Search) -> None:
    with mirrored(search.folder) as mirror:
        search.grow()
        mirror.finish(HANGS_AFTER_S)
        s3.answer = (500, b"")
    assert mirror.left == ""


def test_a_place_that_holds_something_is_refused_where_nothing_goes_on(s3: S3, search: Search) -> None:
    Store(URI).put("theirs", b"")
    with pytest.raises(ResultsError) as caught, mirrored(search.folder):
        pytest.fail("it holds something")
    assert str(caught.value) == (
        f"{URI} is not empty; pass --resume to resume what is there, or choose another --out"
    )
    assert set(s3.objects()) == {PREFIX + "theirs"}


def test_a_place_that_cannot_be_written_is_refused_at_once(s3: S3, search: Search) -> None:
    def refuse(method: str, path: str) -> None:
        s3.answer = None if method == "GET" else (403, b"")

    s3.before = refuse
    with (
        pytest.raises(StorageError, match="cannot be written: the credentials are refused"),
        mirrored(search.folder),
    ):
        pytest.fail("only reading is allowed")


def test_a_run_that_was_refused_before_it_wrote_anything_leaves_nothing(s3: S3, search: Search) -> None:
    with mirrored(search.folder):
        assert set(s3.objects()) == {PREFIX + MANIFEST_FILE}
    assert s3.objects() == {}
    assert list(search.folder.iterdir()) == []


def test_of_two_writers_the_first_one_stops_mirroring_and_goes_on_alone(
    s3: S3, search: Search, tmp_path: Path
) -> None:
    # The head was cut off, taken for dead, and replaced: its mirror must not overwrite what its heir puts.
    said: list[str] = []
    with mirrored(search.folder, said) as first:
        search.grow()
        search.write("search.json")
        until(lambda: told(s3) == set(local(search.folder)))
        heir = Search(tmp_path / "heir")
        settle(heir.folder, Store(URI), lambda _: None)
        heir.lines = 1
        with mirrored(heir.folder):
            heir.grow("of the heir")
            search.grow("of the first")
            until(lambda: bool(said))
        assert held(s3) == local(heir.folder)
        search.grow("another")
    assert held(s3) == local(heir.folder)
    assert said[0].startswith(f"No longer mirrored at {URI}: process ")
    assert said[0].endswith(f"This run continues in {search.folder} alone; end one of them.")
    assert "writes there since" in first.left
    # And what the first one has found is never mixed with it.
    with pytest.raises(ResultsError, match="have diverged, each has what the other lacks"):
        settle(search.folder, Store(URI), lambda _: None)


@pytest.mark.parametrize("grows", [True, False])
def test_what_a_first_writer_puts_late_is_put_right(
    s3: S3, search: Search, tmp_path: Path, grows: bool
) -> None:
    # It was in the middle of putting when its heir claimed the mirror.
    with mirrored(search.folder):
        search.grow()
        search.write("search.json")
    late = s3.objects()[PREFIX + MANIFEST_FILE]
    heir = Search(tmp_path / "heir")
    settle(heir.folder, Store(URI), lambda _: None)
    heir.lines = 1
    with mirrored(heir.folder):
        heir.grow()
        heir.write("late")
        until(lambda: "late" in told(s3))
        store = Store(URI)
        store.put("search.json", b"0")
        store.put(MANIFEST_FILE, late)
        if grows:
            heir.grow()
            until(lambda: held(s3) == local(heir.folder))
    assert held(s3) == local(heir.folder)
    assert json.loads(s3.objects()[PREFIX + MANIFEST_FILE])["generation"] == 2


def test_a_working_copy_that_is_removed_under_a_run_takes_nothing_along(s3: S3, search: Search) -> None:
    said: list[str] = []
    with mirrored(search.folder, said) as mirror:
        search.grow()
        search.write("search.json")
        until(lambda: len(told(s3)) == 2)
        search.folder.rename(search.folder.with_name("elsewhere"))
        until(lambda: bool(said))
        mirror.patience_s = 0.1
    assert "was removed; its mirror stays as it is" in said[0]
    assert len(held(s3)) == 2


def test_a_ledger_is_never_removed_from_a_mirror(s3: S3, search: Search) -> None:
    with mirrored(search.folder):
        search.grow()
        search.write("search.json")
        search.write("other")
        until(lambda: len(told(s3)) == 3)
        (search.folder / "ledger.jsonl").unlink()
        (search.folder / "other").unlink()
        until(lambda: "other" not in held(s3))
    assert set(held(s3)) == {"ledger.jsonl", "search.json"}


def test_many_files_are_held_open_only_so_many_at_once(
    s3: S3, search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 2)
    with mirrored(search.folder):
        search.grow()
        for number in range(5):
            write_text(search.folder / f"{number}", f"{search.lines}")
    assert held(s3) == local(search.folder)
    assert (search.folder / AGREED_FILE).exists()
