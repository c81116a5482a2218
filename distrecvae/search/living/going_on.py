"""Checks whether a trial that has ended can be continued, and from where."""

from __future__ import annotations

from pathlib import Path

from distrecvae.layout import LEDGER_FILE
from distrecvae.metrics import on_validation
from distrecvae.search.core.chain import read_chain
from distrecvae.search.core.ledger import read_records
from distrecvae.search.core.requests import Request
from distrecvae.search.core.states import TrialStates
from distrecvae.search.core.steering import Steering
from distrecvae.search.folder.search_json import read_description


def before_going_on(folder: Path, request: Request) -> str:
    """Return in a line what a `continue` will do: resume from the trial's checkpoint, or start over if that is gone.

    Raises:
        ResultsError: there is no search in `folder`, or it is damaged.
        ConfigError: the trial cannot continue, and why.
    """
    described = read_description(folder, remedy="give the results folder of a search")
    records = read_records(folder, on_validation(described.settings.metric))
    steering = Steering(described.searched(), described.settings, concurrent=described.plan.concurrent)
    steering.replay(read_chain(folder / LEDGER_FILE).records)
    said = steering.check(request, records)
    (number,) = request.trials
    kept = TrialStates(folder).latest(number)
    if kept is None:
        return f"{said}; its checkpoint is not kept, so it is trained again from its first pass"
    return f"{said}; its checkpoint has {kept.passes} passes"
