"""`distrecvae.train_on`: gives a trial that has ended more passes."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any

from distrecvae.api.asking import asked_search
from distrecvae.api.given import carried_out_by
from distrecvae.api.quiet import quiet_imports
from distrecvae.errors import ConfigError
from distrecvae.storage.uri import as_place


def let_train_on(
    results: Path | str,
    trial: int,
    max_passes: int,
    *,
    tell: Callable[[str], None],
    command: str | None,
    data: str | None = None,
) -> str:
    """Ask the search that runs in `results` to continue a trial, or resume the search here; return how that ended.

    Args:
        results: the search's folder, or the URI where it is mirrored, whose working copy is resumed.
        trial: the trial's number.
        max_passes: data passes in all, those before included.
        tell: is told, in a line, what will be done.
        command: what was typed; None where Python called.
        data: where its data set lies; None looks where it was.

    Raises:
        ConfigError: the trial cannot continue, and why.
        ResultsError: there is no search, or it is damaged.
        StorageError: the URI cannot be read.
    """
    from distrecvae.errors import DistrecvaeError
    from distrecvae.files import held
    from distrecvae.search.core.requests import Request
    from distrecvae.search.folder.mailbox import Mailbox
    from distrecvae.search.living.going_on import before_going_on
    from distrecvae.search.living.steer import steer
    from distrecvae.search.living.top import standing
    from distrecvae.storage.mirror import Mirror

    request = Request(action="continue", trials=[trial], number=max_passes)
    if standing(results).runs if isinstance(results, str) else held(results):
        return steer(results, request)
    given = {} if data is None else {"data": data}
    if isinstance(results, Path):
        tell(before_going_on(results, request))
    asked = asked_search(given, extend=results, tell=tell)
    mailbox, mirror = Mailbox(asked.folder), None
    if asked.uri is not None:
        tell(before_going_on(asked.folder, request))
        mirror = Mirror(asked.folder, asked.uri, tell)
    name = mailbox.send(request)
    with quiet_imports():
        from distrecvae.search import launch

    try:
        outcome = launch.search(
            asked.config, asked.folder, resume=True, command=command, space=asked.space, mirror=mirror
        )
    except DistrecvaeError:
        mailbox.withdraw(name)  # whoever resumes the search later has not asked for it
        raise
    answer = mailbox.wait(name, 0.0)
    if answer is not None and not answer.done:
        raise ConfigError(f"{request.text()}: {answer.text}")
    left = f"\n\n{mirror.left}" if mirror is not None and mirror.left else ""
    return f"{outcome.summary}{left}"


def _train_on(given: dict[str, Any]) -> str:
    data = str(given["data"]) if "data" in given else None
    return let_train_on(
        as_place(given["results"]),
        given["trial"],
        given["max_passes"],
        tell=lambda _: None,
        command=None,
        data=data,
    )


@carried_out_by(_train_on)
def train_on(
    results: str | PathLike[str], *, trial: int, max_passes: int, data: str | PathLike[str] | None = None
) -> str:
    """Continue a trial of a search from its checkpoint, as a part of the search; return how it ended.

    A search that is running receives the request and answers; one that is not is resumed for it, in this process.

    Args:
        results: the search's folder, or the URI, as text, where it is mirrored.
        trial: the trial's number; it was finished or stopped.
        max_passes: data passes in all, at most, those before included.
        data: where its data set lies; None looks where it was.

    Raises:
        ConfigError: it cannot continue, and why.
        ResultsError: there is no search, it is damaged, or its data set is not found.
        StorageError: the URI cannot be read.
    """
    raise NotImplementedError  # never run: `carried_out_by` takes the call
