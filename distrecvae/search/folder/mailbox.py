"""The way to a running search: requests are files beside its ledger, and so are the answers.

A request is a small JSON file that is renamed into its place whole; the search takes them up in the order of their
names, which begin with the time, answers, and removes them. Whoever asked reads the answer and removes that.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from distrecvae.files import write_json
from distrecvae.layout import REQUESTS_FOLDER
from distrecvae.search.core.requests import LASTING, Request
from distrecvae.typed import MisfitError, read_typed

LARGEST_BYTES = 64 << 10
"""Of a request; a longer file is answered with that."""
AT_ONCE = 50
"""Requests that are answered before the trials' turn comes again."""
LOOK_S = 0.05
_ANSWER = ".answer"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a search says to a request.

    Attributes:
        done: whether what was asked is done.
        text: what was done, or why not, in a line.
    """

    done: bool
    text: str


def request_name() -> str:
    """Return the name of a request that is made now: they are taken up in the order of their names."""
    return f"{time.time_ns():020d}-{os.getpid()}-{secrets.token_hex(4)}"


class Mailbox:
    """The requests to the search in `folder`.

    Args:
        folder: the results folder.
    """

    def __init__(self, folder: Path) -> None:
        self._place = folder / REQUESTS_FOLDER

    def send(self, request: Request) -> str:
        """Put a request where the search finds it, and return its name."""
        name = request_name()
        write_json(self._place / f"{name}.json", asdict(request))
        return name

    def wait(self, name: str, timeout_s: float, searches: Callable[[], bool] = lambda: True) -> Answer | None:
        """Return the answer once it is there, and remove it.

        None where there is none after so many seconds, or once `searches` says that nobody is there to give one.
        """
        path, until = self._answer(name), time.monotonic() + timeout_s
        while True:
            last = not searches() or time.monotonic() >= until
            with suppress(FileNotFoundError):
                answer = read_typed(path, Answer)
                path.unlink(missing_ok=True)
                return answer
            if last:
                return None
            time.sleep(LOOK_S)

    def withdraw(self, name: str) -> None:
        """Withdraw a request that has not been taken up."""
        (self._place / f"{name}.json").unlink(missing_ok=True)

    @property
    def names(self) -> list[str]:
        """The requests that wait, in their order."""
        try:
            found = [path.name for path in self._place.iterdir() if path.suffix == ".json"]
        except FileNotFoundError:
            return []
        stems = (name.removesuffix(".json") for name in found if not name.startswith("."))
        return sorted(stem for stem in stems if not stem.endswith(_ANSWER))

    def waiting(self) -> Iterator[tuple[str, Request | str]]:
        """Yield the first requests that wait: the name, and what is asked, or why that cannot be read, in a line."""
        for name in self.names[:AT_ONCE]:
            yield name, self._read(self._place / f"{name}.json")

    def answer(self, name: str, answer: Answer) -> None:
        """Answer a request, and remove it."""
        write_json(self._answer(name), asdict(answer))
        (self._place / f"{name}.json").unlink(missing_ok=True)

    def over(self) -> None:
        """Answer what waits and makes no sense any more: the search is over."""
        for name in self.names:
            asked = self._read(self._place / f"{name}.json")
            if isinstance(asked, str) or asked.action not in LASTING:
                self.answer(name, Answer(done=False, text="the search is over; --extend resumes it"))

    def clear_answers(self) -> None:
        """Remove answers that were never collected: an earlier run of the search gave them."""
        for path in self._place.glob(f"*{_ANSWER}.json"):
            path.unlink(missing_ok=True)

    def _read(self, path: Path) -> Request | str:
        try:
            size = path.lstat().st_size
            if size > LARGEST_BYTES:
                return f"a request of {size:,} bytes is too long; at most {LARGEST_BYTES:,}"
            return read_typed(path, Request)
        except MisfitError as error:
            return f"not a request: {error}"
        except OSError as error:
            return f"the request cannot be read ({error.strerror})"

    def _answer(self, name: str) -> Path:
        return self._place / f"{name}{_ANSWER}.json"
