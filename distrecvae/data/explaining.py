"""Explains what happened to the rows of one user or item on the way from the source to the split."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from distrecvae.data.dataset import Split
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.data.splitting.options import GLOBAL_TIME, SplitOptions
from distrecvae.data.table import InteractionTable
from distrecvae.errors import ConfigError, DataError, nearest
from distrecvae.words import counted

Kind = Literal["user", "item"]


def asked(text: str) -> tuple[Kind, str]:
    """Return whether a user or an item is asked for, and its id.

    Raises:
        ConfigError: the text is neither `user=ID` nor `item=ID`.
    """
    kind, equals, id_ = text.partition("=")
    if not equals or kind not in ("user", "item") or not id_.strip():
        raise ConfigError(f"--explain {text!r}: write --explain user=ID or --explain item=ID")
    return ("user" if kind == "user" else "item"), id_.strip()


def explain(table: InteractionTable, options: SplitOptions, split: Split, kind: Kind, id_: str) -> list[str]:
    """Return what happened to the rows of one user or item, a line each, in the order in which rows are dropped.

    Args:
        table: the source.
        options: how it was split.
        split: what came of it.
        kind: what is asked for.
        id_: its id, as it is written.

    Raises:
        DataError: no row has that id.
    """
    ids, codes, other = (
        (table.user_ids, table.users, table.items)
        if kind == "user"
        else (table.item_ids, table.items, table.users)
    )
    written = [str(each) for each in ids.tolist()]
    if id_ not in written:
        raise DataError(
            f"no row has the {kind} id {id_!r}{nearest(id_, written[:100_000])}; give one of the source"
        )
    own = np.flatnonzero(codes == written.index(id_))
    lines = [
        f"{kind} {id_!r}: {counted(own.size, 'row', 'rows')} in the source, the first in {table.place(int(own[0]))}"
    ]

    def dropped(n: int, why: str) -> None:
        if n:
            lines.append(f"  dropped    {counted(n, 'row', 'rows')} {why}")

    passes = np.ones(table.n_rows, dtype=bool)
    if options.min_rating is not None and table.ratings is not None:
        passes = table.ratings > options.min_rating
        dropped(int(own.size - passes[own].sum()), f"with a rating not above {options.min_rating:g}")
    kept = own[passes[own]]
    others = np.unique(other[kept])
    dropped(kept.size - others.size, f"that repeat {'an item' if kind == 'user' else 'a user'}")
    if options.split == GLOBAL_TIME:  # what is enough is told by what came before a moment
        places = _places_of_user(split, id_, None) if kind == "user" else _place_of_item(split, id_)
        return [*lines, *places]
    enough_items, enough_users = _enough(table, options, passes)
    if kind == "user":
        dropped(
            int((~enough_items[others]).sum()),
            f"of items with fewer than {options.min_item_interactions} users",
        )
        others = others[enough_items[others]]
        if not others.size or not enough_users[written.index(id_)]:
            lines.append(
                f"  left out   {counted(others.size, 'item is', 'items are')} left, and a user needs"
                f" {max(options.min_user_interactions, 1)} (--min-user-interactions)"
            )
            return lines
        return [*lines, *_places_of_user(split, id_, others.size)]
    if not enough_items[written.index(id_)] or not others.size:
        lines.append(
            f"  left out   {counted(others.size, 'user is', 'users are')} left, and an item needs"
            f" {max(options.min_item_interactions, 1)} (--min-item-interactions)"
        )
        return lines
    dropped(
        int((~enough_users[others]).sum()), f"of users with fewer than {options.min_user_interactions} items"
    )
    return [*lines, *_place_of_item(split, id_)]


def _enough(
    table: InteractionTable, options: SplitOptions, passes: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return which items, and then which users, have as many interactions as they need."""
    n_users, n_items = len(table.user_ids), len(table.item_ids)
    pairs = InteractionMatrix.from_pairs(
        table.users[passes], table.items[passes], n_users=n_users, n_items=n_items
    )
    enough_items = pairs.item_counts() >= options.min_item_interactions
    users = np.repeat(np.arange(n_users), pairs.counts())[enough_items[pairs.indices]]
    return enough_items, np.bincount(users, minlength=n_users) >= max(options.min_user_interactions, 1)


def _places_of_user(split: Split, id_: str, n_items: int | None) -> list[str]:
    """Return what a user is in each group, a line each.

    Args:
        split: the split.
        id_: the user's.
        n_items: items that the user has; None where it does not follow who lost some.
    """
    positions = [at for at, each in enumerate(split.user_ids.tolist()) if str(each) == id_]
    if not positions:
        return ["  left out   too few items before the first moment, or before the second and nothing since"]
    return [line for position in positions for line in _place_of_user(split, position, n_items)]


def _place_of_user(split: Split, position: int, n_items: int | None) -> list[str]:
    if position < split.train.n_users:
        own = split.train.row(position).size
        return [f"  training   user {position} of the training users, with {counted(own, 'item', 'items')}"]
    position -= split.train.n_users
    group, users, name = "validation", split.valid, "validation"
    if position >= users.n_users:
        position, group, users, name = position - users.n_users, "test", split.test, "test      "
    shown, hidden = users.fold_in.row(position).size, users.held_out.row(position).size
    lines = []
    if n_items is not None and not split.overlapping and (unseen := n_items - shown - hidden):
        lines.append(f"  dropped    {counted(unseen, 'row', 'rows')} of items that no training user has")
    scored = "" if shown and hidden else "; not scored, because one of the two is empty"
    return [
        *lines,
        f"  {name} user {position} of the {group} users: {shown} folded in, {hidden} held out{scored}",
    ]


def _place_of_item(split: Split, id_: str) -> list[str]:
    written = [str(each) for each in split.item_ids.tolist()]
    if id_ not in written:
        return ["  left out   no training user has it, so nothing can be learned of it"]
    position = written.index(id_)
    matrices = (
        ("training", split.train),
        ("validation fold-in", split.valid.fold_in),
        ("validation held-out", split.valid.held_out),
        ("test fold-in", split.test.fold_in),
        ("test held-out", split.test.held_out),
    )
    counts = ", ".join(f"{int((matrix.indices == position).sum())} {name}" for name, matrix in matrices)
    return [f"  kept       item {position}; its users: {counts}"]
