"""What Python users call about an existing search: its state, a trial explained or reproduced, what can be removed."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distrecvae.api.folders import RUNS
from distrecvae.api.given import carried_out_by
from distrecvae.layout import SEARCH_FILE
from distrecvae.storage.uri import as_place

if TYPE_CHECKING:
    import pandas as pd

    from distrecvae.search.core.requests import Request
    from distrecvae.search.living.cleaning import Dispensable
    from distrecvae.search.living.explanation import Why
    from distrecvae.search.living.reproducing import Reproduction
    from distrecvae.search.living.top import Standing


def _searches(given: dict[str, Any]) -> pd.DataFrame:
    from dataclasses import asdict

    import pandas as pd

    from distrecvae.search.living.listing import Listed, searches_below

    found = searches_below(Path(given.get("folder", RUNS)))
    return pd.DataFrame([asdict(each) for each in found], columns=list(Listed.__dataclass_fields__))


@carried_out_by(_searches)
def searches(folder: str | PathLike[str] | None = None) -> pd.DataFrame:
    """Return the searches in and below a folder, a row each, the most recently active first.

    Args:
        folder: where to look; None for `runs`.

    Raises:
        ResultsError: there is no such folder.
    """
    raise NotImplementedError  # never run: `carried_out_by` takes the call


def _top(given: dict[str, Any]) -> Standing:
    from distrecvae.search.living.top import standing

    return standing(as_place(given["results"]))


@carried_out_by(_top)
def top(results: str | PathLike[str]) -> Standing:
    """Return how a search stands now, running here, elsewhere or not at all: read from its folder, shown as a table.

    Args:
        results: the search's folder, or the URI, as text, where it is mirrored.

    Raises:
        ResultsError: there is no search, or a file is damaged.
        StorageError: the URI cannot be read.
    """
    raise NotImplementedError  # never run: `carried_out_by` takes the call


def _why(given: dict[str, Any]) -> Why:
    from distrecvae.search.living.why import why

    return why(as_place(given["results"]), given["trial"])


@carried_out_by(_why)
def why(results: str | PathLike[str], *, trial: int) -> Why:
    """Explain a trial of a search: how it was proposed, how it was judged, to which trial it lost.

    Args:
        results: the search's folder, or the URI, as text, where it is mirrored; the search may be over or running.
        trial: its number.

    Raises:
        ResultsError: there is no search, no such trial, or a file is damaged.
        StorageError: the URI cannot be read.
    """
    raise NotImplementedError  # never run: `carried_out_by` takes the call


def _reproduce(given: dict[str, Any]) -> Reproduction:
    from distrecvae.search.living.reproducing import reproduce

    options = {name: given[name] for name in ("until", "device", "threads") if name in given}
    data = str(given["data"]) if "data" in given else None
    return reproduce(as_place(given["results"]), given["trial"], data=data, **options)


@carried_out_by(_reproduce)
def reproduce(
    results: str | PathLike[str],
    *,
    trial: int,
    until: int | None = None,
    data: str | PathLike[str] | None = None,
    device: str | None = None,
    threads: int | None = None,
) -> Reproduction:
    """Train a trial of a search again, from the ledger alone, and compare its reports: the same bits, or what differs.

    Args:
        results: the search's folder, or the URI, as text, where it is mirrored; nothing is written there.
        trial: the trial's number.
        until: the last cycle to train; None for as many as the trial had.
        data: where its data set lies; None looks where it was.
        device: "cpu", "cuda", "cuda:1"; None for the search's, where this machine has it.
        threads: CPU threads; None for as many as it had.

    Raises:
        ResultsError: there is no search, no such trial, it has no report, or its data set is not found.
        ResourceError: there is no such device.
        StorageError: the URI cannot be read.
    """
    raise NotImplementedError  # never run: `carried_out_by` takes the call


def request_from(results: Path | str, action: str, words: Sequence[object]) -> Request:
    """Return the request that an action and its words make; the word of `add` may be a configuration's file.

    Raises:
        ConfigError: there is no such action, or its words make no sense.
    """
    from distrecvae.search.core.requests import Request, request_of

    texts = [str(word) for word in words]
    if action == "add" and len(texts) == 1 and "=" not in texts[0]:
        from distrecvae.runs.configuration import read_config
        from distrecvae.search.folder.search_json import read_description
        from distrecvae.storage.fetched import on_this_machine

        with on_this_machine(results, lambda name: name == SEARCH_FILE) as folder:
            described = read_description(folder, remedy="give the results folder of a search")
        model = described.settings.model
        _, config = read_config(model, texts[0], ())
        return Request(action="add", settings={name: _plain(value) for name, value in config.items()})
    return request_of(action, texts)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _steer(given: dict[str, Any]) -> str:
    from distrecvae.search.living.steer import steer

    results = as_place(given["results"])
    return steer(results, request_from(results, given["action"], given.get("words", ())))


@carried_out_by(_steer)
def steer(results: str | PathLike[str], action: str, *words: object) -> str:
    """Send a request to a running search, in another process or thread, and return its answer.

    ``steer("runs/mine", "stop", 17, 18)``, ``steer("runs/mine", "narrow", "gamma=0.003:0.006")``.

    Args:
        results: the search's folder, or the URI, as text, where it is mirrored.
        action: stop, add, narrow, widen, fix, trials, concurrent, pause, go or end.
        words: what the action takes: numbers of trials, ``name=value``, ``name=low:high``, a number, a file.

    Raises:
        ConfigError: it cannot be done, and why.
        ResultsError: there is no search, it does not run, or it has not answered within a minute.
    """
    raise NotImplementedError  # never run: `carried_out_by` takes the call


def _clean(given: dict[str, Any]) -> Dispensable:
    from distrecvae.search.living.cleaning import clean, dispensable, require_here

    return (clean if given.get("yes", False) else dispensable)(require_here(as_place(given["results"])))


@carried_out_by(_clean)
def clean(results: str | PathLike[str], *, yes: bool = False) -> Dispensable:
    """Return what can be removed from a search's folder, checkpoints and temporary files, and how many bytes that is.

    Args:
        results: the search's folder.
        yes: remove it, too.

    Raises:
        ConfigError: `results` is a URI.
        ResultsError: there is no search, it is damaged, or, to remove something, it runs.
    """
    raise NotImplementedError  # never run: `carried_out_by` takes the call
