"""Owns the words at the end of a search: what was found, what it is worth, where it lies, what to type next."""

from __future__ import annotations

import shlex
import textwrap
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distrecvae.evaluation import Evaluation
from distrecvae.layout import BEST_FOLDER, CONFIG_FILE, REPORT_FILE
from distrecvae.metrics import METRICS, TITLES
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.records import Status
from distrecvae.search.folder.best import Scored, gain
from distrecvae.search.space.space import SearchSpace
from distrecvae.words import duration, short

WIDTH = 100


def search_summary(
    *,
    config: SearchConfig,
    ledger: Ledger,
    space: SearchSpace,
    folder: Path,
    data: str,
    elapsed_s: float,
    scored: tuple[Scored, Scored | None] | None,
    resume_command: str,
    interrupted: str | None,
) -> str:
    """Return the summary as plain text of at most 100 columns."""
    counts = Counter(r.status for r in ledger.records.values())
    head = (
        f"Searched {config.model} for {duration(elapsed_s)}: {len(ledger.records)} of {config.trials} trials"
    )
    parts = [f"{counts[status]} {status}" for status in Status if counts[status]]
    lines = [f"{head} ({', '.join(parts)})."]
    if interrupted:
        lines.append(f"The search is not over: {interrupted}.")
    lines += _trouble(ledger)
    if scored is None:
        best = ledger.best()
        if best is not None and best.reports and best.score:
            lines.append(
                f"Best so far: trial {best.number}, validation {TITLES[config.metric]} {best.score:.4f}."
            )
        else:
            lines.append("No trial has a score.")
    else:
        start = space.start_name
        lines += [
            "",
            *_scores(start, *scored),
            "",
            *_verdict(config, start, *scored),
            "",
            *_parameters(space, start, *scored),
        ]
    quoted = shlex.quote(str(folder))
    rows = [
        ("results", f"{folder}"),
        ("the report", f"{folder / REPORT_FILE} (open it in a browser)"),
        ("compare the trials", f"tensorboard --logdir {quoted}"),
    ]
    if scored is not None:
        best_folder = shlex.quote(str(folder / BEST_FOLDER))
        model = shlex.quote(str(folder / BEST_FOLDER / CONFIG_FILE))
        rows += [
            ("the model", str(folder / BEST_FOLDER)),
            ("score it again", f"distrecvae evaluate --model {best_folder} --data {shlex.quote(data)}"),
            (
                "train it again",
                f"distrecvae train --data {shlex.quote(data)} --config {model} --out {quoted}-train",
            ),
        ]
    if interrupted:
        rows.append(("go on", resume_command))
    width = max(len(name) for name, _ in rows)
    lines += ["", *(f"{name:<{width}}  {value}" for name, value in rows)]
    return "\n".join(lines)


def _scores(start: str, best: Scored, published: Scored | None) -> list[str]:
    rows = [
        (f"{label} (trial {scored.record.number}), {group}", evaluation)
        for label, scored in (("best", best), (start, published))
        if scored is not None
        for group, evaluation in (("validation", scored.valid), ("test", scored.test))
    ]
    width = max(len(label) for label, _ in rows) + 2
    lines = [" " * width + "".join(f"{TITLES[name]:>18}" for name in METRICS)]
    for label, evaluation in rows:
        cells = "".join(f"{_with_error(evaluation, name):>18}" for name in METRICS)
        lines.append(f"{label:<{width}}{cells}")
    return lines


def _verdict(config: SearchConfig, start: str, best: Scored, published: Scored | None) -> list[str]:
    n_users, n_skipped = best.test.n_evaluated, best.test.n_skipped
    if published is not None:
        title = TITLES[config.metric]
        test = gain(best.test, published.test)[config.metric]
        valid = gain(best.valid, published.valid)[config.metric]
        sure = "more" if abs(test["mean"]) > 2 * test["standard_error"] else "not more"
        text = (
            f"Against the {start} configuration: {title} {valid['mean']:+.4f} on validation,"
            f" {test['mean']:+.4f} on test (standard error {test['standard_error']:.4f}, paired over"
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


def _parameters(space: SearchSpace, start: str, best: Scored, published: Scored | None) -> list[str]:
    chosen = space.flatten(best.record.config)
    other: Mapping[str, Any] = space.flatten(published.record.config) if published else {}
    lines = [f"{'parameter':<28}{'best':>14}" + (f"{start:>14}" if published else "")]
    for name, value in chosen.items():
        row = f"{name:<28}{_cell(value):>14}"
        lines.append(row + (f"{_cell(other.get(name)):>14}" if published else ""))
    return lines


def _trouble(ledger: Ledger) -> list[str]:
    bad = [r for r in ledger.records.values() if r.status in (Status.FAILED, Status.DIVERGED)]
    reasons = Counter((str(r.status), r.reason) for r in bad)
    return [f"  {count} {status}: {reason}" for (status, reason), count in reasons.most_common(3)]


def _with_error(evaluation: Evaluation, name: str) -> str:
    return f"{evaluation.mean(name):.4f} ± {evaluation.standard_error(name):.4f}"


def _cell(value: Any) -> str:
    return "-" if value is None else short(value)
