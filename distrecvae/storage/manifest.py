"""`mirror.json`: what a mirror holds, put after everything else, and who writes it.

What is put before is newer than the manifest says, or as it says. So a reader knows whether what it fetched belongs
together, and a writer whether another one has been there since.
"""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime

from distrecvae.errors import StorageError
from distrecvae.storage.store import Entry, Store
from distrecvae.typed import MisfitError, typed_json

MANIFEST_FILE = "mirror.json"
FORMAT = 1
"""Of it."""

_NAME = re.compile(r"[^/\\\0]+(/[^/\\\0]+)*")


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What lies in a mirror.

    Attributes:
        generation: how many processes have written into it, one after another.
        writer: this one's: random, hexadecimal.
        sequence: how often it has.
        host: the machine that it runs on.
        pid: its process there.
        at: when this was put, UTC.
        after: the `state` of what this one took the place of; None for the first.
        files: each file's size and digest, by its name.
        format: of the manifest.
    """

    generation: int
    writer: str
    sequence: int = 0
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    after: tuple[int, str, int] | None = None
    files: dict[str, tuple[int, str]] = field(default_factory=dict)
    format: int = FORMAT

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise ValueError(
                f"format is {self.format}, this version reads {FORMAT}; use the version that wrote it"
            )
        for name in self.files:
            # A name from a store becomes a path on this machine: none leads out of the folder.
            if not is_name(name):
                raise ValueError(f"{name!r} is not the name of a file in a folder")

    @property
    def state(self) -> tuple[int, str, int]:
        """What tells whether anything was put since."""
        return self.generation, self.writer, self.sequence

    def text(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":")) + "\n"

    def next(self, files: Mapping[str, Entry]) -> Manifest:
        """Return what is put after this one by the same writer."""
        return replace(self.by(self.writer, self.generation), sequence=self.sequence + 1, files=dict(files))

    def by(self, writer: str, generation: int) -> Manifest:
        """Return what takes this one's place, of another writer, that has put nothing yet."""
        return Manifest(generation=generation, writer=writer, after=self.state, files=self.files)


def is_name(name: str) -> bool:
    """Tell whether a name stays in the folder that it is in."""
    return _NAME.fullmatch(name) is not None and not {".", ".."} & set(name.split("/"))


def read_manifest(data: bytes, where: str) -> Manifest:
    """Return the manifest of that JSON; `where` it was read, for the message.

    Raises:
        StorageError: it is damaged, or of another format.
    """
    try:
        return typed_json(data, Manifest)
    except MisfitError as error:
        raise StorageError(
            f"{where} is damaged, or was not written by distrecvae ({error}); restore it, or take another place"
        ) from None


def manifest_at(store: Store) -> Manifest | None:
    """Return the manifest of a mirror; None where there is none.

    One that is replaced while it is read may come torn: its size was asked for before. One that reads the same a second
    time is damaged.

    Raises:
        StorageError: it cannot be read, or is damaged.
    """
    before: bytes | None = None
    while (data := store.read(MANIFEST_FILE)) is not None:
        try:
            return read_manifest(data, f"{store.uri}/{MANIFEST_FILE}")
        except StorageError:
            if data == before:
                raise
            before = data
    return None
