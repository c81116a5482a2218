"""Keeps a copy of a growing results folder at a URI: what changed, in an order that leaves it fit to go on from.

A mirror is put file by file, and its writer may die after any of them. Two things make every such moment one that a
search can be resumed from:

- *Ledgers go first.* `search.json`, a model's metrics and the trials' states say how long the ledger was when they were
  written, and a ledger that is shorter is refused. So the other files are opened, then the ledger is read and put, then
  they are put: what was opened before is never ahead of it. (Files come into being by renaming: an open one stays as it
  is.) A ledger that is ahead of the rest costs nothing: it is the truth, and the rest is made again from it.
- *`mirror.json` goes last.* It has each file's size and digest. So whoever fetches a model knows whether all of its
  files are of one, and who goes on with a search tells a folder that is half new from a whole one.

A store that fails, is slow or is gone never stops the run: it is said once, tried again at growing intervals, and said
once when it works again.
"""

from __future__ import annotations

import io
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from distrecvae.errors import ResultsError, StorageError
from distrecvae.layout import COMPARISON_FILE, LEDGER_FILE, RUN_FILE, SEARCH_FILE
from distrecvae.storage.manifest import MANIFEST_FILE, Manifest, manifest_at
from distrecvae.storage.store import Entry, Store, file_entry
from distrecvae.storage.working_copy import (
    AGREED_FILE,
    agreed,
    files_of,
    is_agreed,
    look,
    whole_lines,
    write_agreed,
)
from distrecvae.words import counted, duration, one_line

EVERY_S = 15.0
"""How often what changed is put, at most; what takes long is put less often, so that half of the time nothing is."""

MOST_PAUSE_S = 120.0
"""Between two attempts while the store fails; the first comes after `EVERY_S`, then twice as late each time."""

LAST_S = 120.0
"""How long a run that is over waits for its last files to be put."""

INTERRUPTED_S = 15.0
"""The same where it was interrupted or failed: who sent the signal waits, and kills after half a minute as a rule."""

AT_ONCE = 64
"""Files that are held open together."""

_LAST = (RUN_FILE, SEARCH_FILE, COMPARISON_FILE)
_Seen = tuple[int, int, int]


class Mirror:
    """Mirrors a folder at a URI from its entry as a context to its end; then the last changes are put, in bounded time.

    Entering it claims the URI for this process: what another process puts afterwards makes that one, or this one, stop
    mirroring, whichever came first. The folder has to be held (`files.exclusive`).

    Args:
        folder: the working copy; brought together with what lies at the URI (`working_copy.settle`).
        uri: where the copy lies.
        say: is told when the store fails, and when it works again.
        every_s: seconds between two looks at what changed.

    Attributes:
        uri: as given.
        folder: as given.
        patience_s: how long the end waits for the last files.
        left: after the end, what is not mirrored and why, in a line; empty where all of it is.

    Raises:
        StorageError: on entry, the URI cannot be written.
        ResultsError: on entry, it holds something else.
    """

    def __init__(
        self, folder: Path, uri: str, say: Callable[[str], object], *, every_s: float = EVERY_S
    ) -> None:
        self.folder, self.uri = folder, uri.rstrip("/")
        self.patience_s = INTERRUPTED_S
        self.left = ""
        self._say, self._every_s = say, every_s
        self._held: dict[str, Entry] = {}
        self._seen: dict[str, _Seen] = {}
        self._trouble = ""
        self._failing_since: float | None = None
        self._taken_by = ""
        self._wake, self._closing, self._done = threading.Event(), threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"mirror to {self.uri}", daemon=True)

    def __enter__(self) -> Mirror:
        self._store = Store(self.uri)
        remote, last = look(self._store), agreed(self.folder)
        there = remote.manifest
        if remote.sizes and not files_of(self.folder):
            raise ResultsError(
                f"{self.uri} is not empty; pass --resume to go on with what is there, or choose another --out"
            )
        if remote.sizes and there is not None and not is_agreed(last, there):
            raise ResultsError(
                f"{self.uri} was written by process {there.pid} on {there.host} at {there.at}, and not from the working"
                f" copy {self.folder}; wait for its end, then go on with --resume"
            )
        # What another writer left half done may be newer than its manifest says: `settle` has left out the files then.
        held = dict(there.files) if there is not None and last is not None and last.files else {}
        self._held = {name: held.get(name, (size, "")) for name, size in remote.sizes.items()}
        writer = uuid.uuid4().hex
        self._manifest = (
            Manifest(generation=1, writer=writer) if there is None else there.by(writer, there.generation + 1)
        )
        write_agreed(self.folder, self._manifest)
        self._store.put(MANIFEST_FILE, self._manifest.text().encode())
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self.finish(self.patience_s)

    def finish(self, within_s: float) -> None:
        """Put what changed last, within this time; say, and leave in `left`, what could not be put."""
        self._closing.set()
        self._wake.set()
        if not self._done.wait(within_s):
            self._trouble = self._trouble or f"not done within {duration(within_s)}"
        if self._taken_by or self._trouble:
            behind = len(self._changed())
            what = counted(behind, "file is", "files are") if behind else "the end of it is"
            self.left = f"{self.uri}: {what} not mirrored ({self._taken_by or self._trouble}); all is in {self.folder}"
        elif not self._held and not files_of(self.folder):
            self._leave_nothing()

    def _leave_nothing(self) -> None:
        """Take back the claim of a run that was refused before it wrote anything."""
        try:
            self._store.delete(MANIFEST_FILE)
        except StorageError:
            return
        (self.folder / AGREED_FILE).unlink(missing_ok=True)

    def _run(self) -> None:
        pause_s = self._every_s
        while not self._taken_by:
            self._wake.wait(pause_s)
            closing, started = self._closing.is_set(), time.monotonic()
            try:
                self._sync()
                self._works()
                pause_s = max(self._every_s, time.monotonic() - started)
                if closing:
                    break
            except Exception as error:
                # Whatever it is, of the store or of a disk: a run is not ended for its copy.
                self._fails(error)
                pause_s = min(2 * pause_s, MOST_PAUSE_S)
                if self._closing.is_set():
                    time.sleep(min(1.0, self._every_s))
        self._done.set()

    def _fails(self, error: Exception) -> None:
        self._trouble = one_line(error)
        if self._failing_since is None:
            self._failing_since = time.monotonic()
            self._say(f"Not mirrored for now: {error}. The run goes on, and is mirrored once that works.")

    def _works(self) -> None:
        self._trouble = ""
        if self._failing_since is not None:
            self._say(
                f"Mirrored again at {self.uri}, after {duration(time.monotonic() - self._failing_since)}."
            )
            self._failing_since = None

    def _sync(self) -> None:
        """Put what changed since the last time."""
        if not (self._changed() or self._gone() or self._trouble):
            return
        if not (self.folder / AGREED_FILE).exists():
            raise ResultsError(f"the working copy {self.folder} was removed; its mirror stays as it is")
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
        """Tell whether nobody has claimed the mirror since; where one from before put anything, forget what is held."""
        there = manifest_at(self._store)
        if there is None or there.writer == self._manifest.writer:
            return True
        if there.generation < self._manifest.generation:
            self._held = {name: (size, "") for name, (size, _) in self._held.items()}
            self._seen.clear()
            return True
        self._taken_by = f"process {there.pid} on {there.host} writes there since {there.at}"
        self._say(
            f"No longer mirrored at {self.uri}: {self._taken_by}. This run goes on in {self.folder} alone; end one"
            " of them."
        )
        return False

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
