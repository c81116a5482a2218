"""The warm start: a new search whose first trials, after its own start, are the best of an earlier search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distrecvae.errors import ResultsError
from distrecvae.layout import LEDGER_FILE, SEARCH_FILE
from distrecvae.metrics import on_validation
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.ledger import read_records
from distrecvae.search.folder.search_json import Description, WarmStart, read_description
from distrecvae.search.space.space import SearchSpace
from distrecvae.storage.fetched import on_this_machine
from distrecvae.storage.uri import as_place


def read_warm_start(source: str, space: SearchSpace, most: int) -> WarmStart:
    """Return the `most` best configurations of the search in the folder `source`, or at that URI.

    The start of `space` is not among them, for it is the first trial anyway, nor is a configuration twice. One that no
    trial of `space` can have (a value outside of its range, or a setting that it fixes otherwise) is left out, and no
    worse one takes its place; but where a range depends on the data, a value is moved to the end that is nearest.
    Stopped trials count with the score that they had.

    Raises:
        ResultsError: there is no search, it is another model's, or none of its trials has a score.
    """
    with on_this_machine(as_place(source), lambda name: name in (SEARCH_FILE, LEDGER_FILE)) as folder:
        return _read_warm_start(folder, source, space, most)


def _read_warm_start(folder: Path, source: str, space: SearchSpace, most: int) -> WarmStart:
    described = read_description(folder, remedy="give --warm-start the results folder of a search")
    model = described.settings.model
    if model != space.model:
        raise ResultsError(
            f"{source} is a search of {model}, this one is of {space.model}; --warm-start takes the same model's"
        )
    records = read_records(folder, on_validation(described.settings.metric)).values()
    scored = [record for record in records if record.score]
    if not scored:
        raise ResultsError(
            f"no trial of {source} has a score; leave out --warm-start, or give another search"
        )
    taken: dict[int, dict[str, Any]] = {}
    outside: list[int] = []
    seen = [space.default_config()]
    for record in sorted(scored, key=lambda record: (-(record.score or 0.0), record.number)):
        config = space.moved_inside({**space.default_config(), **record.config})
        if len(seen) > most or config in seen:
            continue
        seen.append(config)
        if space.internal_point(config) is None:
            outside.append(record.number)
        else:
            taken[record.number] = config
    return WarmStart(source, tuple(taken), tuple(taken.values()), tuple(outside))


def warm_start_of(
    config: SearchConfig, space: SearchSpace, described: Description | None
) -> WarmStart | None:
    """Return what a search takes over: by the description if it continues, else by its settings; None for nothing.

    Raises:
        ResultsError: as `read_warm_start`.
    """
    if described is not None:
        return described.warm_start
    return read_warm_start(config.warm_start, space, config.most_warm_starts) if config.warm_start else None
