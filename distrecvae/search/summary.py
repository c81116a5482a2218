"""The summary at the end of a search: what was found, what it is worth, where it is, what to type next."""

from __future__ import annotations

import shlex
import textwrap
from collections import Counter
from collections.abc import Mapping
from typing import Any

from distrecvae.layout import BEST_FOLDER, REPORT_FILE
from distrecvae.metrics import title_of
from distrecvae.paired import what_users_tell
from distrecvae.search.commands import BLEND_IT, model_commands
from distrecvae.search.core.ahead.enough import further, said_enough
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.limits import limits_of
from distrecvae.search.core.records import BAD, Status, cut_short, no_score
from distrecvae.search.core.unasked import said_widened
from distrecvae.search.folder.best import Scored, gains
from distrecvae.search.folder.search import Search
from distrecvae.search.planning.cost import busy_s, cost_text
from distrecvae.search.space.space import SearchSpace
from distrecvae.storage.uri import below
from distrecvae.words import duration, short, with_error

WIDTH = 100


def search_summary(
    search: Search,
    ledger: Ledger,
    *,
    elapsed_s: float,
    scored: tuple[Scored, Scored | None] | None,
    interrupted: str | None,
    searched: SearchSpace | None = None,
) -> str:
    """Return the summary as plain text of at most 100 columns.

    Args:
        search: what is searched, and where.
        ledger: its trials.
        elapsed_s: seconds that its runs took together.
        scored: the chosen trial, and the first one beside it where that is another; None before the end.
        interrupted: why it is not over, in words; None where it is.
        searched: what is searched by now, where ranges changed under way; None: what it was begun with.
    """
    config, folder = search.config, search.folder
    counts = Counter(r.status for r in ledger.records.values())
    ended = counts.total() - counts[Status.RUNNING]
    parts = [f"{counts[status]} {status}" for status in Status if counts[status]]
    lines = [
        f"Searched {config.model} for {duration(elapsed_s)}: {ended} of {config.trials} trials"
        f"{' ended' if counts[Status.RUNNING] else ''} ({', '.join(parts) or 'none was started'})."
    ]
    if interrupted:
        lines.append(f"The search is not over: {interrupted}.")
    elif enough := said_enough(ledger.answers):
        lines.append(f"It ended by itself: {enough}.")
    for said in said_widened(ledger.answers):
        lines += textwrap.wrap(said, WIDTH)
    lines += _trouble(ledger)
    if (busy := busy_s(ledger.records.values())) > 0:
        lines.append(f"Its trials took {cost_text(busy, search.plan.slots, config.price_per_hour)}.")
    if scored is not None:
        lines += [
            "",
            *_scores(search, *scored),
            "",
            *_expected(search, scored[0]),
            *_verdict(search, *scored),
            "",
            *_parameters(search, *scored),
            *_limits(searched or search.space, scored[0], search.config.widen),
            *_further(search, ledger),
        ]
    elif (best := ledger.best()) is not None:
        title = title_of(config.metric)
        lines.append(f"Best so far: trial {best.number}, validation {title} {best.score:.4f}.")
    else:
        lines.append(no_score(counts.keys(), over=not interrupted))
    rows = {"results": search.place}
    if search.mirror is not None:
        rows["working copy"] = str(folder)
    rows |= {
        "the report": f"{folder / REPORT_FILE} (open it in a browser)",
        "compare the trials": shlex.join(["tensorboard", "--logdir", str(folder)]),
    }
    if scored is not None:
        rows["the model"] = below(search.place, BEST_FOLDER)
        rows |= model_commands(search.command, search.place, search.described.data, folder)
        if sum(record.has_model for record in ledger.records.values()) < 2:
            del rows[BLEND_IT]
    if interrupted:
        rows["resume"] = search.goes_on
    width = max(map(len, rows))
    lines += ["", *(f"{name:<{width}}  {value}" for name, value in rows.items())]
    return "\n".join(lines)


def _scores(search: Search, best: Scored, first: Scored | None) -> list[str]:
    rows = [
        (f"{label} (trial {scored.record.number}), {group}", evaluation)
        for label, scored in (("best", best), (search.space.start_name, first))
        if scored is not None
        for group, evaluation in (("validation", scored.valid), ("test", scored.test))
    ]
    width = max(len(label) for label, _ in rows) + 2
    names = best.valid.names
    lines = [" " * width + "".join(f"{title_of(name):>18}" for name in names)]
    for label, evaluation in rows:
        means = (with_error(evaluation.mean(name), evaluation.standard_error(name)) for name in names)
        cells = "".join(f"{mean:>18}" for mean in means)
        lines.append(f"{label:<{width}}{cells}")
    return lines


def _verdict(search: Search, best: Scored, first: Scored | None) -> list[str]:
    n_users, n_skipped = best.test.n_evaluated, best.test.n_skipped
    metric, start = search.config.metric, search.space.start_name
    if not n_users:
        text = "No test user can be scored: there is no test score (n/a)."
    elif first is not None:
        test, valid = gains(best.test, first.test)[metric], gains(best.valid, first.valid)[metric]
        text = (
            f"Against the {start} configuration: {title_of(metric)} {valid.mean:+.4f} on validation,"
            f" {test.mean:+.4f} on test (standard error {test.standard_error:.4f}, paired over"
            f" {n_users} test users). {what_users_tell(test.mean, test.standard_error, n_users)}"
            " Trials were chosen on validation users only."
        )
        if first.record.status is Status.STOPPED:
            text += cut_short(start, first.record.passes, search.config.most_passes)
    elif best.record.number == 0:
        text = f"The first trial, the {start} configuration, was not beaten (test scores: {n_users} users)."
    else:
        text = (
            f"The {start} configuration has no score to compare with. Test scores: means of {n_users} users."
        )
    if n_skipped:
        text += f" Left out of them: {n_skipped} with nothing to fold in or nothing to find."
    return textwrap.wrap(text, WIDTH)


def _expected(search: Search, best: Scored) -> list[str]:
    found, metric = best.expected, search.config.metric
    if found is None:
        return []
    text = (
        f"The best of {found.chosen_from} scores is partly luck: before any test user was looked at, {title_of(metric)}"
        f" {with_error(found.mean, found.standard_error)} was to be expected of it, where the validation users that"
        f" chose it give {best.valid.mean(metric):.4f}."
    )
    return textwrap.wrap(text, WIDTH)


def _parameters(search: Search, best: Scored, first: Scored | None) -> list[str]:
    space = search.space
    chosen = space.flatten(best.record.config)
    other: Mapping[str, Any] = space.flatten(first.record.config) if first else {}
    lines = [f"{'parameter':<28}{'best':>14}" + (f"{space.start_name:>14}" if first else "")]
    for name, value in chosen.items():
        row = f"{name:<28}{_cell(value):>14}"
        lines.append(row + (f"{_cell(other.get(name)):>14}" if first else ""))
    return lines


def _limits(space: SearchSpace, best: Scored, widens: bool) -> list[str]:
    said = limits_of(best.record, space).sentences(widens=widens)
    return ["", *textwrap.wrap(" ".join(said), WIDTH)] if said else []


def _further(search: Search, ledger: Ledger) -> list[str]:
    records, title = ledger.records.values(), title_of(search.config.metric)
    expected = further(records, trials=len(records), at_once=search.plan.slots.concurrent)
    if expected is None:
        return []
    return ["", *textwrap.wrap(f"{expected.sentence(title)} To continue: --extend.", WIDTH)]


def _trouble(ledger: Ledger) -> list[str]:
    bad = [r for r in ledger.records.values() if r.status in BAD]
    reasons = Counter((str(r.status), r.reason) for r in bad)
    return [f"  {count} {status}: {reason}" for (status, reason), count in reasons.most_common(3)]


def _cell(value: Any) -> str:
    return "-" if value is None else short(value)
