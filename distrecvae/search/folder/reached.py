"""Says of a results folder how far its search reached: the limits of its best trial, and ranges that grew under way."""

from __future__ import annotations

from pathlib import Path

from distrecvae.layout import LEDGER_FILE
from distrecvae.search.core.chain import read_chain
from distrecvae.search.core.ledger import answers_in, records_of
from distrecvae.search.core.limits import Limits, limits_of
from distrecvae.search.core.records import leading
from distrecvae.search.core.steering import steered_space
from distrecvae.search.core.unasked import said_widened
from distrecvae.search.folder.search_json import read_description


def limits_in(folder: Path, metric: str) -> Limits | None:
    """Return the limits that the best trial met, in the ranges as they are by now; None while no trial has a model.

    Args:
        folder: the results folder.
        metric: the key of the reports that is maximised.

    Raises:
        ResultsError: there is no search, or a file is damaged.
    """
    path = folder / LEDGER_FILE
    lines = read_chain(path).records
    best = leading(records_of(lines, metric, path).values())
    if best is None:
        return None
    described = read_description(folder)
    return limits_of(best, steered_space(lines, described.settings, described.searched()))


def widened_in(folder: Path) -> tuple[str, ...]:
    """Return which ranges the search widened by itself, and why: a sentence each.

    Raises:
        ResultsError: the ledger is missing, or damaged.
    """
    return tuple(said_widened(answers_in(read_chain(folder / LEDGER_FILE).records)))
