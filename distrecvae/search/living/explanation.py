"""Explains a trial: what is known of how it was proposed and judged, as a page for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from distrecvae.metrics import title_of
from distrecvae.search.core.guided.belief import DRAWS, is_believed
from distrecvae.search.core.records import TrialRecord
from distrecvae.search.core.rules import Judgement
from distrecvae.search.folder.search_json import Description
from distrecvae.search.space.space import SearchSpace
from distrecvae.words import counted, short

WIDTH = 100
MOST_RIVALS = 8


START, WARM, STARTUP, PROPOSED, ADDED = "start", "warm start", "start-up", "proposed", "added"
"""How trials come to their configuration."""


@dataclass(frozen=True)
class Origin:
    """How a trial was proposed, and what was known by then.

    Attributes:
        kind: `START`, `WARM`, `STARTUP` (drawn from the whole space, some of the start kept), `PROPOSED` or `ADDED`.
        kept: entries of the space that were the start's before anything was drawn.
        ended: trials that had ended.
        running: trials that were under way.
        best: the leading trial then and its score; None where none had one.
        again: whether the sampler, asked again with the ledger as it stood, proposes the same; None where it was not.
        good: trials that TPE held to be good; empty for other samplers, and before it leans on any.
        others: trials that it held against them.
        ratios: by entry of the space, how many times likelier its values are among the good ones than among the others.
    """

    kind: str
    kept: tuple[str, ...]
    ended: int
    running: int
    best: tuple[int, float] | None
    again: bool | None
    good: tuple[int, ...] = ()
    others: tuple[int, ...] = ()
    ratios: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Why:
    """All that the ledger tells of a trial.

    Attributes:
        folder: the search's, or its URI.
        described: `search.json`.
        record: the trial as it stands.
        rank: its place among the trials that have a score, 1 for the best; None where it has none.
        n_ranked: how many these are.
        origin: how it was proposed.
        judgements: what it was held to, by the passes of it.
        revived: why the search continued it after it had stopped it, by the passes that it had then.
        leader: the best trial as it stands.
        records: all trials.
    """

    folder: Path | str
    described: Description
    record: TrialRecord
    rank: int | None
    n_ranked: int
    origin: Origin
    judgements: tuple[Judgement, ...]
    revived: Mapping[int, str]
    leader: TrialRecord | None
    records: Mapping[int, TrialRecord]

    @property
    def space(self) -> SearchSpace:
        """What was searched."""
        return self.described.searched()

    def __str__(self) -> str:
        return why_text(self)


def why_text(why: Why) -> str:
    """Return what is known of a trial, in paragraphs of at most 100 columns."""
    rows = parameter_rows(why)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    outcome, *rest = paragraphs(why)
    outcome = f"Trial {why.record.number} of {why.folder}: {outcome}"
    return "\n\n".join(
        [*("\n".join(textwrap.wrap(each, WIDTH)) for each in (outcome, *rest)), "\n".join(lines)]
    )


def paragraphs(why: Why) -> list[str]:
    """Return how a trial ended, what it was held to, whose curve it lost to, and how it was proposed, part by part."""
    judged = [_judged(why, each) + _continued(why, each) for each in why.judgements]
    return [_outcome(why), *judged, *filter(None, [_beaten(why)]), _origin(why)]


def _outcome(why: Why) -> str:
    record, title = why.record, title_of(why.described.settings.metric)
    reason = f" ({record.reason})" if record.reason else ""
    if record.score is None:
        return f"{record.status}{reason}, without a score."
    at = record.best_report(f"valid/{why.described.settings.metric}") or {}
    best = f", best at {at['passes']} of its {record.passes} passes" if at else ""
    return (
        f"{record.status}{reason}; validation {title} {record.score:.4f}{best},"
        f" rank {why.rank} of {counted(why.n_ranked, 'trial', 'trials')} with a score."
    )


def _judged(why: Why, judged: Judgement) -> str:
    """Return what the trial was held to at a rung, or by the median rule, in a sentence or two."""
    own = why.record.number
    rank = 1 + sum(value > judged.value for value in judged.values.values())
    n = len({*judged.values, own})
    if judged.stops:
        whose = f" (trial {judged.holder})" if judged.holder is not None else ""
        said = f"to continue it needed {judged.bar:.4f}{whose}. It was stopped."
    elif n == 1:
        said = "the first to get there, it continued."
    else:
        said = f"{judged.bar:.4f} was enough to continue."
    rivals = sorted(
        ((number, value) for number, value in judged.values.items() if number != own),
        key=lambda rival: (-rival[1], rival[0]),
    )
    named = ", ".join(f"{number} ({value:.4f})" for number, value in rivals[:MOST_RIVALS])
    more = f" and {len(rivals) - MOST_RIVALS} more" if len(rivals) > MOST_RIVALS else ""
    against = f" Rivals there, the best first: {named}{more}." if rivals else ""
    return f"At {judged.passes} passes it had {judged.value:.4f}, rank {rank} of {n}: {said}{against}"


def _continued(why: Why, judged: Judgement) -> str:
    """Return why the search continued what it stopped there; "" where it did not."""
    there = next((passes for passes in why.revived if judged.stops and passes >= judged.passes), None)
    later = any(judged.passes < each.passes <= (there or 0) for each in why.judgements)
    return "" if there is None or later else f" Later the search continued it: {why.revived[there]}."


def _beaten(why: Why) -> str:
    """Return which curve it lost to in the end: the leader's, beside its own, at the same passes."""
    record, leader = why.record, why.leader
    if leader is None or leader.number == record.number or not record.reports:
        return ""
    there = _at(leader, record.passes)
    beside = "" if there is None else f" After as many passes ({record.passes}) that one had {there:.4f}."
    final = f"{leader.score:.4f} at {leader.passes} passes"
    return f"The best is trial {leader.number} with {final}; this one has {record.score or 0.0:.4f}.{beside}"


def _at(record: TrialRecord, passes: int) -> float | None:
    """Return a trial's running best after so many passes; None before its first report."""
    before = [
        best for report, best in zip(record.reports, record.best, strict=True) if report["passes"] <= passes
    ]
    return before[-1] if before else None


def _origin(why: Why) -> str:
    origin, sampler = why.origin, why.described.settings.proposer
    known = counted(origin.ended, "trial", "trials") + " had ended"
    known += f", {origin.running} ran" if origin.running else ""
    if origin.best is not None:
        known += f", the best was trial {origin.best[0]} with {origin.best[1]:.4f}"
    said = {
        START: f"It is where the space starts: the {why.space.start_name} configuration.",
        WARM: f"It was taken over from the search that this one began with. By then {known}.",
        STARTUP: f"{_drawn(why)} By then {known}.",
        ADDED: f"It was added by hand (`distrecvae steer`). By then {known}.",
        PROPOSED: f"It was proposed by {sampler}. By then {known}.",
    }[origin.kind]
    if origin.good:
        said += (
            f" {sampler} counted {_numbers(origin.good)} as good, and drew what is likelier among these than among the"
            f" other {len(origin.others)}."
        )
    if origin.again is None:
        return said
    return said + (
        " Asked again with the ledger as it stood, it proposes the same."
        if origin.again
        else " Asked again with the ledger as it stood, it proposes something else: another version of Optuna, or of"
        " distrecvae, made this proposal."
    )


def _drawn(why: Why) -> str:
    sampler = why.described.settings.proposer
    if sampler == "guided" and why.space.expected() and is_believed(why.record.number):
        return (
            f"It is the best of {DRAWS} draws by what the space says is likely, as every second of the first trials of"
            f" {sampler}."
        )
    kept = ", ".join(why.origin.kept) or "nothing"
    return f"It was drawn from the whole space, as {sampler} does at first, with {kept} kept as the space starts."


def _numbers(numbers: Sequence[int]) -> str:
    return f"{'trial' if len(numbers) == 1 else 'trials'} {', '.join(map(str, numbers))}"


def parameter_rows(why: Why) -> list[list[str]]:
    """Return a head and a row an entry of the space: this trial's value, the start's, the best's, what spoke for it."""
    space, origin, records = why.space, why.origin, why.records
    leader = origin.best[0] if origin.best is not None and origin.best[0] != why.record.number else None
    head = ["parameter", f"trial {why.record.number}", "the start"]
    head += [f"trial {leader}, best then"] if leader is not None else []
    head += ["likelier among the good"] if origin.ratios else []
    rows = [head]
    for name, parameter in space.parameters.items():
        row = [name]
        for config in (
            why.record.config,
            space.base,
            *([records[leader].config] if leader is not None else []),
        ):
            values = [value for value in parameter.flatten(name, config).values() if value is not None]
            row.append(" ".join(short(value) for value in values))
        if origin.ratios:
            row.append(f"{origin.ratios[name]:.2g} times" if name in origin.ratios else "-")
        rows.append(row)
    return rows
