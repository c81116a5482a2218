"""Owns the words at the end of a search: what was found, what it is worth, where it lies, what to type next."""

from __future__ import annotations

import shlex
import textwrap
from collections import Counter
from collections.abc import Mapping
from typing import Any

from distrecvae.layout import BEST_FOLDER, REPORT_FILE
from distrecvae.metrics import METRICS, TITLES
from distrecvae.search.commands import model_commands
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.records import BAD, Status, no_score
from distrecvae.search.folder.best import Scored, gains
from distrecvae.search.folder.search import Search
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
) -> str:
    """Return the summary as plain text of at most 100 columns.

    Args:
        search: what is searched, and where.
        ledger: its trials.
        elapsed_s: seconds that its runs took together.
        scored: the chosen trial, and the first one beside it where that is another; None before the end.
        interrupted: why it is not over, in words; None where it is.
    """
    config, folder = search.config, search.folder
    counts = Counter(r.status for r in ledger.records.values())
    head = (
        f"Searched {config.model} for {duration(elapsed_s)}: {len(ledger.records)} of {config.trials} trials"
    )
    parts = [f"{counts[status]} {status}" for status in Status if counts[status]]
    lines = [f"{head} ({', '.join(parts)})."]
    if interrupted:
        lines.append(f"The search is not over: {interrupted}.")
    lines += _trouble(ledger)
    if scored is not None:
        lines += [
            "",
            *_scores(search, *scored),
            "",
            *_verdict(search, *scored),
            "",
            *_parameters(search, *scored),
        ]
    elif (best := ledger.best()) is not None:
        title = TITLES[config.metric]
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
        rows |= model_commands(search.command, search.place, search.described.data)
    if interrupted:
        rows["go on"] = search.goes_on
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
    lines = [" " * width + "".join(f"{TITLES[name]:>18}" for name in METRICS)]
    for label, evaluation in rows:
        means = (with_error(evaluation.mean(name), evaluation.standard_error(name)) for name in METRICS)
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
        sure = "more" if abs(test.mean) > 2 * test.standard_error else "not more"
        text = (
            f"Against the {start} configuration: {TITLES[metric]} {valid.mean:+.4f} on validation,"
            f" {test.mean:+.4f} on test (standard error {test.standard_error:.4f}, paired over"
            f" {n_users} test users): {sure} than twice its standard error."
            " Trials were chosen on validation users only."
        )
    elif best.record.number == 0:
        text = f"The first trial, the {start} configuration, was not beaten (test scores: {n_users} users)."
    else:
        text = (
            f"The {start} configuration has no score to compare with. Test scores: means of {n_users} users."
        )
    if n_skipped:
        text += f" Left out of them: {n_skipped} with nothing to fold in or nothing to find."
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


def _trouble(ledger: Ledger) -> list[str]:
    bad = [r for r in ledger.records.values() if r.status in BAD]
    reasons = Counter((str(r.status), r.reason) for r in bad)
    return [f"  {count} {status}: {reason}" for (status, reason), count in reasons.most_common(3)]


def _cell(value: Any) -> str:
    return "-" if value is None else short(value)
