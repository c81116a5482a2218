"""`distrecvae.report`: one page on a search, or on several."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

from distrecvae.api.given import carried_out_by


def _report(given: dict[str, Any]) -> Path | str:
    from distrecvae.errors import ConfigError
    from distrecvae.search.report.writing import write_reports
    from distrecvae.storage.uri import as_place

    if not given.get("results"):
        raise ConfigError("report() needs the results folder of a search; there may be several")
    out = Path(given["out"]) if "out" in given else None
    return write_reports([as_place(place) for place in given["results"]], out)


@carried_out_by(_report)
def report(*results: str | PathLike[str], out: str | PathLike[str] | None = None) -> Path | str:
    """Write one page on a search, or on several side by side, and return its path.

    Args:
        results: folders of searches or of comparisons, or their URIs; the searches may be over or running.
        out: the file; None for `report.html` in the folder, or, of several, in the folder around them.

    Raises:
        ResultsError: there is no search in a place, it has no trial yet, or a file is damaged.
        StorageError: a URI cannot be read, or not be written.
    """
    raise NotImplementedError  # never run: `carried_out_by` takes the call
