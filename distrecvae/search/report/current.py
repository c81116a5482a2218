"""Keeps the report of a running search current: written now and then by a process of its own, which nothing waits for.

It takes a second or more of a processor; the process that runs the search answers in fractions of one.
"""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from distrecvae.words import first_line

FIRST_AFTER_S = 30.0
"""A search that is over sooner writes its report once, at its end."""
AT_MOST = 0.02
"""The share of the time that is spent on it."""
GIVEN_UP_S = 300.0
"""A process that takes longer is ended."""
_WRITE = (
    "import os, sys; os.nice(10); from pathlib import Path;"
    " from distrecvae.search.report.writing import write_report; write_report(Path(sys.argv[1]))"
)


class CurrentReport:
    """Rewrites `report.html` now and then while a search runs; its failures never end the search.

    Args:
        folder: the results folder.
        first_after_s: seconds before it is written the first time.
        at_most: the share of the time that writing may take; the next writing waits for so long.
    """

    def __init__(
        self, folder: Path, *, first_after_s: float = FIRST_AFTER_S, at_most: float = AT_MOST
    ) -> None:
        self._folder, self._at_most, self._first_after_s = folder, at_most, first_after_s
        self._due = time.monotonic() + first_after_s
        self._begun = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    def refresh(self) -> None:
        """Begin to write it if it is time to; hear whether it has been written."""
        now = time.monotonic()
        if self._process is not None:
            if self._process.poll() is not None:
                self._process = None
                self._due = now + max(self._first_after_s, (now - self._begun) * (1 / self._at_most - 1))
            elif now - self._begun > GIVEN_UP_S:
                self.close()
        elif now >= self._due:
            self._begun, self._due = now, now + GIVEN_UP_S
            with suppress(OSError):  # no memory for a process: it is tried again
                self._process = subprocess.Popen(  # noqa: S603  (this package's own code)
                    [sys.executable, "-W", "ignore", "-c", _WRITE, str(self._folder)],
                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                )  # fmt: skip

    def close(self) -> None:
        """End what is being written: the search is over and writes its last report itself."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def written_report(folder: Path) -> str:
    """Write the report; return what went wrong, in a line, where something did: it is never worth a search."""
    from distrecvae.search.report.writing import write_report  # plotly takes half a second to import

    try:
        write_report(folder)
    except Exception as error:
        reason = f"{type(error).__name__}: {first_line(error)}"
        return f"The report was not written ({reason}); try: distrecvae report {folder}"
    return ""
