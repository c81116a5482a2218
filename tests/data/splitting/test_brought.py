"""Splits made elsewhere: whose layouts are known, what is folded in, what is refused as a leak."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from distrecvae.data.dataset import Split, n_leaks
from distrecvae.data.days.like import Reading
from distrecvae.data.prepared import prepare_data, read_data
from distrecvae.data.sources.columns import ColumnNames
from distrecvae.data.splitting.brought import brought_files, read_brought
from distrecvae.data.synthetic import synthetic_split
from distrecvae.errors import ConfigError, DataError
from tests.data.sources.lenskit_files import write_dataset, write_lists
from tests.data.splitting.ratings import ratings
from tests.data.splitting.test_by_time import cells, pairs


def leave_one(seed: int = 3) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    rows = ratings(seed=seed).sort_values("timestamp", kind="stable")
    ago = rows.groupby("userId").cumcount(ascending=False)
    return rows[ago >= 2], rows[ago == 1], rows[ago == 0]


def recbole(folder: Path) -> None:
    folder.mkdir()
    names = {"userId": "user_id:token", "movieId": "item_id:token", "rating": "rating:float"}
    for name, part in zip(("train", "valid", "test"), leave_one(), strict=True):
        part[list(names)].rename(columns=names).to_csv(folder / f"ml.{name}.inter", sep="\t", index=False)


def read(folder: Path, member: str | None = None, **given: Any) -> Split:
    files = brought_files(folder, member)
    return read_brought(folder, files, Reading(columns=ColumnNames()), given)[0]


def test_recboles_files_are_folded_in_from_what_came_before(tmp_path: Path) -> None:
    recbole(tmp_path / "ml")
    split = read(tmp_path / "ml")
    train, valid, test = leave_one()
    known = set(train["movieId"])
    valid_known, test_known = valid[valid["movieId"].isin(known)], test[test["movieId"].isin(known)]
    assert cells(split) == {
        "train": pairs(train),
        "valid in": pairs(train[train["userId"].isin(valid["userId"])]),
        "valid out": pairs(valid_known),
        "test in": pairs(train) | pairs(valid_known),
        "test out": pairs(test_known),
    }
    assert split.overlapping
    assert n_leaks(split) == 0


def recpack(folder: Path, split: Split) -> None:
    folder.mkdir()
    starts = {"train": 0, "valid": split.train.n_users, "test": split.train.n_users + split.valid.n_users}
    for name, matrix, group in (
        ("full_training_data", split.train, "train"), ("validation_training_data", split.train, "train"),
        ("validation_data_in", split.valid.fold_in, "valid"), ("validation_data_out", split.valid.held_out, "valid"),
        ("test_data_in", split.test.fold_in, "test"), ("test_data_out", split.test.held_out, "test"),
    ):  # fmt: skip
        users = np.repeat(np.arange(matrix.n_users), matrix.counts()) + starts[group]
        frame = pd.DataFrame({"interactionid": np.arange(users.size), "uid": users, "iid": matrix.indices})
        frame.to_csv(folder / f"{name}.csv", index=False)
        (folder / f"{name}_properties.yaml").write_text("num_users: 3\n")


def test_recpacks_files_are_a_split_of_groups(tmp_path: Path) -> None:
    made = synthetic_split(n_users=150, n_items=60)
    recpack(tmp_path / "rp", made)
    split = read(tmp_path / "rp")
    assert not split.overlapping
    assert split.train.n_users == made.train.n_users
    renamed = {"train": 0, "valid": made.train.n_users, "test": made.train.n_users + made.valid.n_users}
    assert cells(split)["test out"] == {
        (user + renamed["test"], item)
        for user in range(made.test.n_users)
        for item in made.test.held_out.row(user).tolist()
    }


def test_lenskits_data_set_and_lists(tmp_path: Path) -> None:
    rows = ratings().rename(columns={"userId": "user_id", "movieId": "item_id"})
    test = rows[rows["user_id"] % 3 == 0].groupby("user_id").head(2)
    write_dataset(rows.drop(test.index), tmp_path / "train")
    write_lists(test, tmp_path / "test.parquet")
    split = read(tmp_path, held_out_users=12)
    assert split.valid.n_users == 12
    assert split.train.n_users == rows["user_id"].nunique() - 12
    assert n_leaks(split) == 0
    back = {"user_id": "userId", "item_id": "movieId"}
    found, known = cells(split), set(split.item_ids.tolist())
    assert found["test out"] == pairs(test[test["item_id"].isin(known)].rename(columns=back))
    drawn = {user for user, _ in found["valid out"]}
    assert not drawn & {user for user, _ in found["train"]}
    # A test user's history is whole, though the user was drawn to validate.
    whole = pairs(rows.drop(test.index).rename(columns=back))
    assert found["test in"] == {(u, i) for u, i in whole if u in set(test["user_id"]) and i in known}


def test_users_with_too_few_items_to_hide_one_are_trained_on_and_not_drawn_to_validate(
    tmp_path: Path,
) -> None:
    """Of 60 that the note counted, 58 validated: two had four items, and were not trained on, either."""
    rows = ratings()
    few = set(rows["userId"].unique()[::2])  # a fifth of their three items is none
    train = pd.concat(
        [rows[~rows["userId"].isin(few)], rows[rows["userId"].isin(few)].groupby("userId").head(3)]
    )
    test = rows.drop(train.index).groupby("userId").head(1)
    assert set(test["userId"]) == few
    for name, part in (("train", train), ("test", test)):
        part.to_csv(tmp_path / f"{name}.csv", index=False)
    files, reading = brought_files(tmp_path), Reading(columns=ColumnNames())
    split, protocol = read_brought(tmp_path, files, reading, {"held_out_users": 10})
    assert protocol["source"]["notes"] == [
        "no validation file: 10 of the training users, drawn by the seed, validate instead"
    ]
    assert split.valid.n_users == 10
    assert split.train.n_users == train["userId"].nunique() - 10
    assert few <= {user for user, _ in cells(split)["train"]}
    enough = train["userId"].nunique() - len(few)
    with pytest.raises(DataError, match=rf"{enough + 1} of .* cannot validate: {enough} have enough items"):
        read(tmp_path, held_out_users=enough + 1)


def test_numbered_splits_are_chosen_by_member(tmp_path: Path) -> None:
    train, _, test = leave_one()
    for number in (0, 1):
        train.to_parquet(tmp_path / f"train-{number}.parquet")
        test.iloc[number::2].to_parquet(tmp_path / f"test-{number}.parquet")
    with pytest.raises(DataError, match="holds 2 splits, numbered 0, 1; choose one with --member 0"):
        brought_files(tmp_path)
    assert brought_files(tmp_path, "1")["test_held_out"].name == "test-1.parquet"
    assert read(tmp_path, "1").test.n_users == len(test.iloc[1::2])
    assert brought_files(tmp_path, "ratings.csv") == {}


def test_what_is_no_split_is_none(tmp_path: Path) -> None:
    assert brought_files(tmp_path / "nowhere") == {}
    leave_one()[0].to_csv(tmp_path / "train.csv", index=False)
    assert brought_files(tmp_path) == {}
    leave_one()[2].to_csv(tmp_path / "test.csv", index=False)
    assert set(brought_files(tmp_path)) == {"train", "test_held_out"}
    leave_one()[2].to_csv(tmp_path / "test.tsv", index=False)
    with pytest.raises(DataError, match=r"test.csv and test.tsv may both be the test held out file"):
        brought_files(tmp_path)


def test_what_is_trained_on_and_to_be_predicted_is_refused(tmp_path: Path) -> None:
    recpack(tmp_path / "rp", synthetic_split(n_users=150, n_items=60))
    train = tmp_path / "rp" / "validation_training_data.csv"
    stolen = pd.read_csv(tmp_path / "rp" / "test_data_out.csv").head(3)
    pd.concat([pd.read_csv(train), stolen]).to_csv(train, index=False)
    with pytest.raises(DataError, match="3 of the interactions to predict are known of the same user"):
        read(tmp_path / "rp")


def test_what_a_user_is_to_find_again_is_dropped_and_counted(tmp_path: Path) -> None:
    """It is masked, so that no model could find it."""
    recbole(tmp_path / "ml")
    test = tmp_path / "ml" / "ml.test.inter"
    rows = (tmp_path / "ml" / "ml.train.inter").read_text().splitlines()
    test.write_text("\n".join([*test.read_text().splitlines(), *rows[1:5]]) + "\n")
    data = prepare_data(tmp_path / "ml")
    assert data.protocol["counts"]["held_out_known"] == 4
    assert "dropped    4 interactions to predict that the same user's history has" in str(data)


def test_it_is_prepared_and_written_as_others_are(tmp_path: Path) -> None:
    recbole(tmp_path / "ml")
    data = prepare_data(tmp_path / "ml", min_rating=3.0)
    saved = data.save(tmp_path / "data")
    again = read_data(tmp_path / "data")
    assert again.fingerprint == saved.fingerprint == data.fingerprint
    assert again.split.overlapping
    assert data.protocol["options"] == {"split": "brought", "min_rating": 3.0}
    assert data.protocol["source"]["files"]["train"] == "ml.train.inter"
    with pytest.raises(ConfigError, match="read as split already"):
        again.like()
    for given in ({"split": "leave-last"}, {"min_user_interactions": 5}, {"seed": 3}, {"preset": "ml-1m"}):
        with pytest.raises(ConfigError, match="already split; --"):
            prepare_data(tmp_path / "ml", **given)
