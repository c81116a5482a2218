"""Requests that are left at a URI come to the search that is mirrored there, and its answers go back.

They are files in `requests/`, which is no part of the results that are mirrored. A thread of its own looks for them:
the search waits for no store, and one that fails is looked at again.
"""

from __future__ import annotations

import json
import re
import threading
from contextlib import suppress
from pathlib import Path

from distrecvae.errors import StorageError
from distrecvae.files import write_text
from distrecvae.layout import REQUESTS_FOLDER
from distrecvae.storage.store import Store
from distrecvae.storage.uri import below

LOOK_EVERY_S = 2.0
"""A look is one request of the store."""
ANSWERED_WITHIN_S = 0.1
"""How often an answer that is awaited is looked for, on this machine."""
LARGEST_BYTES = 64 << 10
LAST_S = 5.0
"""How long the end waits for the last answers to be put."""
ANSWER = ".answer.json"
_REQUEST = re.compile(r"[A-Za-z0-9-]+\.json")


class Post:
    """Carries requests and answers between a URI and a results folder while the block lasts.

    Args:
        folder: the results folder; this process holds it.
        uri: where it is mirrored.
        every_s: seconds between two looks; None for `LOOK_EVERY_S`.
    """

    def __init__(self, folder: Path, uri: str, *, every_s: float | None = None) -> None:
        self._folder, self._place = folder, below(uri, REQUESTS_FOLDER)
        self._every_s = LOOK_EVERY_S if every_s is None else every_s
        self._over = threading.Event()
        self._awaited: set[str] = set()
        self._thread = threading.Thread(target=self._run, name=f"requests at {uri}", daemon=True)

    def __enter__(self) -> Post:
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._over.set()
        self._thread.join(LAST_S)

    def _run(self) -> None:
        looked_s = self._every_s
        while not self._over.wait(min(ANSWERED_WITHIN_S, self._every_s)):
            looked_s += ANSWERED_WITHIN_S
            with suppress(StorageError, OSError):  # the mirror says what is wrong with it
                if looked_s >= self._every_s:
                    looked_s = 0.0
                    self._fetch()
                self._answer()
        with suppress(StorageError, OSError):
            self._answer()

    def _fetch(self) -> None:
        """Bring what is asked; it is removed there once it is safe here, and known by its name if it comes again."""
        store = Store(self._place)
        for name, size in sorted(store.sizes().items()):
            if not _REQUEST.fullmatch(name):
                continue
            if size > LARGEST_BYTES:
                said = f"a request of {size:,} bytes is too long; at most {LARGEST_BYTES:,}"
                store.put(_answer_to(name), json.dumps({"done": False, "text": said}).encode())
            elif (text := store.read(name)) is not None:
                write_text(self._folder / REQUESTS_FOLDER / name, text.decode("utf-8", "replace"))
                self._awaited.add(name)
            store.delete(name)

    def _answer(self) -> None:
        for name in sorted(self._awaited):
            path = self._folder / REQUESTS_FOLDER / _answer_to(name)
            if path.exists():
                Store(self._place).put(path.name, path.read_bytes())
                path.unlink(missing_ok=True)
                self._awaited.discard(name)


def _answer_to(name: str) -> str:
    return name.removesuffix(".json") + ANSWER
