"""How scores are printed by the commands that score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distrecvae.layout import BEST_FOLDER, METRICS_FILE
from distrecvae.metrics import title_of
from distrecvae.words import printable, with_error

if TYPE_CHECKING:
    from distrecvae.evaluation import Evaluation


def say(text: str, *, err: bool = False) -> None:
    """Print a line that has names in it, of files, columns or ids: whatever they are, they do nothing to a terminal."""
    click.echo(printable(text), err=err)


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows of text below a head, in columns as wide as needed."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def print_seeds(out: Path, summary: Mapping[str, Any]) -> None:
    """Print a row a seed and the means over seeds with their standard errors, by group; then what lies where."""
    from distrecvae.runs.seeds import seed_folder

    names = list(summary["valid"]["mean"])
    for group in ("valid", "test"):
        scores = summary[group]
        click.echo(f"{group:<12}" + "".join(f"{title_of(name):>18}" for name in names))
        for position, seed in enumerate(summary["seeds"]):
            cells = "".join(with_error(scores["per_seed"][name][position], None).rjust(18) for name in names)
            click.echo(f"  seed {seed:<5}{cells}")
        cells = "".join(
            with_error(scores["mean"][name], scores["standard_error"][name]).rjust(18) for name in names
        )
        click.echo(f"  {'mean':<10}{cells}")
    click.echo("± is the standard error over seeds: how well the mean is known, on these users.")
    chosen = seed_folder(out, summary["best_seed"]) / BEST_FOLDER
    click.echo(f"\nscores   {out / METRICS_FILE}\nmodel    {chosen} (the best seed on validation users)")


def print_folds(out: Path, summary: Mapping[str, Any]) -> None:
    """Print a row a fold and the means over folds with their standard errors, by group, and over all test users."""
    names = list(summary["valid"]["mean"])

    def row(title: str, cells: Sequence[str]) -> None:
        click.echo(f"{title:<12}" + "".join(cell.rjust(18) for cell in cells))

    for group in ("valid", "test"):
        scores = summary[group]
        row(group, [title_of(name) for name in names])
        for fold in range(summary["folds"]):
            row(f"  fold {fold + 1}", [with_error(scores["per_fold"][name][fold], None) for name in names])
        row("  mean", [with_error(scores["mean"][name], scores["standard_error"][name]) for name in names])
    over = summary["test"]["over_users"]
    row("  users", [with_error(over["mean"].get(name), over["standard_error"].get(name)) for name in names])
    click.echo(
        "± is the standard error over folds; of the last row, over all"
        f" {over['n_evaluated']:,} test users, each in one fold."
    )
    click.echo(f"\nscores   {out / METRICS_FILE}")


def print_scores(scores: Mapping[str, Evaluation]) -> None:
    """Print a line a group of users: each metric's mean and standard error, users scored and left out."""
    for group, scored in scores.items():
        values = "   ".join(
            f"{title_of(name)} {with_error(scored.mean(name), scored.standard_error(name))}"
            for name in scored.names
        )
        skipped = f", {scored.n_skipped:,} left out" if scored.n_skipped else ""
        click.echo(f"{group:<6} {values}   ({scored.n_evaluated:,} users{skipped})")
