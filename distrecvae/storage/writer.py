"""The writing of a mirror: claims it for one process, and puts what changed, fit to continue from at every moment.

A mirror is put file by file, and its writer may die after any of them. Two things make every such moment one that a
search can be resumed from:

- *Ledgers go first.* `search.json`, a model's metrics and the trials' states say how long the ledger was when they were
  written, and a ledger that is shorter is refused. So the other files are opened, then the ledger is read and put, then
  they are put: what was opened before is never ahead of it. (Files come into being by renaming: an open one stays as it
  is.) A ledger that is ahead of the rest costs nothing: it is the truth, and the rest is made again from it.
- *`mirror.json` goes last.* It has each file's size and digest. So whoever fetches a model knows whether all of its
  files are of one, and who resumes a search tells a folder that is half new from a whole one.
"""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from distrecvae.errors import ResultsError, StorageError
from distrecvae.layout import COMPARISON_FILE, LEDGER_FILE, RUN_FILE, SEARCH_FILE
from distrecvae.storage.manifest import MANIFEST_FILE, Manifest, manifest_at
from distrecvae.storage.store import Store, file_entry
from distrecvae.storage.working_copy import (
    AGREED_FILE,
    agreed,
    files_of,
    is_agreed,
    look,
    whole_lines,
    write_agreed,
)

AT_ONCE = 64
"""Files that are held open together."""

_LAST = (RUN_FILE, SEARCH_FILE, COMPARISON_FILE)
_Seen = tuple[int, int, int]


class Writer:
    """The one process that writes a mirror; made, it has claimed it.

    Args:
        folder: what is mirrored; held, and brought together with the mirror (`working_copy.settle`).
        uri: where.

    Attributes:
        taken_by: the process that has claimed the mirror since, in words; empty while there is none.

    Raises:
        StorageError: the URI cannot be written.
        ResultsError: it holds something else.
    """

    def __init__(self, folder: Path, uri: str) -> None:
        self.folder, self.uri, self.taken_by = folder, uri, ""
        self._seen: dict[str, _Seen] = {}
        self._store = Store(self.uri)
        remote, last = look(self._store), agreed(self.folder)
        there = remote.manifest
        if remote.sizes and not files_of(self.folder):
            raise ResultsError(
                f"{self.uri} is not empty; pass --resume to resume what is there, or choose another --out"
            )
        if remote.sizes and there is not None and not is_agreed(last, there):
            raise ResultsError(
                f"{self.uri} was written by process {there.pid} on {there.host} at {there.at}, and not from the working"
                f" copy {self.folder}; wait for its end, then continue with --resume"
            )
        # What another writer left half done may be newer than its manifest says: `settle` has left out the files then.
        held = dict(there.files) if there is not None and last is not None and last.files else {}
        self._held = {name: held.get(name, (size, "")) for name, size in remote.sizes.items()}
        writer = uuid.uuid4().hex
        self._manifest = (
            Manifest(generation=1, writer=writer) if there is None else there.by(writer, there.generation + 1)
        )
        write_agreed(self.folder, self._manifest)
        try:
            self._store.put(MANIFEST_FILE, self._manifest.text().encode())
        except StorageError:
            if last is None:
                (self.folder / AGREED_FILE).unlink()
            raise

    def put_changes(self, *, anyway: bool = False) -> None:
        """Put what changed since the last time; nothing is asked of the store where nothing did, unless `anyway`.

        At the end it is: a process from before may have put something late, over what this one put.

        Raises:
            StorageError: the store fails.
            OSError: a file cannot be read.
            ResultsError: the folder is gone.
        """
        if not (self.folder / AGREED_FILE).exists() or (self._held and not files_of(self.folder)):
            raise ResultsError(f"the working copy {self.folder} was removed; its mirror stays as it is")
        if not (self._changed() or self._gone() or anyway):
            return
        if not self._is_ours():
            return
        changed = self._changed()
        ledgers = [name for name in changed if _last_part(name) == LEDGER_FILE]
        rest = sorted(set(changed) - set(ledgers), key=lambda name: (_last_part(name) in _LAST, name))
        for names in (rest[start : start + AT_ONCE] for start in range(0, len(rest), AT_ONCE)):
            self._put_together(names)
        self._put_together(())
        for name in self._gone():
            self._store.delete(name)
            self._held.pop(name, None)
            self._seen.pop(name, None)
        manifest = self._manifest.next(self._held)
        write_agreed(self.folder, manifest)
        self._store.put(MANIFEST_FILE, manifest.text().encode())
        self._manifest = manifest

    def _is_ours(self) -> bool:
        """Tell whether the mirror has not been claimed since; forget what is held if an earlier owner put anything."""
        there = manifest_at(self._store)
        if there is None or there.writer == self._manifest.writer:
            return True
        if there.generation < self._manifest.generation:
            self._held = {name: (size, "") for name, (size, _) in self._held.items()}
            self._seen.clear()
            return True
        self.taken_by = f"process {there.pid} on {there.host} writes there since {there.at}"
        return False

    def behind(self) -> int:
        """Return how many files may differ from what is there."""
        return len(self._changed())

    def leave_nothing(self) -> None:
        """Take back the claim of a run that wrote nothing, where that is so."""
        if self._held or files_of(self.folder):
            return
        try:
            self._store.delete(MANIFEST_FILE)
        except StorageError:
            return
        (self.folder / AGREED_FILE).unlink(missing_ok=True)

    def _gone(self) -> list[str]:
        """Return the files that are held and no longer here; a ledger never goes."""
        there = files_of(self.folder)
        return [name for name in self._held if name not in there and _last_part(name) != LEDGER_FILE]

    def _changed(self) -> dict[str, Path]:
        """Return the files that may differ from what is held, by what the file system says of them."""
        changed = {}
        for name, path in files_of(self.folder).items():
            try:
                if self._seen.get(name) != _seen(path):
                    changed[name] = path
            except FileNotFoundError:
                continue  # it was replaced or removed meanwhile: the next look finds that
        return changed

    def _put_together(self, names: Sequence[str]) -> None:
        """Put these files as they are now, and before them the ledgers, as long as those are by then or longer."""
        with ExitStack() as opened:
            files = [(name, *found) for name in names for found in self._opened(name, opened)]
            for name in files_of(self.folder):
                if _last_part(name) == LEDGER_FILE:
                    self._put_ledger(name)
            for name, file, seen in files:
                size = seen[1]
                held = self._held.get(name)
                if held is None or held[0] != size or file_entry(file, size) != held:
                    self._held[name] = self._store.put_file(name, file, size)
                self._seen[name] = seen

    def _opened(self, name: str, held: ExitStack) -> Iterator[tuple[BinaryIO, _Seen]]:
        path = self.folder / name
        try:
            seen = _seen(path)
            yield held.enter_context(path.open("rb")), seen
        except FileNotFoundError:
            return

    def _put_ledger(self, name: str) -> None:
        path = self.folder / name
        seen = _seen(path)
        if self._seen.get(name) == seen:
            return
        data = whole_lines(path.read_bytes())
        if self._held.get(name) != file_entry(io.BytesIO(data)):
            self._held[name] = self._store.put(name, data)
        self._seen[name] = seen


def _seen(path: Path) -> _Seen:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _last_part(name: str) -> str:
    return name.rpartition("/")[2]
