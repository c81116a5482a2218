"""Files come into being whole: whatever fails between, the old content stands and nothing lies beside it."""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from distrecvae import files
from distrecvae.errors import ResultsError
from distrecvae.files import (
    claimed,
    exclusive,
    held,
    new_folder,
    remove_leftovers,
    replacing,
    size_bytes,
    storage_error,
    write_json,
    write_text,
)
from tests import ROOT


@pytest.fixture
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_reader_sees_the_old_content_until_all_is_written(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    with replacing(path) as temporary:
        # Beside its place: a rename to another file system would be a copy.
        assert temporary.parent == path.parent
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(tmp_path) == ["a.json"]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(1)])
def test_a_failed_write_leaves_the_old_content_and_nothing_beside(
    error: BaseException, tmp_path: Path
) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    with pytest.raises(type(error)), replacing(path) as temporary:  # noqa: PT012  (the error is raised in its midst)
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.json"]


def test_content_is_on_the_disk_before_the_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Renamed first, a power cut leaves the new name with no content.
    path, synced = tmp_path / "a.json", []
    path.write_text("old")
    fsync = os.fsync

    def noting(handle: int) -> None:
        synced.append((os.fstat(handle).st_ino, path.read_text()))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", noting)
    write_text(path, "new")
    assert synced == [(path.stat().st_ino, "old")]


def test_a_disk_that_cannot_sync_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "a.json"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.json"]


def test_missing_folders_are_made(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b" / "c.txt", "x")
    with new_folder(tmp_path / "d" / "e" / "f") as folder:
        (folder / "g").touch()
    assert (tmp_path / "a/b/c.txt").read_text() == "x"
    assert (tmp_path / "d/e/f/g").exists()


def test_others_may_read_what_is_written_as_far_as_the_umask_lets_them(
    tmp_path: Path, usual_umask: None
) -> None:
    # A temporary file is its owner's alone; under its last name it is a file like any other.
    write_text(tmp_path / "a", "x")
    with new_folder(tmp_path / "b"):
        pass
    assert (mode(tmp_path / "a"), mode(tmp_path / "b")) == (0o644, 0o755)
    os.umask(0o077)
    write_text(tmp_path / "a", "y")
    with new_folder(tmp_path / "c"):
        pass
    assert (mode(tmp_path / "a"), mode(tmp_path / "c")) == (0o600, 0o700)
    assert os.umask(0o077) == 0o077, "to look at the umask is not to change it"


def test_text_is_utf_8_and_json_is_indented_and_readable(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "é ∞\n")
    assert (tmp_path / "a").read_bytes() == "é ∞\n".encode()
    value = {"name": "é", "list": [1, None, 0.1]}
    write_json(tmp_path / "b", value)
    text = (tmp_path / "b").read_bytes().decode()
    assert json.loads(text) == value
    assert '\n  "name": "é",\n' in text
    assert text.endswith("}\n")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}])
def test_what_is_not_json_is_refused_and_the_old_file_stands(value: object, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"x": 1})
    with pytest.raises((ValueError, TypeError)):
        write_json(path, {"x": value})
    assert json.loads(path.read_text()) == {"x": 1}
    assert names(tmp_path) == ["a.json"]


def test_a_folder_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "data"
    with new_folder(path) as temporary:
        assert temporary.parent == path.parent
        assert names(temporary) == []
        (temporary / "a").touch()
        (temporary / "b").touch()
        assert not path.exists()
    assert names(path) == ["a", "b"]
    assert names(tmp_path) == ["data"]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_a_folder_that_fails_never_appears(error: BaseException, tmp_path: Path) -> None:
    with pytest.raises(type(error)), new_folder(tmp_path / "data") as temporary:  # noqa: PT012  (as above)
        (temporary / "below").mkdir()
        (temporary / "below" / "a").touch()
        raise error
    assert names(tmp_path) == []


def test_an_empty_folder_may_be_filled(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with new_folder(tmp_path / "data") as temporary:
        (temporary / "a").touch()
    assert names(tmp_path / "data") == ["a"]


@pytest.mark.parametrize("what", ["a file", "a full folder"])
def test_what_exists_is_never_overwritten(what: str, tmp_path: Path) -> None:
    path = tmp_path / "data"
    if what == "a file":
        path.write_text("mine")
    else:
        (path / "mine").mkdir(parents=True)
    with pytest.raises(ResultsError) as refused, new_folder(path):
        pytest.fail("nothing may be begun")
    assert str(refused.value) == (
        f"{path} already exists; an existing folder is never overwritten: remove it or choose another"
    )
    assert names(tmp_path) == ["data"]
    assert path.read_text() == "mine" if what == "a file" else names(path) == ["mine"]


def test_a_folder_is_held_made_where_missing_and_given_back(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "out"
    for _ in range(2):
        with exclusive(folder):
            assert (folder / ".lock").read_text() == f"{os.getpid()}\n"
    assert names(folder) == [".lock"]


def test_a_folder_is_given_back_when_the_work_fails(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no"), exclusive(tmp_path):
        raise ValueError("no")
    with exclusive(tmp_path):
        pass


def test_a_held_folder_is_refused_with_its_holder_also_within_one_process(tmp_path: Path) -> None:
    with exclusive(tmp_path):
        for _ in range(2):  # the refused one must not wipe out who holds it
            with pytest.raises(ResultsError) as refused, exclusive(tmp_path):
                pytest.fail("it is held")
            assert str(refused.value) == (
                f"{tmp_path} is in use by another run (process {os.getpid()});"
                " wait for it or choose another folder"
            )


def test_the_holder_before_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("99999999\n")
    with exclusive(tmp_path):
        assert (tmp_path / ".lock").read_text() == f"{os.getpid()}\n"


def test_a_holder_that_has_not_signed_yet_is_unknown(tmp_path: Path) -> None:
    with exclusive(tmp_path):
        (tmp_path / ".lock").write_text("")
        with pytest.raises(ResultsError, match=r"\(process unknown\)"), exclusive(tmp_path):
            pytest.fail("it is held")


def test_a_file_cannot_be_held(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(ResultsError) as refused, exclusive(tmp_path / "out"):
        pytest.fail("it is a file")
    assert str(refused.value) == f"{tmp_path / 'out'} is a file; the output must be a folder: choose another"


def test_a_lock_goes_with_its_process(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from distrecvae.files import exclusive\n" + (
        "with exclusive(Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ResultsError, match=f"process {holder.pid}"), exclusive(tmp_path):
            pytest.fail("it is held")
    finally:
        holder.kill()
        holder.communicate()  # the kernel has closed its files before a parent hears of the end
    with exclusive(tmp_path):
        pass


def test_leftovers_of_killed_writers_go_and_nothing_else_does(tmp_path: Path) -> None:
    # What replacing and new_folder have under way at this moment is what a SIGKILL would leave.
    folder = tmp_path / "out"
    with replacing(folder / "a.json") as file, new_folder(folder / "best") as best:
        file.write_text("half")
        (best / "deep").mkdir()
        killed = [(path.name, path.is_dir()) for path in (file, best)]
    for name, was_folder in killed:
        if was_folder:
            (folder / name / "deep").mkdir(parents=True)
        else:
            (folder / name).touch()
    kept = [".lock", "a.json", "best", "mine.part", ".hidden"]
    for name in kept:
        if name != "best":
            (folder / name).touch()
    (folder / "best" / ".deeper.part").touch()  # another writer's folder
    remove_leftovers(folder)
    assert names(folder) == sorted(kept)
    assert names(folder / "best") == [".deeper.part", "deep"]
    remove_leftovers(folder)  # nothing is left to do
    assert names(folder) == sorted(kept)


KILLED = """
import os, signal, sys
from pathlib import Path
from distrecvae.files import new_folder, replacing
with replacing(Path("table.csv")) as file, new_folder(Path("data")) as folder:
    file.write_text("half")
    (folder / "half").touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_command_left_goes_with_the_next_one_that_writes_there(
    tmp_path: Path,
) -> None:
    # `prepare` that is killed leaves a `.mine.x.part` of gigabytes beside data/mine, for ever.
    for _ in range(2):
        killed = subprocess.run(
            [sys.executable, "-c", KILLED],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            check=False,
        )
        assert killed.returncode == -signal.SIGKILL
    left = names(tmp_path)
    assert [name.split(".")[1] for name in left] == ["data", "table"], (
        "the second one removed the first one's"
    )
    (tmp_path / ".data.notes").touch()
    with replacing(tmp_path / "table.csv") as file, new_folder(tmp_path / "data"):
        file.write_text("whole")
    assert names(tmp_path) == [".data.notes", "data", "table.csv"]


def test_what_another_process_is_writing_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with replacing(tmp_path / "table.csv") as theirs, new_folder(tmp_path / "data") as other:
        theirs.write_text("theirs")
        monkeypatch.setattr(files, "_looked_beside", set())  # as a process that begins now
        with replacing(tmp_path / "table.csv") as file:
            file.write_text("ours")
        with new_folder(tmp_path / "data") as folder:
            (folder / "ours").touch()
        assert theirs.exists()
        assert other.exists()
        (folder.parent / "data" / "ours").unlink()


def test_a_full_disk_names_the_file_that_was_to_be_written(tmp_path: Path) -> None:
    # `error: output: the disk is full` named none.
    for error in (OSError(errno.ENOSPC, "full"), OSError(errno.ENOSPC, "full", ".a.json.x.part")):
        with pytest.raises(OSError, match="full") as caught, replacing(tmp_path / "a.json"):
            raise error
        assert caught.value.filename == str(tmp_path / "a.json")
    with pytest.raises(FileNotFoundError) as caught_, replacing(tmp_path / "a.json"):
        (tmp_path / "input.csv").read_text()
    assert caught_.value.filename == str(tmp_path / "input.csv"), "what is read has its own name"


def test_a_storage_error_says_the_reason_what_is_safe_and_the_command_that_goes_on() -> None:
    error = storage_error(
        OSError(errno.ENOSPC, "No space left on device"), Path("out"), "distrecvae --resume"
    )
    assert isinstance(error, ResultsError)
    assert str(error) == (
        "out cannot be written (No space left on device); what was reported before is safe:"
        " check the storage, then continue with: distrecvae --resume"
    )


def test_a_storage_error_without_a_number_says_its_text() -> None:
    assert "(the mount is gone)" in str(storage_error(OSError("the mount is gone"), Path("out"), "x"))


def fail_in(folder: Path, *, writes: bool = False, beside: Path | None = None) -> None:
    def failing() -> None:
        with claimed(folder):
            if writes:
                (folder / "results").touch()
            if beside is not None:
                beside.mkdir()
            raise KeyError

    with pytest.raises(KeyError):
        failing()


def test_a_claim_that_fails_leaves_nothing_that_was_not_there(tmp_path: Path) -> None:
    fail_in(tmp_path / "runs" / "mine")
    assert list(tmp_path.iterdir()) == []


def test_a_claim_that_fails_keeps_what_was_there_or_has_come(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for folder in (tmp_path / "there", tmp_path / "new"):
        fail_in(folder, writes=True)
        assert names(folder) == [".lock", "results"], "whoever resumes it may wait for the lock by now"
    (tmp_path / "empty").mkdir()
    fail_in(tmp_path / "empty")
    assert (tmp_path / "empty").is_dir(), "somebody made it"


def test_a_claim_that_fails_tells_its_own_error_where_others_have_come_beside_it(tmp_path: Path) -> None:
    fail_in(tmp_path / "runs" / "mine", beside=tmp_path / "runs" / "other")
    assert names(tmp_path / "runs") == ["other"]


def test_a_claim_that_succeeds_stays_and_another_is_refused_meanwhile(tmp_path: Path) -> None:
    with claimed(tmp_path / "mine"), pytest.raises(ResultsError, match="in use"), claimed(tmp_path / "mine"):
        pytest.fail("it is held")
    assert (tmp_path / "mine" / ".lock").exists()


def test_who_holds_a_folder_can_be_asked_without_holding_it(tmp_path: Path) -> None:
    assert not held(tmp_path)
    assert list(tmp_path.iterdir()) == [], "nothing is made by asking"
    with exclusive(tmp_path):
        assert held(tmp_path)
        assert held(tmp_path), "asking gives nothing back"
    assert not held(tmp_path)
    with exclusive(tmp_path):
        pass


def test_a_folder_that_is_just_asked_after_is_not_refused(tmp_path: Path) -> None:
    # Asking takes the lock for a moment; a search that begins at that moment was told that another one runs.
    import fcntl
    import threading

    with exclusive(tmp_path):
        pass
    with (tmp_path / ".lock").open("rb") as asking:
        fcntl.flock(asking, fcntl.LOCK_SH)
        timer = threading.Timer(0.06, lambda: fcntl.flock(asking, fcntl.LOCK_UN))
        timer.start()
        with exclusive(tmp_path):
            pass
        timer.join()


def test_a_size_is_that_of_all_files_below_links_not_counted(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a").write_bytes(b"x" * 10)
    (tmp_path / "b").write_bytes(b"x" * 5)
    (tmp_path / "link").symlink_to(tmp_path / "b")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert size_bytes(tmp_path) == 15
    assert size_bytes(tmp_path / "b") == 5
    assert size_bytes(tmp_path / "none") == 0
