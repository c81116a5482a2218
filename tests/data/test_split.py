"""The split: the published pre-processing to the last row, a naive oracle for everything else, and its
edges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distrecvae.data.dataset import Split
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.data.sources import read_table
from distrecvae.data.split import split_users
from distrecvae.data.splitting.options import SplitOptions
from distrecvae.data.table import InteractionTable
from distrecvae.errors import ConfigError, DataError

GOLDEN = Path(__file__).parents[1] / "golden" / "pro_sg.npz"
SHARED = Path(__file__).parents[3] / "shared" / "data" / "ml-latest-small" / "ratings.csv"
ROLES = ("train", "validation_tr", "validation_te", "test_tr", "test_te")


def table_of(
    users: npt.ArrayLike, items: npt.ArrayLike, ratings: npt.ArrayLike | None = None
) -> InteractionTable:
    user_ids, u = np.unique(np.asarray(users), return_inverse=True)
    item_ids, i = np.unique(np.asarray(items), return_inverse=True)
    r = None if ratings is None else np.asarray(ratings, dtype=np.float64)
    return InteractionTable(u.astype(np.int32), i.astype(np.int32), r, user_ids, item_ids)


def roles_of(split: Split) -> dict[str, set[tuple[int, int]]]:
    """The five tables of a split as sets of (user position, item position), users counted through all
    groups."""
    starts = (0, split.train.n_users, split.train.n_users, *[split.train.n_users + split.valid.n_users] * 2)
    matrices = (
        split.train,
        split.valid.fold_in,
        split.valid.held_out,
        split.test.fold_in,
        split.test.held_out,
    )
    return {role: cells(matrix, start) for role, matrix, start in zip(ROLES, matrices, starts, strict=True)}


def cells(matrix: InteractionMatrix, start: int = 0) -> set[tuple[int, int]]:
    users = np.repeat(np.arange(matrix.n_users), matrix.counts()) + start
    return set(zip(users.tolist(), matrix.indices.tolist(), strict=True))


def assert_is_golden(split: Split) -> None:
    golden = np.load(GOLDEN)
    assert split.user_ids.tolist() == golden["unique_uid"].tolist()
    assert split.item_ids.tolist() == golden["unique_sid"].tolist()
    for role, found in roles_of(split).items():
        assert found == set(map(tuple, golden[role].tolist())), role


def golden_input() -> pd.DataFrame:
    """The rows that must have gone in, in file order: by user, then by movie, as MovieLens is published."""
    golden = np.load(GOLDEN)
    pairs = np.concatenate([golden[role] for role in ROLES])
    rows = pd.DataFrame(
        {"user": golden["unique_uid"][pairs[:, 0]], "item": golden["unique_sid"][pairs[:, 1]]}
    )
    return rows.sort_values(["user", "item"], ignore_index=True).assign(rating=4.0)


def test_published_split_to_the_last_row() -> None:
    """From the published output's rows alone, who is held out and what of them must come out as published."""
    rows = golden_input()
    # One held-out user has fewer than five items here, since those that no training user has are not in the
    # output.
    options = SplitOptions(min_rating=3.5, min_user_interactions=1, held_out_users=60)
    split, counts = split_users(table_of(rows["user"], rows["item"], rows["rating"]), options)
    assert_is_golden(split)
    assert counts.users_below_minimum == counts.duplicates == counts.below_threshold == 0


def test_what_is_to_be_dropped_leaves_no_trace() -> None:
    """Low ratings, a user with too few, items only held-out users have, repeated rows: the same split comes
    out."""
    rows = golden_input()
    held_out = np.load(GOLDEN)["unique_uid"][-120:]
    noise = pd.concat(
        [
            pd.DataFrame({"user": rows["user"].unique(), "item": 1, "rating": 3.5}),  # exclusive: 3.5 is out
            pd.DataFrame({"user": 10**6, "item": [1, 2, 3, 4], "rating": 5.0}),
            pd.DataFrame({"user": held_out, "item": 10**6, "rating": 5.0}),
            rows.iloc[::7],
        ]
    )
    rows = pd.concat([rows, noise], ignore_index=True)
    split, counts = split_users(
        table_of(rows["user"], rows["item"], rows["rating"]), SplitOptions(min_rating=3.5, held_out_users=60)
    )
    assert_is_golden(split)
    assert counts.below_threshold == 603
    assert counts.users_below_minimum == 1
    assert counts.held_out_interactions_of_unseen_items == 120
    assert counts.duplicates == len(golden_input().iloc[::7])


@pytest.mark.skipif(
    not SHARED.exists(), reason="needs MovieLens' ratings.csv, which is not ours to distribute"
)
def test_published_split_from_the_ratings_file() -> None:
    split, counts = split_users(read_table(SHARED), SplitOptions(min_rating=3.5, held_out_users=60))
    assert_is_golden(split)
    assert (counts.rows, counts.below_threshold, counts.users_below_minimum) == (100_836, 52_256, 6)
    assert counts.held_out_interactions_of_unseen_items == 688


def naive_split(
    rows: pd.DataFrame, options: SplitOptions, n_held_out: int
) -> dict[str, set[tuple[str, str]]]:
    """The protocol in plain words, a group at a time: an oracle that shares no code with the package."""
    if options.min_rating is not None:
        rows = rows[rows["rating"] > options.min_rating]
    rows = rows.drop_duplicates(["user", "item"])
    per_item = rows.groupby("item").size()
    rows = rows[rows["item"].isin(per_item.index[per_item >= options.min_item_interactions])]
    per_user = rows.groupby("user").size()
    rows = rows[rows["user"].isin(per_user.index[per_user >= options.min_user_interactions])]
    users = np.array(sorted(rows["user"].unique()))
    users = users[np.random.RandomState(options.seed).permutation(len(users))]
    n_train = len(users) - 2 * n_held_out
    train = rows[rows["user"].isin(users[:n_train])]
    result = {"train": pairs(train)}
    for name, group in (("validation", users[n_train:-n_held_out]), ("test", users[-n_held_out:])):
        known = rows[rows["user"].isin(group) & rows["item"].isin(train["item"])]
        random = np.random.RandomState(options.seed)
        tr, te = [], []
        for _, own in known.groupby("user"):
            out = np.zeros(len(own), dtype=bool)
            if len(own) >= 5:
                out[
                    random.choice(len(own), size=int(options.held_out_fraction * len(own)), replace=False)
                ] = True
            tr.append(own[~out])
            te.append(own[out])
        result |= {f"{name}_tr": pairs(*tr), f"{name}_te": pairs(*te)}
    return result


def pairs(*frames: pd.DataFrame) -> set[tuple[str, str]]:
    return {pair for frame in frames for pair in zip(frame["user"], frame["item"], strict=True)}


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    n_users=st.integers(8, 40),
    n_items=st.integers(5, 30),
    min_user=st.integers(0, 6),
    min_item=st.integers(0, 4),
    min_rating=st.sampled_from([None, 0.5, 2.0]),
    n_held_out=st.integers(1, 3),
    fraction=st.sampled_from([0.1, 0.2, 0.5, 0.9]),
)
def test_against_a_naive_split(
    seed: int, n_users: int, n_items: int, min_user: int, min_item: int, min_rating: float | None,
    n_held_out: int, fraction: float,
) -> None:  # fmt: skip
    random = np.random.default_rng(seed)
    n_rows = n_users * 9
    rows = pd.DataFrame(
        {
            "user": [f"u{u}" for u in random.integers(n_users, size=n_rows)],
            "item": [f"i{i}" for i in np.minimum(random.geometric(0.1, size=n_rows), n_items)],
            "rating": random.integers(0, 4, size=n_rows),
        }
    )
    options = SplitOptions(
        min_rating=min_rating,
        min_user_interactions=min_user,
        min_item_interactions=min_item,
        held_out_users=n_held_out,
        held_out_fraction=fraction,
        seed=seed,
    )
    table = table_of(rows["user"].to_numpy(dtype=str), rows["item"].to_numpy(dtype=str), rows["rating"])
    try:
        split, counts = split_users(table, options)
    except DataError:  # too few users are left; that this is said is another test's
        return
    expected = naive_split(rows, options, n_held_out)
    for role, found in roles_of(split).items():
        named = {(split.user_ids[u], split.item_ids[i]) for u, i in found}
        assert named == expected[role], role
    kept = sum(map(len, expected.values()))
    assert kept == counts.interactions_after_filters - counts.held_out_interactions_of_unseen_items
    assert counts.rows == counts.below_threshold + counts.duplicates + counts.interactions_before_filters


def test_items_are_dropped_before_users() -> None:
    """Once each, in this order: a user left with too few by the item filter goes, an item so made rare
    stays."""
    users = [*[u for u in range(6) for _ in range(3)], 9, 9, 9]
    items = [*[i for _ in range(6) for i in range(3)], 0, 1, 77]  # 77 is rare, so user 9 is left with two
    split, counts = split_users(
        table_of(users, items),
        SplitOptions(min_user_interactions=3, min_item_interactions=2, held_out_users=1),
    )
    assert 9 not in split.user_ids
    assert 77 not in split.item_ids
    assert (counts.items_below_minimum, counts.users_below_minimum) == (1, 1)


def test_a_pair_is_kept_if_any_of_its_rows_passes() -> None:
    users = np.repeat(np.arange(5), 5)
    items = np.tile(np.arange(5), 5)
    ratings = np.full(25, 4.0)
    again = table_of([*users, *users], [*items, *items], [*ratings, *np.full(25, 1.0)])
    once = table_of(users, items, ratings)
    options = SplitOptions(min_rating=3.5, held_out_users=1)
    assert split_users(again, options)[0].fingerprint == split_users(once, options)[0].fingerprint


def test_users_too_small_to_hold_out_are_counted() -> None:
    """With four items nothing is held out, as in the published code; with five, one is."""
    users = np.repeat(np.arange(30), 4)
    items = np.tile(np.arange(4), 30)
    _, counts = split_users(table_of(users, items), SplitOptions(min_user_interactions=1, held_out_users=5))
    assert (counts.valid_users_with_nothing_to_score, counts.test_users_with_nothing_to_score) == (5, 5)
    users, items = np.repeat(np.arange(30), 5), np.tile(np.arange(5), 30)
    split, counts = split_users(table_of(users, items), SplitOptions(held_out_users=5))
    assert counts.valid_users_with_nothing_to_score == 0
    assert split.valid.held_out.counts().tolist() == [1] * 5


def test_a_fraction_of_the_users() -> None:
    split, _ = split_users(table_of(np.repeat(np.arange(57), 5), np.tile(np.arange(5), 57)))
    assert (split.train.n_users, split.valid.n_users, split.test.n_users) == (47, 5, 5)


def test_seed_changes_the_split() -> None:
    random = np.random.default_rng(0)
    table = table_of(random.integers(50, size=900), random.integers(30, size=900))
    one, other = (split_users(table, SplitOptions(held_out_users=5, seed=seed))[0] for seed in (1, 2))
    assert one.user_ids.tolist() != other.user_ids.tolist()


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        (table_of([], []), SplitOptions(), "no rows"),
        (table_of([1, 2], [1, 2]), SplitOptions(min_rating=1.0), "no rating column"),
        (table_of([1, 2], [1, 2], [np.nan, 3]), SplitOptions(min_rating=1.0), "first in row 1"),
        (table_of([1, 2], [1, 2], [2, 3]), SplitOptions(min_rating=5.0), "the highest is 3"),
        (table_of([1, 2], [1, 2]), SplitOptions(), "0 users are left"),
        (table_of(range(6), [0] * 6), SplitOptions(min_user_interactions=1, held_out_users=3), "2 x 3"),
    ],
)
def test_what_cannot_be_split(table: InteractionTable, options: SplitOptions, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        split_users(table, options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"min_rating": float("nan")},
        {"min_user_interactions": -1},
        {"min_item_interactions": -1},
        {"held_out_users": 0},
        {"held_out_users": 0.5},
        {"held_out_users": -0.1},
        {"held_out_fraction": 0.0},
        {"held_out_fraction": 1.0},
        {"seed": -1},
        {"seed": 2**32},
    ],
)
def test_options_out_of_range(options: dict[str, float]) -> None:
    (name,) = options
    with pytest.raises(ConfigError, match=name):
        SplitOptions(**options)  # type: ignore[arg-type]
