"""The table of a comparison: a row a model, whom the best one beats, as text, Markdown and CSV."""

from __future__ import annotations

import csv
import io
import json
import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distrecvae.data.dataset import Split
from distrecvae.evaluation import Evaluation, Scoring, evaluate
from distrecvae.layout import BEST_FOLDER
from distrecvae.metrics import METRICS, title_of
from distrecvae.paired import interval, users_in_words, users_to_tell
from distrecvae.saved.model import load_model
from distrecvae.search.comparison.significance import LEVEL, Difference, differences
from distrecvae.search.folder.search_json import read_description
from distrecvae.search.folder.tables import read_trials
from distrecvae.training.device import usable_device
from distrecvae.training.registry import config_to_dict
from distrecvae.words import duration, short, with_error


@dataclass(frozen=True)
class Row:
    """What a model's search found.

    Attributes:
        name: of the row.
        model: registry name.
        config: the chosen configuration, JSON-able.
        valid: its scores on the validation users, by which it was chosen.
        test: its scores on the test users.
        trials: configurations tried.
        search_s: seconds of the search, from its start to its end.
        train_s: seconds of the chosen trial, its validation included.
        n_parameters: numbers in the chosen model.
    """

    name: str
    model: str
    config: dict[str, Any]
    valid: Evaluation
    test: Evaluation
    trials: int
    search_s: float
    train_s: float
    n_parameters: int


def read_row(name: str, folder: Path, split: Split, metrics: Sequence[str] = METRICS) -> Row:
    """Return the row of a finished search: its model, loaded from `best/`, scores the users again."""
    loaded = load_model(folder / BEST_FOLDER, usable_device(None))
    trials = read_trials(folder)
    scoring = Scoring.of(metrics, split.train)
    chosen = trials["trial"] == loaded.metrics["trial"]
    return Row(
        name=name,
        model=loaded.model,
        config=config_to_dict(loaded.config),
        valid=evaluate(loaded.recommender, split.valid, scoring),
        test=evaluate(loaded.recommender, split.test, scoring),
        trials=len(trials),
        search_s=read_description(folder).elapsed_s,
        train_s=float(trials.loc[chosen, "duration_s"].iloc[0]),
        n_parameters=loaded.n_parameters,
    )


def ranked(rows: Sequence[Row], metric: str) -> list[tuple[Row, Difference | None]]:
    """Return the rows by their validation score, best first, each with what the first gains over it on test users.

    Which model is called the best is decided on validation users, so that its test score is one that nobody picked.
    """
    ordered = sorted(rows, key=lambda row: -row.valid.mean(metric))
    best, others = ordered[0], ordered[1:]
    gains = differences(best.test.per_user[metric], {row.name: row.test.per_user[metric] for row in others})
    return [(best, None), *((row, gains[row.name]) for row in others)]


def _behind(gain: Difference | None, digits: int) -> str:
    if gain is None:
        return "-"
    return with_error(gain.mean, gain.standard_error, digits=digits) + ("*" if gain.significant else "")


def _p(gain: Difference | None) -> str:
    if gain is None or math.isnan(gain.mean):
        return "-"
    return "< 0.001" if gain.adjusted < 0.001 else f"{gain.adjusted:.3f}"


def legend(metric: str, n_users: int) -> str:
    """Return how the table is read."""
    return (
        f"Rows by validation {title_of(metric)}, on which each configuration was chosen. Test users: {n_users:,},"
        " scored once for each chosen model; ± is the standard error of a mean. Behind the best: the mean difference of"
        f" test {title_of(metric)} over the same users and its standard error; p of a paired t-test, Holm-corrected for"
        f" the number of rows; * below {LEVEL:g}. Search: time by the clock; best trial: training and validation."
    )


def left_open(rows: Sequence[Row], metric: str) -> str:
    """Return which rows these test users cannot tell from the best one, and how many users could; empty if none.

    Intervals are Bonferroni's, which leave out zero only where Holm's test, which is sharper, finds a difference.
    """
    gains = [(row, gain) for row, gain in ranked(rows, metric) if gain is not None]
    parts = []
    for row, gain in gains:
        if gain.significant or math.isnan(gain.mean):
            continue
        confidence, n_users = 1 - LEVEL / len(gains), row.test.n_evaluated
        low, high = interval(gain.mean, gain.standard_error, n_users, confidence)
        needed = users_to_tell(gain.mean, gain.standard_error, n_users, confidence)
        takes = f"; one as large as measured takes {users_in_words(needed)} to show" if gain.mean else ""
        parts.append(f"{row.name} (between {low:+.4f} and {high:+.4f}{takes})")
    if not parts:
        return ""
    best = ranked(rows, metric)[0][0].name
    return (
        f"Not told apart from {best} by these test users, which does not make them equal: {', '.join(parts)}."
        f" Intervals of the difference hold together at {1 - LEVEL:.0%}."
    )


def table_text(rows: Sequence[Row], metric: str, n_users: int) -> str:
    """Return the table for a terminal of 100 columns: errors of the selection metric only."""
    others = [name for name in rows[0].test.names if name != metric]
    lines = [
        ["", "valid", f"test {title_of(metric)}", *(title_of(name) for name in others), "behind the best", "trials",
         "search", "parameters"]
    ]  # fmt: skip
    for row, gain in ranked(rows, metric):
        lines.append(
            [
                row.name,
                f"{row.valid.mean(metric):.4f}",
                with_error(row.test.mean(metric), row.test.standard_error(metric), digits=3),
                *(with_error(row.test.mean(name), None) for name in others),
                _behind(gain, 3),
                str(row.trials),
                duration(row.search_s),
                f"{row.n_parameters:,}",
            ]
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    text = [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    parts = [textwrap.wrap(part, 100) for part in (legend(metric, n_users), left_open(rows, metric)) if part]
    return "\n".join([*text, *(line for part in parts for line in ("", *part))])


def table_markdown(rows: Sequence[Row], metric: str, n_users: int) -> str:
    """Return the table as Markdown, how it is read below it, the chosen configurations last."""
    scored = rows[0].test.names
    head = [
        "model", f"valid {title_of(metric)}", *(f"test {title_of(name)}" for name in scored), "behind the best", "p",
        "trials", "search", "best trial", "parameters",
    ]  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    order = ranked(rows, metric)
    for row, gain in order:
        cells = [
            row.name if gain is not None else f"**{row.name}**",
            f"{row.valid.mean(metric):.4f}",
            *(with_error(row.test.mean(name), row.test.standard_error(name)) for name in scored),
            _behind(gain, 4).replace("*", "\\*"),
            _p(gain),
            str(row.trials),
            duration(row.search_s),
            duration(row.train_s),
            f"{row.n_parameters:,}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", legend(metric, n_users).replace("*", "\\*"), ""]
    if open_ends := left_open(rows, metric):
        lines += [open_ends, ""]
    lines += ["| model | chosen configuration |", "| --- | --- |"]
    lines += [f"| {row.name} | `{_settings(row.config)}` |" for row, _ in order]
    return "\n".join(lines) + "\n"


def table_csv(rows: Sequence[Row], metric: str) -> str:
    """Return the table as CSV, numbers in full."""
    out = io.StringIO()
    names = [
        "name", "model", *(f"{group}_{scored}{part}" for group in ("valid", "test") for scored in rows[0].test.names
                           for part in ("", "_standard_error")),
        "n_test_users", f"behind_{metric}", f"behind_{metric}_standard_error", "p_value", "p_value_holm",
        "trials", "search_s", "best_trial_s", "n_parameters", "config",
    ]  # fmt: skip
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    for row, gain in ranked(rows, metric):
        scores = [
            "" if math.isnan(value) else value
            for evaluation in (row.valid, row.test)
            for name in row.test.names
            for value in (evaluation.mean(name), evaluation.standard_error(name))
        ]
        tested = (
            ["", "", "", ""]
            if gain is None or math.isnan(gain.mean)
            else [gain.mean, gain.standard_error, gain.p_value, gain.adjusted]
        )
        writer.writerow(
            [row.name, row.model, *scores, row.test.n_evaluated, *tested, row.trials, row.search_s, row.train_s,
             row.n_parameters, json.dumps(row.config)]
        )  # fmt: skip
    return out.getvalue()


def _settings(config: dict[str, Any]) -> str:
    return " ".join(f"{name}={short(value)}" for name, value in config.items())
