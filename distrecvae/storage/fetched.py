"""What commands read at a URI: a temporary copy of the files that they need, which belong together."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from distrecvae.errors import DistrecvaeError, StorageError
from distrecvae.layout import LEDGER_FILE
from distrecvae.storage.manifest import Manifest, manifest_at
from distrecvae.storage.store import Entry, Store
from distrecvae.storage.uri import is_uri, parted
from distrecvae.storage.working_copy import look, unit_of

ATTEMPTS = 3
AGAIN_AFTER_S = 2.0
"""A search may be putting what is fetched: it takes a moment, and then all of it is new."""


@contextmanager
def on_this_machine(place: Path | str, wanted: Callable[[str], bool]) -> Iterator[Path]:
    """Yield a path as it is; of a URI a temporary copy of the wanted files, gone at the end. Errors name the URI.

    Each file's size is held to the store's list, and files of a model to the digests that the mirror's writer told of.

    Args:
        place: a path, or the URI of a folder.
        wanted: tells by a file's name whether it is needed.

    Raises:
        StorageError: the URI cannot be read, nothing is there, or half of it is newer than the rest.
    """
    if not (isinstance(place, str) and is_uri(place)):
        yield Path(place)
        return
    with tempfile.TemporaryDirectory(prefix="distrecvae-") as made:
        # By its last name results are called.
        copy = Path(made, parted(place)[1])
        copy.mkdir()
        _fetch(Store(place), wanted, copy)
        try:
            yield copy
        except DistrecvaeError as error:
            error.args = (str(error).replace(str(copy), place.rstrip("/")),)
            raise


def _fetch(store: Store, wanted: Callable[[str], bool], folder: Path) -> None:
    for attempt in range(ATTEMPTS):
        remote = look(store)
        if not remote.sizes:
            raise StorageError(f"{store.uri} holds nothing; give the place of results, or of a model")
        told = _told(store, remote.manifest)
        torn = ""
        for name in filter(wanted, remote.sizes):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            entry = store.get(name, path)
            if entry[0] != remote.sizes[name] or _is_torn(name, entry, told):
                torn = name
        if not torn:
            return
        if attempt < ATTEMPTS - 1:
            time.sleep(AGAIN_AFTER_S)
    raise StorageError(
        f"{store.uri}: {torn} is newer than what lies beside it: its search is putting it, or died at that; try again,"
        " or resume the search with --resume",
        passing=True,
    )


def _told(store: Store, manifest: Manifest | None) -> dict[str, Entry]:
    """Return what the mirror's writer says of the files here; the mirror may begin one folder above."""
    if manifest is not None:
        return dict(manifest.files)
    above, name = parted(store.uri)
    try:
        over = manifest_at(Store(above))
    except StorageError:
        return {}
    files = {} if over is None else over.files
    return {
        each.removeprefix(f"{name}/"): entry for each, entry in files.items() if each.startswith(f"{name}/")
    }


def _is_torn(name: str, entry: Entry, told: dict[str, Entry]) -> bool:
    """Tell whether a file is none of those beside it; what grows, such as a ledger, is newer than the manifest."""
    alone = "/" not in name and not any(LEDGER_FILE in each for each in told)
    return bool(told) and (bool(unit_of(name)) or alone) and told.get(name) != entry
