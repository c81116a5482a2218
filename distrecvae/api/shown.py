"""How results are shown: means in a line, tables for a notebook."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from distrecvae.metrics import title_of
from distrecvae.words import with_error


def means(path: Path) -> dict[str, dict[str, float]]:
    """Return each metric's mean by group of users, from a `metrics.json`; NaN over no users."""
    from distrecvae.saved.tensors import read_json

    metrics = read_json(path)
    return {
        group: {name: math.nan if mean is None else mean for name, mean in metrics[group]["mean"].items()}
        for group in ("valid", "test")
        if group in metrics
    }


def in_a_line(scores: Mapping[str, Mapping[str, float]], metric: str) -> str:
    """Return the means of a metric on each group of users, in words."""
    said = [f"{with_error(scores[group][metric], None)} on {group} users" for group in scores]
    return f"{title_of(metric)} {', '.join(said)}"


def scores_html(scores: Mapping[str, Mapping[str, float]]) -> str:
    """Return means by group of users and metric as an HTML table."""
    said = {
        group: {title_of(name): with_error(mean, None) for name, mean in means.items()}
        for group, means in scores.items()
    }
    return table_html(pd.DataFrame(said).T, index=True)


def table_html(frame: pd.DataFrame, *, index: bool = False) -> str:
    """Return a frame as an HTML table, numbers to four digits."""
    return str(frame.to_html(index=index, border=0, na_rep="", float_format="{:.4g}".format))
