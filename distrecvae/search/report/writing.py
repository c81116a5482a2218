"""Writes reports: of one search into its folder, of several, or of a comparison, into one file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from distrecvae.errors import ResultsError
from distrecvae.files import write_text
from distrecvae.layout import COMPARISON_FILE, REPORT_FILE, SEARCH_FILE
from distrecvae.search.report.data import SearchResults, read_results
from distrecvae.search.report.page import report_page
from distrecvae.storage.fetched import on_this_machine
from distrecvae.storage.store import Store
from distrecvae.storage.uri import below


def write_report(folder: Path) -> Path:
    """Write `report.html` into the folder of a search, finished or not, and return its path.

    Raises:
        ResultsError: there is no search in `folder`, it has no trial yet, or a file is damaged.
    """
    return Path(write_reports([folder]))


def write_reports(places: Sequence[Path | str], out: Path | None = None) -> Path | str:
    """Write one page on the searches in some places, and return where it lies.

    Args:
        places: folders of searches, or of comparisons, or their URIs.
        out: the file; None for `report.html` in the folder, or beside the results at the URI, or, of several, in the
            folder that they have in common.

    Raises:
        ResultsError: there is no search in a place, it has no trial yet, a file is damaged, or `out` cannot be written.
        StorageError: a URI cannot be read, or not be written.
    """
    if out is not None and (out.is_dir() or not out.parent.is_dir()):
        wrong = "is a folder" if out.is_dir() else f"has no folder {out.parent} to lie in"
        raise ResultsError(f"--out {out} {wrong}; name a file, such as report.html")
    with ExitStack() as stack:
        opened = [(place, stack.enter_context(on_this_machine(place, _is_read))) for place in places]
        page = report_page(*(results for _, folder in opened for results in _searches(folder)))
    for place, folder in opened:
        if folder != Path(place):
            page = page.replace(str(folder), str(place).rstrip("/"))
    if out is None and len(places) == 1 and isinstance(places[0], str):
        Store(places[0]).put(REPORT_FILE, page.encode())
        return below(places[0], REPORT_FILE)
    path = out or _beside(places)
    write_text(path, page)
    return path


def _is_read(name: str) -> bool:
    return not name.endswith((".safetensors", ".html"))


def _searches(folder: Path) -> list[SearchResults]:
    """Return the search in a folder; of a comparison those of its searches that have a trial."""
    if (folder / SEARCH_FILE).exists() or not (folder / COMPARISON_FILE).exists():
        return [read_results(folder)]
    found, missing = [], None
    for path in sorted(folder.glob(f"*/{SEARCH_FILE}")):
        try:
            found.append(read_results(path.parent))
        except ResultsError as error:
            missing = error
    if found:
        return found
    raise missing or ResultsError(
        f"{folder} is a comparison none of whose searches has started; wait for one"
    )


def _beside(places: Sequence[Path | str]) -> Path:
    """Return the default path of a page on these places."""
    folders = [place.absolute() for place in places if isinstance(place, Path)]
    if len(places) == 1:
        return Path(places[0], REPORT_FILE)
    if len(folders) < len(places):
        return Path(REPORT_FILE)
    return Path(os.path.relpath(Path(os.path.commonpath([folder.parent for folder in folders]), REPORT_FILE)))
