"""Finds the data set of a search whose folder may have been moved or copied, alone or together with its data."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from distrecvae.data.io import read_protocol
from distrecvae.errors import DataError, ResultsError
from distrecvae.search.folder.search_json import Description
from distrecvae.storage.uri import is_uri

PARENTS = 3
"""So many folders above the results folder are looked from, where a relative path does not say from where."""


def absolute(place: str) -> str:
    """Return a data set's place, wherever it is asked from: a URI as it is, a path made absolute."""
    return place if is_uri(place) else str(Path(place).absolute())


def place_of_data(folder: Path, described: Description) -> str:
    """Return where the data set of the search in `folder` lies: the one with its fingerprint.

    Raises:
        ResultsError: it is not where it was, nor where it would be if both had been moved together.
    """
    wanted = described.dataset.fingerprint
    for place in _candidates(folder, described):
        try:
            found = read_protocol(place).get("fingerprint")
        except DataError:
            continue
        if found == wanted:
            return place
    whence = f" (from {described.begun_in})" if described.begun_in else ""
    raise ResultsError(
        f"{folder} was started with data {described.data}{whence}, and no data set of that fingerprint"
        f" ({wanted[:12]}..) lies there; give --data"
    )


def _candidates(folder: Path, described: Description) -> Iterator[str]:
    data = described.data
    yield data
    if is_uri(data):
        return
    if described.results and Path(data).is_absolute():
        # Moved together, both lie to each other as they did.
        yield os.path.normpath(folder.absolute() / os.path.relpath(data, described.results))
    elif not Path(data).is_absolute():
        for parent in list(folder.absolute().parents)[:PARENTS]:
            yield str(parent / data)
    yield str(folder / Path(data).name)
