"""The strong-generalization split: a table of interactions in, a Split and its counts out.

This is the pre-processing published with Mult-VAE (Liang et al., WWW 2018) and used unchanged by RecVAE
(Shenbin et al., WSDM 2020), to the last row: the same legacy NumPy streams, consumed in the same order. Only
the random draws are made one user at a time, since each consumes the stream; everything else is whole-array
work.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from distrecvae.data.dataset import HeldOutUsers, Split
from distrecvae.data.days.matching import Groups, divide_alike
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.data.splitting.by_time import Moments, split_at_moments, split_last
from distrecvae.data.splitting.options import GLOBAL_TIME, LEAVE_LAST, TIME, SplitOptions
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
from distrecvae.errors import DataError

# In the published code a held-out user with fewer items is folded in whole: nothing of it is held out.
MIN_ITEMS_TO_HOLD_OUT = 5


def split_table(
    table: InteractionTable, options: SplitOptions | None = None, earlier: Groups | None = None
) -> tuple[Split, SplitCounts, Moments]:
    """Split `table` in the way that `options` names; arguments and errors as for `split_users`.

    Returns:
        The split, how many of what was dropped where, and the moments of a split that has some.
    """
    options = options or SplitOptions()
    if options.split == GLOBAL_TIME:
        return split_at_moments(table, options)
    split, counts = (
        split_last(table, options) if options.split == LEAVE_LAST else split_users(table, options, earlier)
    )
    return split, counts, {}


def split_users(
    table: InteractionTable, options: SplitOptions | None = None, earlier: Groups | None = None
) -> tuple[Split, SplitCounts]:
    """Split `table` by users into train, valid and test.

    In this order: threshold; duplicates of a (user, item) pair merged (so a pair is kept if any of its rows
    passes); items, then users with too few interactions dropped, once each; users permuted; the last 2 x H
    held out, first H valid, then H test; items never seen in training dropped; each held-out user's items
    drawn into fold-in and held-out. Items are numbered in order of first appearance among training rows,
    users in the permuted order. With `earlier`, the users of an earlier data set, whoever was there keeps the group.

    Returns:
        The split, and how many of what was dropped where.

    Raises:
        DataError: a threshold without ratings, a rating missing, or nothing (or too few users) left.
        ConfigError: an option is out of its range.
    """
    options = options or SplitOptions()
    rows, first_counts = counting_rows(table, options)
    kept = filtered(table, rows, options)
    n_items = len(table.item_ids)
    rows, enough = kept.rows, kept.enough_users
    remaining = np.flatnonzero(enough)
    n_users = remaining.size
    users_dropped = first_counts["users_before_filters"] - n_users
    if users_dropped:
        rows = rows.at(enough[rows.users])
    users, items = rows.users, rows.items
    n_valid, n_test = _number_held_out(n_users, options)
    # Positions in `remaining` are ranks of sorted ids: the order of a pandas group-by index, which is what
    # was permuted.
    order: IntArray = remaining[np.random.RandomState(options.seed).permutation(n_users)]
    known = 0
    if earlier is not None:
        divided = divide_alike(table.user_ids[order], earlier, n_valid)
        order, n_valid, n_test, known = order[divided.order], divided.n_valid, divided.n_test, divided.n_known
    if options.folds is not None:
        order, n_test = _fold(order, n_valid, options)
    position = np.full(len(table.user_ids), -1, dtype=np.int32)
    position[order] = np.arange(n_users, dtype=np.int32)
    row_position = position[users]
    valid_start, test_start = n_users - n_valid - n_test, n_users - n_test

    in_train = row_position < valid_start
    train_items = items[in_train]
    item_position, item_order = by_first_appearance(train_items, n_items)
    train = InteractionMatrix.from_pairs(
        row_position[in_train], item_position[train_items], n_users=valid_start, n_items=item_order.size
    )
    unseen = int(np.count_nonzero(item_position[items[~in_train]] < 0))
    groups, torn = [], 0
    for start, stop in ((valid_start, test_start), (test_start, n_users)):
        own = np.flatnonzero((row_position >= start) & (row_position < stop))
        own = own[item_position[items[own]] >= 0]
        placed = Rows(
            row_position[own] - start,
            item_position[items[own]],
            None if rows.times is None else rows.times[own],
        )
        held, n_torn = _held_out(users[own], placed.times, options)
        torn += n_torn
        groups.append(_group(placed, held, n_users=stop - start, n_items=item_order.size))
    valid, test = groups
    split = Split(train, valid, test, table.user_ids[order], table.item_ids[item_order])
    counts = SplitCounts(
        **(first_counts | kept.counts),
        users_below_minimum=users_dropped,
        interactions_after_filters=users.size,
        users=n_users,
        items_after_filters=int(np.count_nonzero(np.bincount(items, minlength=n_items))),
        items=item_order.size,
        held_out_interactions_of_unseen_items=unseen,
        valid_users_with_nothing_to_score=nothing_to_score(valid),
        test_users_with_nothing_to_score=nothing_to_score(test),
        users_known=known,
        users_cut_within_a_moment=torn if options.held_out_by == TIME else None,
    )
    return split, counts


def _number_held_out(n_users: int, options: SplitOptions) -> tuple[int, int]:
    """Return how many validation and test users there are."""
    wanted = options.held_out_users
    n_held_out = max(1, int(wanted * n_users)) if isinstance(wanted, float) else wanted
    if options.folds is not None:
        left = n_users - n_held_out
        if left < options.folds:
            raise DataError(
                f"{n_users} users are left after filtering and {n_held_out} validate; {max(left, 0)} are not enough for"
                f" {options.folds} folds: lower --held-out-users, --folds or the filters"
            )
        return n_held_out, 0
    if n_users - 2 * n_held_out < 1:
        raise DataError(
            f"{n_users} users are left after filtering and 2 x {n_held_out} are to be held out; at least one must "
            "remain for training: lower --held-out-users or the filters"
        )
    return n_held_out, n_held_out


def _fold(order: IntArray, n_valid: int, options: SplitOptions) -> tuple[IntArray, int]:
    """Return users in the order train, valid, test of one fold, and how many are tested: the last `n_valid` validate in
    all folds, each of the others is tested in one."""
    folds = np.array_split(order[: order.size - n_valid], options.folds or 1)
    test = folds.pop(options.fold - 1)
    return np.concatenate([*folds, order[order.size - n_valid :], test]), test.size


def _held_out(
    ids: IntArray, times: npt.NDArray[np.float64] | None, options: SplitOptions
) -> tuple[Mask, int]:
    """Return which rows of a group are to be predicted, and how many users have items of one time on both sides.

    Drawn at random: users in id order, a user's rows in file order, one stream for the group.
    """
    if times is not None:
        order = latest(ids, times, options.seed)
        n_held = (options.held_out_fraction * order.n_rows).astype(np.int64)
        held = (order.n_rows >= MIN_ITEMS_TO_HOLD_OUT) & (order.from_end < n_held)
        return held, cut_within_a_moment(order, ids, times, held.astype(np.int8))
    by_user = np.argsort(ids, kind="stable")
    ids = ids[by_user]
    starts = (
        np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]]))
        if ids.size
        else np.zeros(0, dtype=np.intp)
    )
    counts = np.diff(np.append(starts, ids.size))
    random = np.random.RandomState(options.seed)
    drawn = [
        start + random.choice(n, size=int(options.held_out_fraction * n), replace=False)
        for start, n in zip(starts.tolist(), counts.tolist(), strict=True)
        if n >= MIN_ITEMS_TO_HOLD_OUT
    ]
    held = np.zeros(ids.size, dtype=bool)
    if drawn:
        held[by_user[np.concatenate(drawn)]] = True
    return held, 0


def _group(rows: Rows, held: Mask, *, n_users: int, n_items: int) -> HeldOutUsers:
    fold_in, held_out = (
        InteractionMatrix.from_pairs(rows.users[which], rows.items[which], n_users=n_users, n_items=n_items)
        for which in (~held, held)
    )
    return HeldOutUsers(fold_in, held_out)
