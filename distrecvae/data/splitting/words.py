"""Describes a split in words: what its groups are, for accounts and model cards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distrecvae.data.splitting.options import BROUGHT, GLOBAL_TIME, LEAVE_LAST, TIME
from distrecvae.words import counted


def in_words(options: Mapping[str, Any] | None) -> str:
    """Return what the groups of users are, in a sentence or two, by the options that a protocol has."""
    options = options or {}
    split = options.get("split")
    if split == GLOBAL_TIME:
        return (
            "Split by time, at two moments that hold for all: trained on what came before the first, validated on what"
            " came between them, tested on what came since the second. A user may be in all three groups, and what is"
            " to be predicted is always later than what is known."
        )
    if split == LEAVE_LAST:
        leave = counted(options.get("leave", 1), "item", "items")
        return (
            f"Split before each user's last items: the last {leave} are to be found in the test, those before them in"
            " validation, the rest is trained on. All users are trained on."
        )
    if split == BROUGHT:
        return "Split elsewhere, and taken as it was. Nothing that is to be found of a user was trained on as theirs."
    words = (
        "Strong generalization (Liang et al., WWW 2018): users are divided into train, validation and test; only items"
        " of training users are kept."
    )
    return (
        f"{words} A held-out user's latest items are to be found."
        if options.get("held_out_by") == TIME
        else words
    )


def split_notes(protocol: Mapping[str, Any]) -> list[str]:
    """Return what people should know of a split that is not the published one, a line each: moments, ties, who is left
    out."""
    counts, options = protocol.get("counts") or {}, protocol.get("options") or {}
    lines = []
    if moments := protocol.get("moments"):
        lines.append(
            f"moments    validation from {moments['valid_from_written']} on, test from"
            f" {moments['test_from_written']} on"
        )
    if options.get("folds"):
        lines.append(
            f"folds      fold {options.get('fold', 1)} of {options['folds']} is tested; the same users validate all"
        )
    if n := counts.get("users_with_too_few_to_leave"):
        lines.append(
            f"note       {counted(n, 'user has', 'users have')} too few items to leave some, trained on only"
        )
    if n := counts.get("users_without_history"):
        lines.append(
            f"note       {counted(n, 'user', 'users')} with too little history before what they did later, not scored"
        )
    if n := counts.get("held_out_known"):
        lines.append(
            f"dropped    {counted(n, 'interaction', 'interactions')} to predict that the same user's history has"
        )
    if n := counts.get("users_cut_within_a_moment"):
        lines.append(
            f"note       of {counted(n, 'user', 'users')} items of the same time are on both sides; which is"
            " which was drawn by the seed"
        )
    return lines
