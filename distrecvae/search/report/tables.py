"""The tables of a report: configurations, trials, what was asked, what made it; plain text, no HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from distrecvae.metrics import on_validation, title_of
from distrecvae.search.core.records import BAD
from distrecvae.search.report.axes import label_of
from distrecvae.search.report.data import SearchResults, Trial
from distrecvae.words import duration


@dataclass(frozen=True)
class Table:
    """Rows of cells, under a head where it is not empty.

    Attributes:
        head: names of the columns.
        rows: their cells.
        trials: the column whose cells are numbers of trials, to be clicked on; None for none.
        about: what the table is, for those who hear the page.
        links: a place in the page for each row, that its first cell leads to; empty for none.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    trials: int | None = None
    about: str = ""
    links: Sequence[str] = ()


def parameters_table(results: SearchResults) -> Table | None:
    """Return the best configuration beside the first one; None without a best trial or parameters."""
    best = results.best
    if best is None or not best.values:
        return None
    first, start = results.trials[0], results.space.start_name
    both = best.number != first.number
    rows = [
        [name, _cell(value), *([_cell(first.values[name])] if both else [])]
        for name, value in best.values.items()
    ]
    return Table(
        ["parameter", f"best (trial {best.number})", *([start] if both else [])], rows, about="Configuration"
    )


def trials_table(results: SearchResults, trials: Sequence[Trial]) -> Table:
    """Return a row a trial: rank, outcome, cost, values."""
    ranks = {trial.number: rank for rank, trial in enumerate(results.scored, 1)}
    names = list(results.space.names())
    rows = [
        [
            str(ranks.get(t.number, "-")), str(t.number), t.outcome,
            "-" if t.score is None else f"{t.score:.4f}",
            str(t.passes), duration(t.duration_s), *(_cell(t.values[name]) for name in names),
        ]
        for t in trials
    ]  # fmt: skip
    head = ["rank", "trial", "status", title_of(results.metric), "passes", "time", *names]
    return Table(head, rows, trials=1, about="Trials")


def trouble_table(results: SearchResults) -> Table | None:
    """Return a row a trial that diverged or failed, with its reason; None where there is none."""
    bad = [trial for trial in results.trials if trial.status in BAD]
    names = list(results.space.names())
    rows = [
        [str(t.number), str(t.status), str(t.passes), t.reason, *(_cell(t.values[n]) for n in names)]
        for t in bad
    ]
    head = ["trial", "status", "passes", "reason", *names]
    return Table(head, rows, trials=0, about="Failed and diverged trials") if rows else None


def asked_table(results: SearchResults) -> Table | None:
    """Return a row a thing that was asked of the search while it ran; None where nothing was."""
    rows = [
        [
            duration(each.at_s),
            "itself" if each.by_itself else "hand",
            each.what,
            "done" if each.done else "refused",
            each.answer,
        ]
        for each in results.asked
    ]
    head = ["after", "by", "asked", "", "answer"]
    return Table(head, rows, about="What was asked of the search") if rows else None


def provenance(results: SearchResults) -> Table:
    """Return the command and the versions that made the search."""
    described, settings, plan = results.described, results.settings, results.described.plan
    rows = [
        ["command", described.command],
        ["started", described.started],
        ["data", f"{described.data} (fingerprint {described.dataset.fingerprint})"],
        ["space", settings.space or f"{settings.model}'s own: {results.space.description}"],
        ["search", f"sampler {settings.proposer}, scheduler {settings.scheduler}, seed {settings.seed},"
                   f" chosen by {on_validation(settings.metric)}, at most {settings.most_passes} passes a trial"],
        *([] if described.warm_start is None else [["warm start", described.warm_start.text()]]),
        ["machine", f"{described.platform}; {plan.device_name}, {plan.precision}"],
        ["distrecvae", described.distrecvae],
        *([name, number] for name, number in described.versions.items()),
    ]  # fmt: skip
    return Table([], rows, about="What made it")


def _cell(value: Any) -> str:
    return "-" if value is None else label_of(value)
