"""The files that show a comparison's table: CSV, Markdown, LaTeX, a picture; of one data set, or of several."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from distrecvae.errors import ConfigError, ResultsError
from distrecvae.files import replacing, write_text
from distrecvae.metrics import listed, selecting, title_of, trust_in
from distrecvae.search.comparison.diagram import save_diagram
from distrecvae.search.comparison.kept import Table, read_table
from distrecvae.search.comparison.latex import latex, shared_metrics
from distrecvae.search.comparison.plot import save_plot
from distrecvae.search.comparison.ranks import Ranks, rank_models, ranks_text
from distrecvae.search.comparison.table import (
    as_csv,
    gains_over_all,
    over_seeds,
    paired_csv,
    ranked,
    table_csv,
    table_markdown,
    table_text,
)
from distrecvae.words import with_error

CSV_FILE = "comparison.csv"
TESTS_FILE = "comparison_tests.csv"
MARKDOWN_FILE = "comparison.md"
LATEX_FILE = "comparison.tex"
PLOT_FILE = "comparison.png"
RANKS_FILES = {"png": "ranks.png", "pdf": "ranks.pdf"}


def write_views(folder: Path, table: Table, metrics: Sequence[str] | None = None) -> list[Path]:
    """Write all views of one data set's table, and return where they lie.

    Args:
        folder: where.
        table: the table.
        metrics: the columns of the LaTeX table; None for all.
    """
    rows, metric = table.rows, table.metric
    write_text(folder / CSV_FILE, table_csv(rows, metric))
    write_text(folder / TESTS_FILE, paired_csv(rows, metric))
    made = table_markdown(rows, metric, table.n_test_users)
    write_text(folder / MARKDOWN_FILE, f"# {table.title}\n\n{made}")
    write_text(folder / LATEX_FILE, latex([table], metrics))
    with replacing(folder / PLOT_FILE) as path:
        save_plot(path, rows, metric, table.title)
    return [folder / name for name in (CSV_FILE, TESTS_FILE, MARKDOWN_FILE, LATEX_FILE, PLOT_FILE)]


def tables_of(folders: Sequence[Path], metric: str | None = None) -> list[Table]:
    """Return the tables of comparisons' folders.

    Args:
        folders: the comparisons.
        metric: which metric decides who is the best; None for the one that each was chosen by.

    Raises:
        ResultsError: a folder has none, or two are of the same data.
        ConfigError: a table has no such metric of users, or they were chosen by different ones.
    """
    tables = [read_table(folder) for folder in folders]
    seen: dict[str, Path] = {}
    for folder, table in zip(folders, tables, strict=True):
        if table.fingerprint in seen:
            raise ResultsError(
                f"{folder} and {seen[table.fingerprint]} are of the same data (fingerprint {table.fingerprint}); one"
                " table has each data set once: leave one out"
            )
        seen[table.fingerprint] = folder
    names = [table.data for table in tables]
    if len(set(names)) < len(names):  # two data folders of one name: their results folders tell them apart
        tables = [
            replace(table, data=folder.resolve().name) for folder, table in zip(folders, tables, strict=True)
        ]
    if metric is None:
        chosen = sorted({table.metric for table in tables})
        if len(chosen) > 1:
            raise ConfigError(
                f"the comparisons were chosen by {' and '.join(chosen)}; say with --metric which one decides"
            )
        return tables
    trust_in(metric)
    name = selecting(metric)
    for folder, table in zip(folders, tables, strict=True):
        if name not in table.rows[0].test.per_user:
            known = ", ".join(table.rows[0].test.per_user)
            raise ConfigError(f"metric={metric!r} is not among what {folder} has of users: {known}")
    return [replace(table, metric=name) for table in tables]


def columns_of(tables: Sequence[Table], metrics: str | None) -> tuple[str, ...]:
    """Return the metrics that are to be columns; None asks for all that every table has.

    Raises:
        ConfigError: a table has no such metric, or they have none in common.
    """
    known = shared_metrics(tables)
    if metrics is None:
        if not known:
            raise ConfigError("the comparisons have no metric in common; compare with the same --metrics")
        return known
    trust_in(metrics)
    for name in (wanted := listed(metrics)):
        if name not in known:
            raise ConfigError(
                f"metrics={metrics!r}: the comparisons do not all have {name}; they have {', '.join(known)}"
            )
    return wanted


def one_text(table: Table) -> str:
    """Return the table of one data set for a terminal."""
    return table_text(table.rows, table.metric, table.n_test_users)


def ranks_of(tables: Sequence[Table]) -> Ranks | None:
    """Return the ranks, by the metric that decides, of the models that all tables score; None for fewer than two."""
    metric = tables[0].metric
    scored = [{row.name: row.test.mean(metric) for row in table.rows} for table in tables]
    names = [name for name in scored[0] if all(not math.isnan(each.get(name, math.nan)) for each in scored)]
    if len(names) < 2:
        return None
    return rank_models(names, np.array([[each[name] for name in names] for each in scored]))


def write_several(folder: Path, tables: Sequence[Table], metrics: Sequence[str]) -> list[Path]:
    """Write the views of several data sets' tables as one, and return where they lie."""
    write_text(folder / CSV_FILE, several_csv(tables, metrics))
    write_text(folder / MARKDOWN_FILE, several_markdown(tables, metrics))
    write_text(folder / LATEX_FILE, latex(tables, metrics))
    written = [folder / name for name in (CSV_FILE, MARKDOWN_FILE, LATEX_FILE)]
    if (ranks := ranks_of(tables)) is not None:
        title = f"Mean ranks by test {title_of(tables[0].metric)} over {len(tables)} data sets"
        for kind, name in RANKS_FILES.items():
            with replacing(folder / name) as path:
                save_diagram(path, ranks, title, kind)
            written.append(folder / name)
    return written


def several_csv(tables: Sequence[Table], metrics: Sequence[str]) -> str:
    """Return a line a data set, model and metric: means, errors, and the paired test against the data set's best."""
    lines: list[list[object]] = [
        ["data", "name", "model", "metric", "mean", "standard_error", "n_test_users", "n_seeds",
         "seeds_standard_error", "best", "behind", "behind_standard_error", "p_value", "p_value_holm"]
    ]  # fmt: skip
    for table in tables:
        ordered = [row for row, _ in ranked(table.rows, table.metric)]
        for metric in metrics:
            gains = gains_over_all(ordered, metric) if metric in ordered[0].test.per_user else {}
            for row in ordered:
                gain = gains.get(row.name)
                found = (None,) * 4 if gain is None else (
                    gain.mean, gain.standard_error, gain.p_value, gain.adjusted
                )  # fmt: skip
                lines.append(
                    [table.data, row.name, row.model, metric, row.test.mean(metric), row.test.standard_error(metric),
                     row.test.n_evaluated, None if row.seeds is None else row.seeds.count, over_seeds(row, metric),
                     ordered[0].name, *found]
                )  # fmt: skip
    return as_csv(lines)


def several_markdown(tables: Sequence[Table], metrics: Sequence[str]) -> str:
    """Return the tables side by side as Markdown, and what the ranks say."""
    head = ["model", *(f"{table.data} {title_of(name)}" for table in tables for name in metrics)]
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    orders = [ranked(table.rows, table.metric) for table in tables]
    for name in dict.fromkeys(row.name for order in orders for row, _ in order):
        cells = [name]
        for order in orders:
            row = next((row for row, _ in order if row.name == name), None)
            for metric in metrics:
                if row is None:
                    cells.append("-")
                    continue
                gains = (
                    gains_over_all([each for each, _ in order], metric) if metric in row.test.per_user else {}
                )
                marked = name in gains and gains[name].significant
                cells.append(
                    with_error(row.test.mean(metric), row.test.standard_error(metric))
                    + ("\\*" if marked else "")
                )
        lines.append("| " + " | ".join(cells) + " |")
    bests = ", ".join(
        f"{order[0][0].name} ({table.data})" for order, table in zip(orders, tables, strict=True)
    )
    lines += [
        "",
        f"Test users; ± is the standard error over users. Best by {title_of(tables[0].metric)} on validation users:"
        f" {bests}. \\*: another mean than the best one's, p < 0.05, paired t-test over users, Holm-corrected for the"
        " rows of each column.",
        "",
        several_text(tables),
    ]
    return "\n".join(lines) + "\n"


def several_text(tables: Sequence[Table]) -> str:
    """Return what several data sets say together, in words."""
    ranks = ranks_of(tables)
    if ranks is None:
        return "Fewer than two models are in every comparison: there is nothing to rank."
    return ranks_text(ranks, title_of(tables[0].metric))
