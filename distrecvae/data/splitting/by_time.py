"""Splits in which users are in more than one group: at moments that hold for all, or before each user's last items."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from distrecvae.data.dataset import HeldOutUsers, Split
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.data.splitting.moments import moment, written
from distrecvae.data.splitting.options import SplitOptions
from distrecvae.data.splitting.rows import (
    IntArray,
    Mask,
    Rows,
    SplitCounts,
    by_first_appearance,
    counting_rows,
    cut_within_a_moment,
    filtered,
    latest,
    nothing_to_score,
)
from distrecvae.data.table import InteractionTable
from distrecvae.errors import ConfigError, DataError

Moments = dict[str, float | str]
"""By which a split was made: numbers among the times, and as people write them."""


def split_at_moments(table: InteractionTable, options: SplitOptions) -> tuple[Split, SplitCounts, Moments]:
    """Split `table` at two moments: trained on what came before the first, validated on what came between them, tested
    on what came since the second.

    A validation user's fold-in is what they did before the first moment, a test user's what they did before the second.
    Nobody is chosen by what came later: an item needs its interactions before the first moment, and a user needs theirs
    before it to be trained on or validated, before the second to be tested.

    Returns:
        The split, how many of what was dropped where, and the moments.

    Raises:
        DataError: no times, or a moment that leaves nothing on one side.
        ConfigError: the moments are in the wrong order.
    """
    rows, counts = counting_rows(table, options)
    times = rows.when
    valid_from, test_from = (
        moment(getattr(options, name), times, f"--{name.replace('_', '-')}")
        for name in ("valid_from", "test_from")
    )
    _require_in_order(valid_from, test_from, times, options)
    kept = filtered(table, rows, options, told_by=times < valid_from)
    rows, times = kept.rows, kept.rows.when
    early, late = times < valid_from, times >= test_from
    middle = ~early & ~late
    least = max(options.min_user_interactions, 1)
    known = np.bincount(rows.users[~late], minlength=len(table.user_ids)) >= least
    trained = np.flatnonzero(kept.enough_users)
    groups = {
        "train": trained,
        "valid": np.intersect1d(rows.users[middle], trained),
        "test": np.intersect1d(rows.users[late], np.flatnonzero(known)),
    }
    at, until = written(valid_from, times), written(test_from, times)
    for name, why in (
        ("train", f"no user has {least} items before {at}"),
        ("valid", f"no user with {least} items before {at} has another until {until}"),
        ("test", f"no user with {least} items before {until} has another since"),
    ):
        if not groups[name].size:
            raise DataError(
                f"{why}; choose other moments with --valid-from and --test-from (times run from"
                f" {written(float(times.min()), times)} to {written(float(times.max()), times)}), or lower"
                " --min-user-interactions"
            )
    made, unseen = _assembled(
        table, rows, groups,
        train=early & kept.enough_users[rows.users], valid=(early, middle), test=(~late, late),
    )  # fmt: skip
    judged = np.union1d(groups["valid"], groups["test"])
    own = {
        "users_below_minimum": np.unique(rows.users[early]).size - trained.size,
        "users_without_history": np.setdiff1d(rows.users[~early], judged).size,
    }
    return (
        made,
        _counts(counts | kept.counts | unseen | own, rows, groups, made),
        {
            "valid_from": valid_from,
            "test_from": test_from,
            "valid_from_written": at,
            "test_from_written": until,
        },
    )


def split_last(table: InteractionTable, options: SplitOptions) -> tuple[Split, SplitCounts]:
    """Split `table` before each user's last items: the last `leave` are a test user's to predict, those before them a
    validation user's, the rest is trained on.

    Of a test user all but the last items are folded in. Users with too few to leave some are trained on whole.

    Raises:
        DataError: no times, or no user with enough items.
    """
    rows, counts = counting_rows(table, options)
    kept = filtered(table, rows, options)
    rows = kept.rows.at(kept.enough_users[kept.rows.users])
    if not rows.users.size:
        raise DataError(
            f"no user has {max(options.min_user_interactions, 1)} interactions; lower --min-user-interactions or the"
            " other filters"
        )
    order = latest(rows.users, rows.when, options.seed)
    enough = order.n_rows > 2 * options.leave
    if not enough.any():
        raise DataError(
            f"--leave {options.leave}: the longest history has {int(order.n_rows.max())} items, and"
            f" {2 * options.leave + 1} are needed to leave {options.leave} for validation, {options.leave} for the test"
            " and one to go by; lower --leave"
        )
    last = enough & (order.from_end < options.leave)
    last_but_some = enough & ~last & (order.from_end < 2 * options.leave)
    in_train = ~last & ~last_but_some
    everyone, some = np.unique(rows.users), np.unique(rows.users[enough])
    made, unseen = _assembled(
        table, rows, {"train": everyone, "valid": some, "test": some},
        train=in_train, valid=(in_train, last_but_some), test=(~last, last),
    )  # fmt: skip
    groups = {"train": everyone}
    own = {
        "users_below_minimum": counts["users_before_filters"] - everyone.size,
        "users_cut_within_a_moment": cut_within_a_moment(
            order, rows.users, rows.when, last_but_some + 2 * last
        ),
        "users_with_too_few_to_leave": everyone.size - some.size,
    }
    return made, _counts(counts | kept.counts | unseen | own, rows, groups, made)


def _require_in_order(
    valid_from: float, test_from: float, times: npt.NDArray[np.float64], options: SplitOptions
) -> None:
    if valid_from >= test_from:
        raise ConfigError(
            f"--valid-from {options.valid_from} is {written(valid_from, times)}, and --test-from {options.test_from} is"
            f" {written(test_from, times)}; validation must begin before the test does"
        )
    first, last = float(times.min()), float(times.max())
    for name, at in (("valid-from", valid_from), ("test-from", test_from)):
        if not first < at <= last:
            raise DataError(
                f"--{name} is {written(at, times)}, and times run from {written(first, times)} to"
                f" {written(last, times)}; choose a moment between, so that users are left on both sides"
            )


def _assembled(
    table: InteractionTable,
    rows: Rows,
    groups: dict[str, IntArray],
    *,
    train: Mask,
    valid: tuple[Mask, Mask],
    test: tuple[Mask, Mask],
) -> tuple[Split, dict[str, int]]:
    """Return a split by which rows are trained on, folded in and held out of the users in `groups`, and how many of the
    latter are with items that were not trained on, which are dropped.
    """
    item_position, item_order = by_first_appearance(rows.items[train], len(table.item_ids))

    unseen = np.zeros(rows.users.size, dtype=bool)

    def matrix(which: Mask, group: str) -> InteractionMatrix:
        users = groups[group]
        position = np.full(len(table.user_ids), -1, dtype=np.int64)
        position[users] = np.arange(users.size)
        own = np.flatnonzero(which & (position[rows.users] >= 0))
        seen = item_position[rows.items[own]] >= 0
        unseen[own[~seen]] = True
        own = own[seen]
        return InteractionMatrix.from_pairs(
            position[rows.users[own]],
            item_position[rows.items[own]],
            n_users=users.size,
            n_items=item_order.size,
        )

    split = Split(
        matrix(train, "train"),
        HeldOutUsers(*(matrix(which, "valid") for which in valid)),
        HeldOutUsers(*(matrix(which, "test") for which in test)),
        table.user_ids[np.concatenate([groups["train"], groups["valid"], groups["test"]])],
        table.item_ids[item_order],
        overlapping=True,
    )
    return split, {"held_out_interactions_of_unseen_items": int(np.count_nonzero(unseen))}


def _counts(counts: dict[str, int], rows: Rows, groups: dict[str, IntArray], split: Split) -> SplitCounts:
    there = np.unique(np.concatenate(list(groups.values())))
    rows = rows.at(np.isin(rows.users, there))
    return SplitCounts(
        **counts,
        interactions_after_filters=rows.users.size,
        users=there.size,
        items_after_filters=np.unique(rows.items).size,
        items=split.n_items,
        valid_users_with_nothing_to_score=nothing_to_score(split.valid),
        test_users_with_nothing_to_score=nothing_to_score(split.test),
    )
