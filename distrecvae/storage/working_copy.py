"""Brings a working copy and its mirror together before a run: the newer one is taken, two that went apart are refused.

A working copy lies on the machine that writes it; the mirror at a URI outlives that machine. `.mirror.json` in the copy
is what the mirror's `mirror.json` was when both last agreed: where that is so still, nobody else has written. Else the
ledger of a search says which is newer: it only grows, and each of its lines vouches for all before it, so the one that
begins with all of the other is. Without a ledger the mirror is newer where nothing changed here.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from distrecvae.errors import ResultsError, StorageError
from distrecvae.files import exclusive, replacing, write_text
from distrecvae.layout import BEST_FOLDER, DATA_FOLDER, LEDGER_FILE, REQUESTS_FOLDER
from distrecvae.storage.manifest import MANIFEST_FILE, Manifest, is_name, manifest_at, read_manifest
from distrecvae.storage.store import Entry, Store, file_entry
from distrecvae.words import counted, duration, mib

AGREED_FILE = f".{MANIFEST_FILE}"
"""In a working copy: the manifest that this copy last put, or was fetched by."""

FETCHING_FILE = ".fetching"
"""In a working copy that is being fetched: without the rest it is worth nothing."""

UNITS = (BEST_FOLDER, DATA_FOLDER)
"""Folders that are written at once, whose files are of use only together."""

Say = Callable[[str], object]


class Remote(NamedTuple):
    """What lies in a mirror.

    Attributes:
        manifest: what its writer said of it; None where there is none.
        sizes: bytes of each file that is there, by name; the manifest is not among them.
    """

    manifest: Manifest | None
    sizes: dict[str, int]


def look(store: Store) -> Remote:
    """Return what lies in a mirror.

    Raises:
        StorageError: it cannot be read, or a name in it leads out of it.
    """
    sizes = store.sizes()
    manifest = manifest_at(store) if sizes.pop(MANIFEST_FILE, None) is not None else None
    for name in sizes:
        if not is_name(name):
            raise StorageError(f"{store.uri} has a file {name!r}, which leads out of its folder; remove it")
    return Remote(manifest, {name: size for name, size in sizes.items() if not is_hidden(name)})


def is_hidden(name: str) -> bool:
    """Tell whether a file is none of the results: a lock, a temporary file, what Ray keeps, a request (`post.py`)."""
    parts = name.split("/")
    return parts[0] == REQUESTS_FOLDER or any(part.startswith(".") for part in parts)


def files_of(folder: Path) -> dict[str, Path]:
    """Return the results' files in a folder by name; symbolic links, sockets and the like are none."""
    found = {}
    for place, folders, names in os.walk(folder):  # Path.walk is of Python 3.12
        above = Path(place).relative_to(folder).as_posix()
        folders[:] = [name for name in folders if not is_hidden(name if above == "." else f"{above}/{name}")]
        for name in names:
            path = Path(place, name)
            if not name.startswith(".") and path.is_file() and not path.is_symlink():
                found[path.relative_to(folder).as_posix()] = path
    return found


def agreed(folder: Path) -> Manifest | None:
    """Return what a working copy and its mirror last agreed on; None where they never did."""
    path = folder / AGREED_FILE
    try:
        return read_manifest(path.read_bytes(), str(path))
    except (OSError, StorageError):
        return None


def write_agreed(folder: Path, manifest: Manifest) -> None:
    """Write down what a working copy and its mirror agree on."""
    write_text(folder / AGREED_FILE, manifest.text())


def is_agreed(last: Manifest | None, there: Manifest | None) -> bool:
    """Tell whether nobody else has put anything since a working copy and its mirror agreed.

    What is to be put is written down here before: a writer that was killed in between did, or did not.
    """
    return last is not None and there is not None and there.state in (last.state, last.after)


def settle(folder: Path, store: Store, say: Say, patience_s: float = 0.0) -> None:
    """Fetch the mirror into the working copy where that is gone, or where the mirror is newer.

    Args:
        folder: the working copy; it need not exist.
        store: the mirror; there need be none.
        say: is told what is fetched.
        patience_s: how long trouble of the store may last that can pass by itself: jobs are restarted at any moment.

    Raises:
        StorageError: the mirror cannot be read.
        ResultsError: both have something that the other one has not.
    """
    until, pause_s = time.monotonic() + patience_s, 1.0
    while True:
        try:
            return _settle(folder, store, say)
        except StorageError as error:
            if not error.passing or time.monotonic() + pause_s > until:
                raise
            if pause_s == 1.0:
                say(f"{error}; it is tried again for {duration(patience_s)}.")
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, 15.0)


def _settle(folder: Path, store: Store, say: Say) -> None:
    remote = look(store)
    if not remote.sizes:
        return
    with exclusive(folder):
        here = {} if (folder / FETCHING_FILE).exists() else files_of(folder)
        if not here:
            _fetch(folder, store, remote, say)
        elif _is_newer(folder, here, store, remote):
            say(f"{store.uri} is newer than the working copy {folder}, which is replaced.")
            _fetch(folder, store, remote, say)
        elif remote.manifest is not None and not is_agreed(agreed(folder), remote.manifest):
            # It was looked at, and is older; what its last writer left half done there is not known.
            write_agreed(folder, replace(remote.manifest, files={}))


def _is_newer(folder: Path, here: Mapping[str, Path], store: Store, remote: Remote) -> bool:
    """Tell whether the mirror has all that the working copy has, and more."""
    last = agreed(folder)
    if is_agreed(last, remote.manifest):
        return False
    apart = ResultsError(
        f"the working copy {folder} and {store.uri} have diverged, each has what the other lacks; keep one:"
        f" remove {folder} to continue from the mirror, or continue with --out {folder} alone"
    )
    ledgers = {name for name in (*here, *remote.sizes) if name.rpartition("/")[2] == LEDGER_FILE}
    if not ledgers:
        if last is not None and {name: _entry(path) for name, path in here.items()} == last.files:
            return True
        raise apart
    ahead = set()
    for name in ledgers:
        own = whole_lines(here[name].read_bytes()) if name in here else b""
        other = whole_lines(store.read(name) or b"") if name in remote.sizes else b""
        if not (own.startswith(other) or other.startswith(own)):
            raise apart
        if own != other:
            ahead.add(len(other) > len(own))
    if len(ahead) > 1:
        raise apart
    return ahead != {False}


def whole_lines(data: bytes) -> bytes:
    """Return the bytes up to the last whole line's end: what is behind was cut off while it was written."""
    return data[: data.rfind(b"\n") + 1]


def _fetch(folder: Path, store: Store, remote: Remote, say: Say) -> None:
    """Put the mirror's files in the place of the working copy's.

    Each file's size is held to the store's list. What is newer than the manifest was put by a writer that was killed in
    the middle: a search continues from that, but a model or a data set of which some files are old is none.
    """
    total = sum(remote.sizes.values())
    say(
        f"Fetching {counted(len(remote.sizes), 'file', 'files')}, {mib(total)}, from {store.uri} into {folder}."
    )
    (folder / FETCHING_FILE).touch()
    for path in folder.iterdir():
        if not path.name.startswith("."):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    told = {} if remote.manifest is None else remote.manifest.files
    torn = {unit for name in set(told) - set(remote.sizes) if (unit := unit_of(name))}
    for name in in_order(remote.sizes):
        with replacing(folder / name) as path:
            entry = store.get(name, path)
        if entry[0] != remote.sizes[name]:
            raise StorageError(
                f"{store.uri}/{name} had {remote.sizes[name]:,} bytes and now has {entry[0]:,}: something writes there;"
                " wait for its end",
                passing=True,
            )
        unit = unit_of(name)
        if unit and remote.manifest is not None and told.get(name) != entry:
            torn.add(unit)
    for unit in torn:
        shutil.rmtree(folder / unit, ignore_errors=True)
    if remote.manifest is not None:
        write_agreed(folder, remote.manifest)
    (folder / FETCHING_FILE).unlink()


def unit_of(name: str) -> str:
    """Return the folder, of those that are of use only as a whole, that a file lies in; empty where it lies in none."""
    parts = name.split("/")[:-1]
    places = [place for place, part in enumerate(parts) if part in UNITS]
    return "/".join(parts[: places[0] + 1]) if places else ""


def in_order(names: Iterable[str]) -> list[str]:
    """Return names in the order of reading: ledgers last, for other files say how long they are at least."""
    return sorted(names, key=lambda name: (name.rpartition("/")[2] == LEDGER_FILE, name))


def _entry(path: Path) -> Entry:
    with path.open("rb") as file:
        return file_entry(file)
