"""Owns how scores are printed by the commands that score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from distrecvae.metrics import TITLES

if TYPE_CHECKING:
    from distrecvae.evaluation import Evaluation


def print_scores(scores: Mapping[str, Evaluation]) -> None:
    """Print a line a group of users: each metric's mean and standard error, users scored and left out."""
    for group, scored in scores.items():
        values = "   ".join(
            f"{TITLES[name]} {scored.mean(name):.4f} ± {scored.standard_error(name):.4f}"
            for name in scored.per_user
        )
        skipped = f", {scored.n_skipped:,} left out" if scored.n_skipped else ""
        click.echo(f"{group:<6} {values}   ({scored.n_evaluated:,} users{skipped})")
