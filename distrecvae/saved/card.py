"""The model card: the README.md beside a model's weights, for those who find the folder without its history.

It is a function of what lies in the folder: the same model, data and versions give the same text.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import torch

from distrecvae import __version__
from distrecvae.data.splitting.words import in_words
from distrecvae.metrics import title_of
from distrecvae.words import printable, with_error

CARD_FILE = "README.md"

_GROUPS = {"valid": "validation", "test": "test"}


def versions() -> dict[str, str]:
    """Return the versions that a model is written with."""
    return {
        "distrecvae": __version__,
        "Python": platform.python_version(),
        "PyTorch": torch.__version__,
        "NumPy": np.__version__,
    }


def model_card(
    *,
    model: str,
    config: Mapping[str, Any],
    n_items: int,
    metrics: Mapping[str, Any],
    data: Mapping[str, Any],
    written_with: Mapping[str, str],
) -> str:
    """Return the card of a model, in Markdown.

    Args:
        model: its name in the registry.
        config: its settings, JSON-able.
        n_items: items that it scores.
        metrics: as in ``metrics.json``; groups of users without scores are left out.
        data: as `distrecvae.data.summary.facts` gives them; empty where they are not known.
        written_with: versions by name.
    """
    parts = [
        f"# {model}: a model that recommends from {n_items:,} items",
        f"Trained by distrecvae {written_with.get('distrecvae', __version__)}. It scores items for users whom it has"
        " never seen, from the items that they have.",
        "## Use",
        _USE,
        "## Quality",
        _quality(metrics, overlapping=bool(data.get("overlapping"))),
        "## Data",
        _data(data, n_items),
        "## Settings",
        _table(("setting", "value"), [(f"`{name}`", _value(value)) for name, value in config.items()])
        if config
        else "This model has none.",
        "## Versions",
        _table(("", "version"), list(written_with.items())),
        "## Files",
        _FILES,
    ]
    return "\n\n".join(parts) + "\n"


_USE = """```python
import distrecvae

model = distrecvae.load(".")  # this folder
print(model.recommend({"someone": model.item_ids[:3].tolist()}, top=10))
```

```bash
distrecvae recommend --model . --histories histories.csv --top 100 --out recommendations.parquet
```"""

_FILES = """`config.json` (settings, data), `model.safetensors` (weights), `items.parquet` (the item id of each
position), `metrics.json` (scores). All are plain data: loading them runs no code of theirs."""


def _quality(metrics: Mapping[str, Any], *, overlapping: bool) -> str:
    groups = [group for group in _GROUPS if metrics.get(group)]
    if not groups:
        return "No scores were kept."
    rows = [
        (title_of(name), *(_scored(metrics[group], name) for group in groups))
        for name in metrics[groups[0]]["mean"]
    ]
    for title, key in (("users", "n_evaluated"), ("left out", "n_skipped")):
        rows.append((title, *(_counted(metrics[group].get(key)) for group in groups)))
    selected = str(metrics.get("selected_by", "")).removeprefix("valid/")
    chosen = f" The model was chosen by {title_of(selected)} on validation users." if selected else ""
    unseen = "What was to be found was not" if overlapping else "None of these users was"
    words = (
        f"Means over users and their standard errors. {unseen} trained on; each was shown some of its items, and the"
        f" others were to be found.{chosen} Test users were looked at once, after that."
    )
    return f"{_table(('', *(_GROUPS[group] for group in groups)), rows)}\n\n{words}"


def _scored(scores: Mapping[str, Any], name: str) -> str:
    return with_error(scores["mean"][name], scores.get("standard_error", {}).get(name))


def _data(data: Mapping[str, Any], n_items: int) -> str:
    if not data:
        return f"Not written down; the model has {n_items:,} items."
    rows = [(name, _value(data[name])) for name in ("fingerprint", "source", "preset") if data.get(name)]
    rows += [
        (f"{_GROUPS.get(group, group)} users", _counted(n)) for group, n in data.get("n_users", {}).items()
    ]
    rows += [("items", _counted(n_items)), ("training interactions", _counted(data.get("n_interactions")))]
    rows += [(f"`{name}`", _value(value)) for name, value in (data.get("options") or {}).items()]
    return f"{_table(('', ''), rows)}\n\n{in_words(data.get('options'))}"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    """Return a text as a cell of a Markdown table: one line, no HTML, no end of the cell."""
    return escape(" ".join(printable(text).split()), quote=False).replace("|", "/")


def _counted(n: int | None) -> str:
    return "unknown" if n is None else f"{n:,}"


def _value(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, list | tuple):
        return ", ".join(_value(part) for part in value)
    return str(value)
