"""The table of a comparison: a row a model, whom the best one beats, as text, Markdown and CSV."""

from __future__ import annotations

import csv
import io
import json
import math
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

from distrecvae.evaluation import Evaluation
from distrecvae.metrics import title_of
from distrecvae.paired import effect_size, interval, users_in_words, users_to_tell
from distrecvae.search.comparison.row import Row, valid_mean
from distrecvae.search.comparison.significance import LEVEL, Difference, differences
from distrecvae.words import duration, short, with_error


def ranked(rows: Sequence[Row], metric: str) -> list[tuple[Row, Difference | None]]:
    """Return the rows by their validation score, best first, each with what the first gains over it on test users.

    Which model is called the best is decided on validation users, so that its test score is one that nobody picked.
    Systems without a validation score stand last, among themselves by their test scores, whatever these are.
    """
    ordered = sorted(rows, key=lambda row: _place(row, metric))
    gains = gains_over_all(ordered, metric)
    return [(row, gains.get(row.name)) for row in ordered]


def _place(row: Row, metric: str) -> tuple[bool, float]:
    known = row.valid is not None
    return not known, -(valid_mean(row, metric) if known else row.test.mean(metric))


def gains_over_all(ordered: Sequence[Row], metric: str) -> dict[str, Difference]:
    """Return what the first row gains over each other one on test users, by name, Holm-corrected for their number."""
    best, others = ordered[0], ordered[1:]
    return differences(best.test.per_user[metric], {row.name: row.test.per_user[metric] for row in others})


def seeds_in(rows: Sequence[Row]) -> bool:
    """Tell whether any row is of several seeds."""
    return any(row.seeds is not None for row in rows)


def over_seeds(row: Row, metric: str) -> float:
    """Return the standard error over seeds; not a number where there are none, or a single one."""
    return math.nan if row.seeds is None else row.seeds.standard_error(metric)


def _behind(gain: Difference | None, digits: int) -> str:
    if gain is None:
        return "-"
    return with_error(gain.mean, gain.standard_error, digits=digits) + ("*" if gain.significant else "")


def _p(gain: Difference | None) -> str:
    if gain is None or math.isnan(gain.mean):
        return "-"
    return "< 0.001" if gain.adjusted < 0.001 else f"{gain.adjusted:.3f}"


def legend(metric: str, n_users: int, rows: Sequence[Row] = ()) -> str:
    """Return how the table is read; `rows` say whether there are seeds, and systems that were trained elsewhere."""
    skipped = max((row.test.n_skipped for row in rows), default=0)
    without = f" ({skipped:,} left out, with nothing to fold in or nothing to find)" if skipped else ""
    text = (
        f"Rows by validation {title_of(metric)}, on which each configuration was chosen. Test users:"
        f" {n_users:,}{without}, scored once for each chosen model; ± is the standard error of a mean."
        f" Behind the best: the mean difference of test {title_of(metric)} over the same users and its standard error;"
        f" p of a paired t-test, Holm-corrected for the number of rows; * below {LEVEL:g}. Search: time by the clock;"
        " best trial: training and validation."
    )
    if seeds_in(rows):
        counts = sorted({row.seeds.count for row in rows if row.seeds is not None})
        text += (
            f" Each chosen configuration was trained with {' or '.join(map(str, counts))} seeds: a user's value is the"
            " mean over them, and so are the scores; ± seeds is the standard error over seeds, of training's randomness"
            " alone, ± that over users."
        )
    if any(row.valid is None for row in rows):
        text += (
            " Systems without a validation score stand last and cannot be called the best; a negative difference says"
            " that one is better than the best of the others."
        )
    return text


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
        ["", "valid", f"test {title_of(metric)}", *(["± seeds"] if seeds_in(rows) else []),
         *(title_of(name) for name in others), "behind the best", "trials", "search", "parameters"]
    ]  # fmt: skip
    for row, gain in ranked(rows, metric):
        lines.append(
            [
                row.name,
                with_error(valid_mean(row, metric), None),
                with_error(row.test.mean(metric), row.test.standard_error(metric), digits=3),
                *([_error(over_seeds(row, metric))] if seeds_in(rows) else []),
                *(with_error(row.test.mean(name), None) for name in others),
                _behind(gain, 3),
                _said(row.trials, str),
                _said(row.search_s, duration),
                _said(row.n_parameters, "{:,}".format),
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
    said = (legend(metric, n_users, rows), left_open(rows, metric), *notes_of(rows))
    parts = [textwrap.wrap(part, 100) for part in said if part]
    return "\n".join([*text, *(line for part in parts for line in ("", *part))])


def table_markdown(rows: Sequence[Row], metric: str, n_users: int) -> str:
    """Return the table as Markdown, how it is read below it, the chosen configurations last."""
    scored = rows[0].test.names
    head = [
        "model", f"valid {title_of(metric)}", *(f"test {title_of(name)}" for name in scored),
        *(["± seeds"] if seeds_in(rows) else []), "behind the best", "95 % interval", "d", "p",
        "trials", "search", "best trial", "parameters",
    ]  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    order = ranked(rows, metric)
    for row, gain in order:
        cells = [
            row.name if gain is not None else f"**{row.name}**",
            with_error(valid_mean(row, metric), None),
            *(with_error(row.test.mean(name), row.test.standard_error(name)) for name in scored),
            *([_error(over_seeds(row, metric))] if seeds_in(rows) else []),
            _behind(gain, 4).replace("*", "\\*"),
            *_effect(gain, row.test.n_evaluated),
            _p(gain),
            _said(row.trials, str),
            _said(row.search_s, duration),
            _said(row.train_s, duration),
            _said(row.n_parameters, "{:,}".format),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    effects = (
        "95 % interval: of that difference, by Student's t, for each row by itself. d: the difference in units of its"
        " deviation among users (Cohen's d of paired values)."
    )
    lines += ["", f"{legend(metric, n_users, rows)} {effects}".replace("*", "\\*"), ""]
    for said in (left_open(rows, metric), *notes_of(rows)):
        lines += [said, ""] if said else []
    lines += ["| model | chosen configuration |", "| --- | --- |"]
    lines += [f"| {row.name} | `{_settings(row.config)}` |" for row, _ in order]
    return "\n".join(lines) + "\n"


def table_csv(rows: Sequence[Row], metric: str) -> str:
    """Return the table as CSV, numbers in full; what is not known is empty."""
    scored = rows[0].test.names
    names = [
        "name", "model", *(f"{group}_{name}{part}" for group in ("valid", "test") for name in scored
                           for part in ("", "_standard_error")),
        "n_test_users", f"behind_{metric}", f"behind_{metric}_standard_error", "p_value", "p_value_holm",
        "trials", "search_s", "best_trial_s", "n_parameters", "config",
        "n_seeds", *(f"seeds_test_{name}_standard_error" for name in scored),
    ]  # fmt: skip
    lines: list[list[Any]] = [names]
    for row, gain in ranked(rows, metric):
        scores = [
            value
            for evaluation in (row.valid, row.test)
            for name in scored
            for value in _mean_and_error(evaluation, name)
        ]
        known = gain is not None and not math.isnan(gain.mean)
        tested = (
            [gain.mean, gain.standard_error, gain.p_value, gain.adjusted] if known and gain else [None] * 4
        )
        lines.append(
            [row.name, row.model, *scores, row.test.n_evaluated, *tested, row.trials, row.search_s, row.train_s,
             row.n_parameters, json.dumps(row.config), None if row.seeds is None else row.seeds.count,
             *(over_seeds(row, name) for name in scored)]
        )  # fmt: skip
    return as_csv(lines)


def _mean_and_error(evaluation: Evaluation | None, name: str) -> tuple[float | None, float | None]:
    return (None, None) if evaluation is None else (evaluation.mean(name), evaluation.standard_error(name))


def paired_csv(rows: Sequence[Row], metric: str) -> str:
    """Return every paired test as CSV: a line a row and metric of users, each against the best row by `metric`.

    A difference is positive where the best row is better. Holm's correction is for the rows, each metric by itself.
    """
    lines: list[list[Any]] = [
        ["name", "best", "metric", "n_test_users", "difference", "standard_error", "low_95", "high_95",
         "effect_size", "p_value", "p_value_holm"]
    ]  # fmt: skip
    ordered = [row for row, _ in ranked(rows, metric)]
    for name in ordered[0].test.per_user:
        for other, gain in gains_over_all(ordered, name).items():
            n_users = ordered[0].test.n_evaluated
            reach = interval(gain.mean, gain.standard_error, n_users)
            size = effect_size(gain.mean, gain.standard_error, n_users)
            lines.append([other, ordered[0].name, name, n_users, gain.mean, gain.standard_error, *reach, size,
                          gain.p_value, gain.adjusted])  # fmt: skip
    return as_csv(lines)


def as_csv(lines: Sequence[Sequence[Any]]) -> str:
    """Return lines as CSV; what is None, not a number or without end is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows(
        ["" if isinstance(value, float) and not math.isfinite(value) else value for value in line]
        for line in lines
    )
    return out.getvalue()


def notes_of(rows: Sequence[Row]) -> list[str]:
    """Return what was not scored of systems that were trained elsewhere, a line a row that has something to say."""
    return [f"{row.name}: {'; '.join(row.notes)}." for row in rows if row.notes]


def _said(value: Any, say: Callable[[Any], str]) -> str:
    return "-" if value is None else say(value)


def _error(error: float) -> str:
    return "-" if math.isnan(error) else f"± {error:.4f}"


def _effect(gain: Difference | None, n_users: int) -> tuple[str, str]:
    """Return the interval of a difference and its effect size, for people."""
    if gain is None or math.isnan(gain.mean):
        return "-", "-"
    low, high = interval(gain.mean, gain.standard_error, n_users)
    size = effect_size(gain.mean, gain.standard_error, n_users)
    return f"{low:+.4f} .. {high:+.4f}", "-" if math.isnan(size) else f"{size:.2f}"


def _settings(config: dict[str, Any]) -> str:
    return " ".join(f"{name}={short(value)}" for name, value in config.items())
