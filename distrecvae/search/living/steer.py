"""The asking side of steering: a request is left with a search that runs, and its answer waited for."""

from __future__ import annotations

from pathlib import Path

from distrecvae.errors import ConfigError, ResultsError
from distrecvae.files import held
from distrecvae.search.core.requests import Request
from distrecvae.search.folder.mailbox import Mailbox
from distrecvae.search.folder.search_json import read_description

PATIENCE_S = 60.0
KEPT = ("add", "narrow", "widen", "fix")
"""What makes sense for a search that nobody runs: it is taken up when that goes on."""


def steer(folder: Path, request: Request, *, patience_s: float = PATIENCE_S) -> str:
    """Ask the search in `folder` for something, and return its answer.

    A search that nobody runs keeps a request of `KEPT` for when it goes on, and the answer says so.

    Args:
        folder: the results folder.
        request: what is asked.
        patience_s: how long to wait for the answer.

    Raises:
        ResultsError: there is no search, it does not run, or it has not answered.
        ConfigError: what is asked cannot be done, and why.
    """
    described = read_description(folder, remedy="give the results folder of a search")
    if not held(folder):
        if request.action not in KEPT:
            state = "is over" if described.status == "finished" else "does not run"
            trials = f" --trials {request.number}" if request.action == "trials" else ""
            raise ResultsError(
                f"{folder} {state}, so nobody hears {request.text()!r}; go on with it:"
                f" distrecvae search --extend {folder}{trials}"
            )
        Mailbox(folder).send(request)
        return (
            f"{folder} does not run; taken up when it goes on: distrecvae search --extend {folder} --trials N"
        )
    mailbox = Mailbox(folder)
    name = mailbox.send(request)
    answer = mailbox.wait(name, patience_s)
    if answer is None:
        raise ResultsError(
            f"{folder} has not answered within {patience_s:g} s; {request.text()!r} is taken up when it looks again"
        )
    if not answer.done:
        raise ConfigError(f"{request.text()}: {answer.text}")
    return answer.text
