"""Writes files beside their place, syncs and renames them, so that none is ever half there.

A reader sees the old content or the new one, whatever is killed when. Folders are built beside their place
too and renamed as the last step, so a dataset or a model folder that exists is complete.
"""

from __future__ import annotations

import errno
import fcntl
import glob
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from distrecvae.errors import ResultsError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on a clean exit sync and rename it to `path`, else remove it.

    What a killed process left of an earlier try is removed first. An error of the storage names `path`.
    """
    with _naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_left_of(path)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        temporary = Path(name)
        try:
            _hold(handle)
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.chmod(0o644 & ~_umask())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        finally:
            os.close(handle)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path`; on a clean exit rename it to `path`, else remove it.

    `path` must not exist, or be an empty folder. What a killed process left of an earlier try is removed first.

    Raises:
        ResultsError: `path` exists and is not an empty folder.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise ResultsError(
            f"{path} already exists; an existing folder is never overwritten: remove it or choose another"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_left_of(path)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part"))
    handle = os.open(temporary, os.O_RDONLY)
    try:
        _hold(handle)
        yield temporary
        temporary.chmod(0o755 & ~_umask())
        temporary.replace(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    finally:
        os.close(handle)


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold `folder` for this process: made if missing, given back on exit, by a crash or a SIGKILL too.

    The lock is the kernel's on ``folder/.lock``, so nothing is left to clean up; the file itself stays.

    Raises:
        ResultsError: another process (or another holder in this one) works in `folder`, or it is not a
            folder.
    """
    if folder.exists() and not folder.is_dir():
        raise ResultsError(f"{folder} is a file; the output must be a folder: choose another")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a+", encoding="utf-8") as lock:
        if not _locked(lock.fileno()):
            lock.seek(0)
            owner = lock.read().strip() or "unknown"
            raise ResultsError(
                f"{folder} is in use by another run (process {owner}); wait for it or choose another folder"
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def held(folder: Path) -> bool:
    """Tell whether some process holds `folder` as `exclusive` does; nothing is written."""
    try:
        with (folder / ".lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError as error:
        return error.errno in _LOCKED
    return False  # closing the file gave it back


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Hold `folder` as `exclusive` does; on an error, what was made for it is gone again if it got nothing.

    Raises:
        ResultsError: as `exclusive`.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    with exclusive(folder):
        try:
            yield
        except BaseException:
            # Still held: whoever has the lock's file open by now is refused, not let in by a file that is gone.
            if [path.name for path in folder.iterdir()] == [".lock"]:
                (folder / ".lock").unlink()
                with suppress(OSError):
                    for path in made:
                        path.rmdir()
            raise


def write_text(path: Path, text: str) -> None:
    """Write `text` (UTF-8) to `path` by `replacing`."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON to `path` by `replacing`; NaN is refused (it is not JSON)."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def size_bytes(path: Path) -> int:
    """Return what a file, or all files below a folder, take by their lengths; links and what has gone count nothing."""
    try:
        if path.is_symlink():
            return 0
        if path.is_file():
            return path.stat().st_size
        return sum(size_bytes(each) for each in path.iterdir())
    except OSError:
        return 0


def remove_leftovers(folder: Path) -> None:
    """Remove what writers that were killed left in `folder`: no one else may be writing there.

    A process that dies inside `replacing` or `new_folder` cannot take its temporary file along.
    """
    for path in folder.glob(".*.part"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def storage_error(error: OSError, folder: Path, go_on: str) -> ResultsError:
    """Return the error to raise where writing into a results folder failed, with the command that resumes the run."""
    return ResultsError(
        f"{error.filename or folder} cannot be written ({error.strerror or error}); what was reported before is safe:"
        f" check the storage, then continue with: {go_on}"
    )


_LOCKED = (errno.EWOULDBLOCK, errno.EACCES)
_LOOKS, _LOOK_S = 4, 0.05
"""`held` takes the lock for a moment: one that is taken is tried again."""


def _locked(handle: int) -> bool:
    """Take the kernel's lock on an open file; return False where another holder has it."""
    for look in range(_LOOKS):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _LOCKED:
                raise
            if look < _LOOKS - 1:
                time.sleep(_LOOK_S)
        else:
            return True
    return False


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Let an error of the storage say which file it is about: a full disk is often met where no name is known."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and (error.filename is None or str(error.filename).endswith(".part")):
            error.filename = str(path)
        raise


def _hold(handle: int) -> None:
    """Mark an open temporary file or folder as being written; where storage knows no locks nothing marks it."""
    with suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _remove_left_of(path: Path) -> None:
    """Remove what killed processes left of earlier tries to write `path`; looked for once a process."""
    if path in _looked_beside:
        return
    _looked_beside.add(path)
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        with suppress(OSError):
            handle = os.open(left, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if left.is_dir():
                    shutil.rmtree(left, ignore_errors=True)
                else:
                    left.unlink()
            finally:
                os.close(handle)


_looked_beside: set[Path] = set()


_asking = threading.Lock()


def _umask() -> int:
    # To ask for it is to change it: two threads at once would leave it at 0.
    with _asking:
        mask = os.umask(0)
        os.umask(mask)
    return mask
