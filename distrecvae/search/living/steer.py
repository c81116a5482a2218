"""Sends a request to a running search, and waits for its answer."""

from __future__ import annotations

from pathlib import Path

from distrecvae.errors import ConfigError, ResultsError
from distrecvae.files import held
from distrecvae.layout import SEARCH_FILE
from distrecvae.search.core.requests import LASTING, Request
from distrecvae.search.folder.mailbox import Mailbox
from distrecvae.search.folder.search_json import FINISHED, RUNNING, read_description
from distrecvae.search.living.afar import send, wait
from distrecvae.storage.fetched import on_this_machine

PATIENCE_S = 60.0


def steer(place: Path | str, request: Request, *, patience_s: float = PATIENCE_S) -> str:
    """Ask the search in `place` for something, and return its answer.

    A search that nobody runs keeps a request of `LASTING` for when it is resumed, and the answer says so.

    Args:
        place: the results folder, or the URI where a search is mirrored.
        request: what is asked.
        patience_s: how long to wait for the answer.

    Raises:
        ResultsError: there is no search, it does not run, or it has not answered.
        ConfigError: what is asked cannot be done, and why.
        StorageError: the URI cannot be read, or written.
    """
    with on_this_machine(place, lambda name: name == SEARCH_FILE) as folder:
        described = read_description(folder, remedy="give the results folder of a search")
        runs = described.status == RUNNING if isinstance(place, str) else held(folder)
    if not runs:
        return _kept(place, request, described.status)
    if isinstance(place, str):
        answer = wait(place, send(place, request), patience_s)
    else:
        mailbox = Mailbox(place)
        name = mailbox.send(request)
        answer = mailbox.wait(name, patience_s, lambda: held(place))
        if answer is None and not held(place):
            # It ended meanwhile; whoever resumes it later has not asked for this.
            mailbox.withdraw(name)
            return _kept(place, request, read_description(place).status)
    if answer is None:
        raise ResultsError(
            f"{place} has not answered within {patience_s:g} s; {request.text()!r} is taken up when it looks again"
        )
    if not answer.done:
        raise ConfigError(f"{request.text()}: {answer.text}")
    return answer.text


def _kept(place: Path | str, request: Request, status: str) -> str:
    """Leave a request for when the search is resumed, and say so.

    Raises:
        ResultsError: it makes no sense then.
    """
    if request.action not in LASTING:
        state = "is over" if status == FINISHED else "does not run"
        trials = f" --trials {request.number}" if request.action == "trials" else ""
        raise ResultsError(
            f"{place} {state}, so nothing receives {request.text()!r}; resume it:"
            f" distrecvae search --extend {place}{trials}"
        )
    send(place, request) if isinstance(place, str) else Mailbox(place).send(request)
    return f"{place} does not run; taken up when it is resumed: distrecvae search --extend {place} --trials N"
