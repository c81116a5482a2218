r"""Tables for a paper: LaTeX with booktabs, the best of a column bold, what is significant marked, all said below.

They need ``\usepackage{booktabs}`` and nothing else. Models are rows; metrics, of one data set or of several, columns.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from distrecvae.metrics import title_of
from distrecvae.search.comparison.kept import Table
from distrecvae.search.comparison.row import Row
from distrecvae.search.comparison.significance import LEVEL
from distrecvae.search.comparison.table import gains_over_all, over_seeds, ranked, seeds_in
from distrecvae.words import counted

BEHIND, AHEAD = r"$^{*}$", r"$^{\dagger}$"
"""Marks of a row that is behind the chosen one, or ahead of it, by more than chance."""

_SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
}  # fmt: skip
_DECIMALS = 4


def escaped(text: str) -> str:
    """Return a text as LaTeX prints it: what has a meaning of its own is escaped."""
    return "".join(_SPECIAL.get(each, each) for each in text)


def latex(tables: Sequence[Table], metrics: Sequence[str] | None = None) -> str:
    """Return a table of one data set, or of several side by side.

    Args:
        tables: one a data set.
        metrics: the columns of each; None for all that every one of them has.
    """
    columns = tuple(metrics) if metrics else shared_metrics(tables)
    names = list(dict.fromkeys(row.name for table in tables for row, _ in ranked(table.rows, table.metric)))
    cells = [_columns(table, columns) for table in tables]
    lines = [
        f"% distrecvae {tables[0].versions.get('distrecvae', '')}; needs \\usepackage{{booktabs}}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_caption(tables, columns)}}}",
        rf"\label{{tab:{'-'.join(_label(table.data) for table in tables)}}}",
        rf"\begin{{tabular}}{{l{'r' * len(columns) * len(tables)}}}",
        r"\toprule",
    ]
    if len(tables) > 1:
        width = len(columns)
        spans = [rf"\multicolumn{{{width}}}{{c}}{{{escaped(table.data)}}}" for table in tables]
        rules = [
            rf"\cmidrule(lr){{{2 + place * width}-{1 + (place + 1) * width}}}" for place in range(len(tables))
        ]
        lines += [rf" & {' & '.join(spans)} \\", " ".join(rules)]
    titles = [escaped(title_of(name)) for name in columns] * len(tables)
    lines += [rf"model & {' & '.join(titles)} \\", r"\midrule"]
    for name in names:
        found = [cell for column in cells for cell in column.get(name, ["--"] * len(columns))]
        lines.append(rf"{escaped(name)} & {' & '.join(found)} \\")
    lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}", ""]
    return "\n".join(lines)


def shared_metrics(tables: Sequence[Table]) -> tuple[str, ...]:
    """Return the metrics that all tables have, in the first one's order."""
    sets = [set(table.rows[0].test.names) for table in tables]
    return tuple(name for name in tables[0].rows[0].test.names if all(name in each for each in sets))


def _columns(table: Table, metrics: Sequence[str]) -> dict[str, list[str]]:
    """Return each row's cells, by its name."""
    ordered = [row for row, _ in ranked(table.rows, table.metric)]
    cells: dict[str, list[str]] = {row.name: [] for row in ordered}
    for name in metrics:
        means = {row.name: row.test.mean(name) for row in ordered}
        best = max((f"{mean:.{_DECIMALS}f}" for mean in means.values() if not math.isnan(mean)), default="")
        gains = gains_over_all(ordered, name) if name in ordered[0].test.per_user else {}
        for row in ordered:
            gain = gains.get(row.name)
            mark = "" if gain is None or not gain.significant else BEHIND if gain.mean > 0 else AHEAD
            bold = f"{means[row.name]:.{_DECIMALS}f}" == best and name in row.test.per_user
            cells[row.name].append(_cell(row, name, bold=bold) + mark)
    return cells


def _cell(row: Row, metric: str, *, bold: bool) -> str:
    mean, error, seeds = row.test.mean(metric), row.test.standard_error(metric), over_seeds(row, metric)
    if math.isnan(mean):
        return "--"
    text = f"{mean:.{_DECIMALS}f}"
    text = rf"\textbf{{{text}}}" if bold else text
    errors = [each for each in (error, seeds) if not math.isnan(each)]
    return text + "".join(rf" {{\scriptsize$\pm${each:.{_DECIMALS}f}}}" for each in errors)


def _caption(tables: Sequence[Table], metrics: Sequence[str]) -> str:
    users = ", ".join(
        f"{counted(table.rows[0].test.n_evaluated, 'test user', 'test users')} of {table.data}"
        for table in tables
    )
    chosen = " and ".join(
        f"{ranked(table.rows, table.metric)[0][0].name}" + (f" on {table.data}" if len(tables) > 1 else "")
        for table in tables
    )
    by = " and ".join(dict.fromkeys(title_of(table.metric) for table in tables))
    errors = "the standard error over users"
    rows = [row for table in tables for row in table.rows]
    if seeds_in(rows):
        counts = sorted({row.seeds.count for row in rows if row.seeds is not None})
        errors += (
            f", then over {' or '.join(map(str, counts))} seeds (each user's value is the mean over seeds)"
        )
    text = escaped(
        f"Means over {users}; +- is {errors}. The highest mean of a column is bold. Reference: {chosen}, the best by"
        f" {by} on validation users."
    ).replace("+-", r"$\pm$")
    marks = (
        f" {BEHIND}: behind the reference, {AHEAD}: ahead of it, $p < {LEVEL:g}$, two-sided paired $t$-test over users,"
        " Holm-corrected for the rows of each column."
    )
    whole = [title_of(name) for name in metrics if name not in tables[0].rows[0].test.per_user]
    untested = (
        f" {escaped(', '.join(whole))}: one value of all lists, neither bold nor tested." if whole else ""
    )
    return text + marks + untested


def _label(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-").lower() or "data"
