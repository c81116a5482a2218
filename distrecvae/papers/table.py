"""Tables of our scores beside published ones, which say whether they are of the same data."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from distrecvae.data.dataset import Split
from distrecvae.metrics import METRICS, title_of
from distrecvae.papers.numbers import Published, PublishedSet
from distrecvae.words import counted, with_error


@dataclass(frozen=True)
class Ours:
    """What a model has here.

    Attributes:
        row: what is published of it.
        mean: each metric's mean over test users; empty where it was not run.
        standard_error: of each mean.
        n_users: test users.
        setting: how it was trained, for people.
        missing: why it was not run; empty where it was.
    """

    row: Published
    mean: Mapping[str, float]
    standard_error: Mapping[str, float]
    n_users: int
    setting: str
    missing: str = ""


def heading(of: PublishedSet, split: Split, where: str, *, same: bool, shortened: str = "") -> str:
    """Return which data the numbers are of, and what may be compared.

    Args:
        of: the data set that the published numbers are of.
        split: ours.
        where: what ours is called.
        same: whether it is that one, by its sizes.
        shortened: what was trained less than published; empty for nothing.
    """
    n_users = split.train.n_users + split.valid.n_users + split.test.n_users
    ours = f"{where}: {n_users:,} users x {split.n_items:,} items, fingerprint {split.fingerprint}"
    if same:
        text = (
            f"Ours on {ours}; published: on {of.title}, whose sizes these are. A difference of one or two standard"
            " errors is what other users, or another seed, would make."
        )
    else:
        text = (
            f"NOT THE PUBLISHED DATA. Ours on {ours}; published: on {of.title} ({of.n_users:,} users x"
            f" {of.n_items:,} items). These are numbers of different data: nothing follows from their difference, and"
            " none is shown."
        )
    return f"{text} {shortened}".rstrip()


def lines_of(rows: Sequence[Ours], data: str, *, same: bool) -> list[list[str]]:
    """Return the table's cells, its head first; differences only where the data are the published ones."""
    lines = [
        [
            "model",
            *(part for name in METRICS for part in (title_of(name), "published", "difference")),
            "settings",
        ]
    ]
    for ours in rows:
        cells = [ours.row.model]
        for name in METRICS:
            theirs, mean = ours.row.score(data, name), ours.mean.get(name, math.nan)
            known = theirs is not None and same and not math.isnan(mean)
            cells += [
                "-" if ours.missing else with_error(mean, ours.standard_error.get(name)),
                "-" if theirs is None else f"{theirs:.3f}",
                f"{mean - theirs:+.4f}" if known and theirs is not None else "-",
            ]
        lines.append([*cells, ours.missing or ours.setting])
    return lines


def text_of(rows: Sequence[Ours], data: str, *, same: bool) -> str:
    """Return the table for a terminal: the selection metric's columns, the rest is in the files."""
    lines = [line[:4] + line[-1:] for line in lines_of(rows, data, same=same)]
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    return "\n".join(
        "  ".join(
            [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:4], widths[1:], strict=True)),
             line[4]]
        )
        for line in lines
    )  # fmt: skip


def markdown_of(
    rows: Sequence[Ours], data: str, said: str, versions: Mapping[str, str], *, same: bool
) -> str:
    """Return the table as Markdown, with what may be compared above it and the papers and versions below."""
    head, *body = lines_of(rows, data, same=same)
    written = [
        "| " + " | ".join(line) + " |" for line in [head, ["---", *["---:"] * (len(head) - 2), "---"], *body]
    ]
    papers = [f"- `{ours.row.model}`: {ours.row.paper}." for ours in rows]
    users = next((ours.n_users for ours in rows if not ours.missing), 0)
    counts = counted(users, "test user", "test users")
    below = f"± is the standard error over {counts}. docs/published.md has the sources."
    made = ", ".join(f"{name} {version}" for name, version in versions.items())
    return "\n".join([said, "", *written, "", below, "", *papers, "", f"Made with {made}.", ""])


def csv_of(rows: Sequence[Ours], of: PublishedSet, split: Split, *, same: bool) -> str:
    """Return the table as CSV: a line a model and metric, numbers in full."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ["model", "metric", "ours", "standard_error", "n_test_users", "fingerprint", "published", "published_on",
         "same_data", "setting", "missing"]
    )  # fmt: skip
    for ours in rows:
        for name in METRICS:
            theirs = ours.row.score(of.name, name)
            writer.writerow(
                [ours.row.model, name, ours.mean.get(name, ""), ours.standard_error.get(name, ""), ours.n_users or "",
                 split.fingerprint, "" if theirs is None else theirs, of.name, same, ours.setting, ours.missing]
            )  # fmt: skip
    return out.getvalue()
