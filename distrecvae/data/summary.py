"""The account of a prepared dataset in words: what was read, what was dropped where, what is left."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from distrecvae.data.dataset import Split
from distrecvae.data.splitting.words import split_notes


def describe(split: Split, protocol: Mapping[str, Any]) -> list[str]:
    """Return the account of a prepared dataset, a line each: what was read, what was dropped, what is left."""
    counts = protocol.get("counts") or {}
    options = protocol.get("options") or {}
    lines: list[str] = []

    def account(key: str, noun: str, why: str = "") -> None:
        if counts.get(key):
            lines.append(f"{'dropped' if lines else 'read':<10} {_counted(counts[key], noun)}{why}")

    given = protocol.get("source")
    source: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    account("rows", "row")
    if source.get("columns"):
        lines.append(columns_taken(source))
    if source.get("rows_without_id"):
        lines.append(f"left out   {_counted(source['rows_without_id'], 'row')} whose id --missing names")
    account("below_threshold", "row", f" with rating {options.get('min_rating')} or less")
    account("duplicates", "row", " that repeat a user and item (merged into one interaction)")
    for noun in ("item", "user"):
        least = options.get(f"min_{noun}_interactions")
        account(f"{noun}s_below_minimum", noun, f" with fewer than {least} interactions")
    account(
        "held_out_interactions_of_unseen_items",
        "interaction",
        " of held-out users with items unseen in training",
    )
    n_users, kept = _sizes(split)
    like = protocol.get("like")
    if isinstance(like, Mapping):
        lines += _taken_over(like, None if split.overlapping else counts.get("users_known", 0), n_users)
    density = 100 * kept / (n_users * split.n_items)
    lines.append(
        f"kept       {kept:,} interactions of {n_users:,} users x {split.n_items:,} items ({density:.2g} % of all "
        "pairs)"
    )
    lines.append(
        f"users      {split.train.n_users:,} train, {split.valid.n_users:,} validation, {split.test.n_users:,} test"
        + (" (a user may be in more than one group)" if split.overlapping else "")
    )
    lines += split_notes(protocol)
    for name in ("valid", "test"):
        silent = counts.get(f"{name}_users_with_nothing_to_score")
        if silent:
            lines.append(
                f"note       {_counted(silent, f'{name} user')} with nothing to predict or nothing to go by, not "
                "scored"
            )
    columns = source.get("columns") or {}
    lines += [f"note       {note}" for note in source.get("notes", ())]
    if "rating" in columns and options.get("min_rating") is None:
        lines.append(
            f"note       every row counts whatever its {columns['rating']!r}; --min-rating R keeps only those above R"
        )
    return lines


def _sizes(split: Split) -> tuple[int, int]:
    """Return how many users there are, and how many interactions, each once."""
    if not split.overlapping:
        n_users = split.train.n_users + split.valid.n_users + split.test.n_users
        return n_users, split.train.n_interactions + sum(
            part.n_interactions
            for group in (split.valid, split.test)
            for part in (group.fold_in, group.held_out)
        )
    ids, codes = np.unique(np.array([str(each) for each in split.user_ids.tolist()]), return_inverse=True)
    starts = np.cumsum([0, split.train.n_users, split.valid.n_users])
    cells = [
        np.repeat(codes[start : start + matrix.n_users].astype(np.int64) * split.n_items, matrix.counts())
        + matrix.indices
        for start, matrix in (
            (starts[0], split.train),
            (starts[1], split.valid.fold_in),
            (starts[1], split.valid.held_out),
            (starts[2], split.test.fold_in),
            (starts[2], split.test.held_out),
        )
    ]
    return ids.size, np.unique(np.concatenate(cells)).size


def _taken_over(like: Mapping[str, Any], n_known: int | None, n_users: int) -> list[str]:
    """Return what was taken over from an earlier data set, a line each, as `Like.record` has it."""
    taken = " ".join(_option(name, value) for name, value in like.get("taken", {}).items())
    given = " ".join(f"--{name.replace('_', '-')}" for name in like.get("given", ()))
    lines = [
        f"like       {like.get('name')}: {taken or 'all by default'}"
        + (f"; newly given: {given}" if given else "")
    ]
    if n_known is None:
        return lines
    return [
        *lines,
        f"like       {_counted(n_known, 'user')} of it in the groups that they had there, {n_users - n_known:,} new",
    ]


def _option(name: str, value: Any) -> str:
    """Return an option as it is typed."""
    typed = f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        return typed if value else f"--no-{name.replace('_', '-')}"
    return " ".join(f"{typed} {each}" for each in (value if isinstance(value, list) else [value]))


def columns_taken(source: Mapping[str, Any]) -> str:
    """Return which columns were taken as what, in a line, and which of them by guess."""
    guessed = source.get("guessed", ())
    named = ", ".join(
        f"{role} {name!r}" + (f" (a guess; --{role}-column says)" if role in guessed else "")
        for role, name in source["columns"].items()
    )
    return f"columns    {named}"


def reading_notes(source: Mapping[str, Any]) -> list[str]:
    """Return what somebody should know of how a file was read, a line each: guesses, rows left out, odd ids."""
    lines = [columns_taken(source)] if source.get("guessed") else []
    if source.get("rows_without_id"):
        lines.append(f"{_counted(source['rows_without_id'], 'row')} left out, whose id --missing names")
    return [*lines, *source.get("notes", ())]


def facts(split: Split, protocol: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a model's folder says of the data that it was trained on: JSON-able, without anyone's paths.

    Args:
        split: the data.
        protocol: the content of `dataset.json`; empty where it is not known.
    """
    source = protocol.get("source")
    if isinstance(source, Mapping):
        # The name of "." is empty; what it stands for is not.
        source = Path(str(source["path"])).resolve().name if "path" in source else source.get("format")
    earlier = (protocol.get("like") or {}).get("fingerprints", ())
    return (
        {
            "fingerprint": split.fingerprint,
            "source": source,
            "preset": protocol.get("preset"),
            "options": protocol.get("options"),
            "n_users": {
                "train": split.train.n_users,
                "valid": split.valid.n_users,
                "test": split.test.n_users,
            },
            "n_items": split.n_items,
            "n_interactions": split.train.n_interactions,
        }
        | ({"like": list(earlier)} if earlier else {})
        | ({"overlapping": True} if split.overlapping else {})
    )


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
