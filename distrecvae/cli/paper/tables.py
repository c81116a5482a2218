"""`distrecvae tables`: comparisons' folders to tables and figures, with nothing trained or scored again."""

from __future__ import annotations

from pathlib import Path

import click

from distrecvae.cli.parts.output import say


@click.command("tables", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="DIR...")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR",
              help="Where they go.  [default: DIR, where there is one; else tables/]")  # fmt: skip
@click.option("--metric", metavar="NAME", help="Which decides who is best.  [default: as compared]")
@click.option("--metrics", metavar="A,B,...", help="Columns of a paper's table.  [default: all]")
def command(folders: tuple[Path, ...], out: Path | None, metric: str | None, metrics: str | None) -> None:
    """Make the tables of comparisons again, from what lies in their folders alone.

    Of one comparison: comparison.tex (booktabs; the best bold, significance marked), .csv, .md, .png and
    comparison_tests.csv, every paired test with interval and effect size. Of several, one a data set: the
    same as one table, the models' mean ranks with Friedman's test, and a critical-difference diagram
    (ranks.pdf, ranks.png). Neither models nor data are needed; rows.json in each folder says with which
    versions its rows were scored.

    \b
    Examples:
      distrecvae tables runs/compare-ml-1m
      distrecvae tables runs/compare-ml-1m --metrics ndcg@100,recall@20 \\
          --out paper
      distrecvae tables runs/compare-ml-1m runs/compare-netflix --out paper
    """
    from distrecvae.api.tables import make_tables

    made = make_tables(folders, out, metric, metrics)
    say(str(made))
