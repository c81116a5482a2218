"""`distrecvae.train_on`: continues a trial that has ended."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any

from distrecvae.api.asking import asked_search
from distrecvae.api.given import carried_out_by
from distrecvae.api.quiet import quiet_imports
from distrecvae.errors import ConfigError


def let_train_on(
    results: Path,
    trial: int,
    max_passes: int,
    *,
    tell: Callable[[str], None],
    command: str | None,
    data: str | None = None,
) -> str:
    """Ask the search that runs in `results` to continue a trial, or resume the search here; return how that ended.

    Args:
        results: the search's folder.
        trial: the trial's number.
        max_passes: data passes that it gets in all.
        tell: is told, in a line, what will be done.
        command: what was typed; None where Python called.
        data: where its data set lies; None looks where it was.

    Raises:
        ConfigError: the trial cannot continue, and why.
        ResultsError: there is no search, or it is damaged.
    """
    from distrecvae.errors import DistrecvaeError
    from distrecvae.files import held
    from distrecvae.search.core.requests import Request
    from distrecvae.search.folder.mailbox import Mailbox
    from distrecvae.search.living.going_on import before_going_on
    from distrecvae.search.living.steer import steer

    request = Request(action="continue", trials=[trial], number=max_passes)
    if held(results):
        return steer(results, request)
    tell(before_going_on(results, request))
    given = {} if data is None else {"data": data}
    asked, mailbox = asked_search(given, extend=results), Mailbox(results)
    name = mailbox.send(request)
    with quiet_imports():
        from distrecvae.search import launch

    try:
        outcome = launch.search(asked.config, results, resume=True, command=command, space=asked.space)
    except DistrecvaeError:
        mailbox.withdraw(name)  # whoever resumes the search later has not asked for it
        raise
    answer = mailbox.wait(name, 0.0)
    if answer is not None and not answer.done:
        raise ConfigError(f"{request.text()}: {answer.text}")
    return outcome.summary


def _train_on(given: dict[str, Any]) -> str:
    data = str(given["data"]) if "data" in given else None
    return let_train_on(
        Path(given["results"]),
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

    A search that runs takes it up and answers; one that does not continues for it, in this process.

    Args:
        results: the search's folder.
        trial: the trial's number; it was finished or stopped.
        max_passes: data passes that it gets in all, at most.
        data: where its data set lies; None looks where it was.

    Raises:
        ConfigError: it cannot continue, and why.
        ResultsError: there is no search, it is damaged, or its data set is not found.
    """
    raise NotImplementedError  # never run: `carried_out_by` takes the call
