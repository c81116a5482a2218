"""What the page shows of a trial that is clicked on: its curve, its configuration, and why it ended as it did."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from distrecvae.search.living.explanation import paragraphs, parameter_rows
from distrecvae.search.report.axes import label_of
from distrecvae.search.report.data import SearchResults, Trial


def cards(results: SearchResults) -> dict[int, dict[str, Any]]:
    """Return, by number, what is shown of each trial; JSON-able.

    A card has `outcome`; `says`, its paragraphs; `head` and `rows`, the configuration; `curve`, (passes, score) points;
    `beside`, numbers of trials whose curves belong beside it and what they are; `better` and `worse`, its neighbours
    by rank or None; `ask`, the command that says the same.
    """
    ranked = [trial.number for trial in results.scored]
    places = {number: place for place, number in enumerate(ranked)}

    def neighbour(number: int, step: int) -> int | None:
        place = places.get(number, -1) + step
        return ranked[place] if number in places and 0 <= place < len(ranked) else None

    return {
        trial.number: {
            "outcome": trial.outcome,
            **_told(results, trial),
            "curve": [(point.passes, point.value) for point in trial.curve],
            "beside": _beside(results, trial),
            "better": neighbour(trial.number, -1),
            "worse": neighbour(trial.number, 1),
            "ask": shlex.join(["distrecvae", "why", str(results.folder), "--trial", str(trial.number)]),
        }
        for trial in results.trials
    }


def _told(results: SearchResults, trial: Trial) -> Mapping[str, Any]:
    """Return the words and the table of a trial; without an explanation, its outcome and its values."""
    if (why := results.why.get(trial.number)) is not None:
        head, *rows = parameter_rows(why)
        return {"says": [_capital(part) for part in paragraphs(why)], "head": head, "rows": rows}
    score = "no score" if trial.score is None else f"best score {trial.score:.4f}"
    said = f"{trial.outcome}{f' ({trial.reason})' if trial.reason else ''}: {score}, {trial.passes} passes."
    rows = [[name, "-" if value is None else label_of(value)] for name, value in trial.values.items()]
    return {"says": [_capital(said)], "head": ["parameter", f"trial {trial.number}"], "rows": rows}


def _beside(results: SearchResults, trial: Trial) -> list[tuple[int, str]]:
    """Return the trials whose curves are shown beside this one's: whose bar it missed, the best, the start."""
    found: dict[int, str] = {}
    why = results.why.get(trial.number)
    last = why.judgements[-1] if why is not None and why.judgements else None
    if last is not None and last.stops and last.holder is not None:
        found[last.holder] = "whose score it had to reach"
    if results.best is not None:
        found.setdefault(results.best.number, "the best")
    found.setdefault(0, "the start")
    return [(number, what) for number, what in found.items() if number != trial.number]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
