"""Keeps a copy of a growing results folder at a URI, in a thread of its own, while a run writes into the folder.

A store that fails, is slow or is gone never stops the run: it is said once, tried again at growing intervals, and said
once when it works again. How the copy stays fit to continue from, `writer.py` says.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from distrecvae.storage.store import Store
from distrecvae.storage.writer import Writer
from distrecvae.words import counted, duration, one_line

EVERY_S = 15.0
"""How often what changed is put, at most; what takes long is put less often, so that half of the time nothing is."""

MOST_PAUSE_S = 120.0
"""Between two attempts while the store fails; the first comes after `EVERY_S`, then twice as late each time."""

LAST_S = 120.0
"""How long a run that is over waits for its last files to be put."""

INTERRUPTED_S = 15.0
"""The same where it was interrupted or failed: who sent the signal waits, and kills after half a minute as a rule."""

SILENT_S = 2.0
"""How long the end may take without a word."""


class Mirror:
    """Mirrors a folder at a URI from its entry as a context to its end; then the last changes are put, in bounded time.

    Entering it claims the URI for this process: what another process puts afterwards makes that one, or this one, stop
    mirroring, whichever came first. The folder has to be held (`files.exclusive`).

    Args:
        folder: the working copy; brought together with what lies at the URI (`working_copy.settle`).
        uri: where the copy lies.
        say: is told when the store fails, and when it works again.
        every_s: seconds between two looks at what changed; None for `EVERY_S`.

    Attributes:
        uri: as given.
        folder: as given.
        patience_s: how long the end waits for the last files.
        catch_up: the command that resumes the search, and so puts what is left.
        left: after the end, what is not mirrored, why, and what to do, in a line; empty where all of it is.

    Raises:
        StorageError: on entry, the URI cannot be written.
        ResultsError: on entry, it holds something else.
    """

    def __init__(
        self, folder: Path, uri: str, say: Callable[[str], object], *, every_s: float | None = None
    ) -> None:
        self.folder, self.uri = folder, uri.rstrip("/")
        self.patience_s = INTERRUPTED_S
        self.catch_up = self.left = ""
        self._say, self._every_s = say, EVERY_S if every_s is None else every_s
        self._trouble = ""
        self._failing_since: float | None = None
        self._wake, self._closing, self._done = threading.Event(), threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"mirror to {self.uri}", daemon=True)

    def __enter__(self) -> Mirror:
        self._writer = Writer(self.folder, self.uri)
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self.finish(self.patience_s)
        if self.left and raised[0] is not None:
            self._say(self.left)

    def text(self) -> str:
        """Return where results go, in a line."""
        return (
            f"Results go to {self.uri}: written in the working copy {self.folder}, mirrored every"
            f" {duration(self._every_s)} and at the end."
        )

    def require_reachable(self) -> None:
        """Refuse a URI that cannot be read.

        Raises:
            StorageError: it cannot.
        """
        Store(self.uri).sizes()

    def finish(self, within_s: float) -> None:
        """Put what changed last, within this time; say, and leave in `left`, what could not be put."""
        self._closing.set()
        self._wake.set()
        if not self._done.wait(min(SILENT_S, within_s)):
            self._say(f"Putting the last files at {self.uri}; that may take {duration(within_s)} at most.")
        if not self._done.wait(within_s):
            self._trouble = self._trouble or f"not done within {duration(within_s)}"
        taken_by = self._writer.taken_by
        if taken_by or self._trouble:
            behind = self._writer.behind()
            what = counted(behind, "file is", "files are") if behind else "the end of it is"
            why = taken_by or self._trouble
            self.left = f"{self.uri}: {what} not mirrored ({why}); all is in {self.folder}"
            if self.catch_up and not taken_by:
                self.left += f"; to catch up: {self.catch_up}"
        else:
            self._writer.leave_nothing()

    def _run(self) -> None:
        pause_s = self._every_s
        while not self._writer.taken_by:
            self._wake.wait(pause_s)
            closing, started = self._closing.is_set(), time.monotonic()
            try:
                self._writer.put_changes(anyway=closing or bool(self._trouble))
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
        if self._writer.taken_by:
            self._tell(
                f"No longer mirrored at {self.uri}: {self._writer.taken_by}. This run continues in {self.folder} alone;"
                " end one of them."
            )
        self._done.set()

    def _fails(self, error: Exception) -> None:
        self._trouble = one_line(error)
        if self._failing_since is None:
            self._failing_since = time.monotonic()
            self._tell(f"Not mirrored for now: {error}. The run continues, and is mirrored once that works.")

    def _works(self) -> None:
        self._trouble = ""
        if self._failing_since is not None:
            self._tell(
                f"Mirrored again at {self.uri}, after {duration(time.monotonic() - self._failing_since)}."
            )
            self._failing_since = None

    def _tell(self, line: str) -> None:
        with suppress(OSError, ValueError):  # nobody reads any more: the files are put all the same
            self._say(line)
