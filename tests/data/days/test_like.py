"""A data set that is made like an earlier one: its choices, its users' groups, and what was newly given."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from distrecvae.data.days.like import Reading, read_like
from distrecvae.data.io import read_protocol
from distrecvae.data.prepared import Data, prepare_data, read_data
from distrecvae.data.pro_sg import write_pro_sg
from distrecvae.data.sources.columns import ColumnNames
from distrecvae.errors import ConfigError, DataError


def table(n_users: int, first: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(first)
    users = np.repeat(np.arange(first, first + n_users), 8)
    items = np.concatenate([random.choice(40, size=8, replace=False) for _ in range(n_users)])
    return pd.DataFrame({"buyer": users, "sku": items, "stars": random.integers(1, 6, users.size)})


def write(path: Path, frame: pd.DataFrame) -> Path:
    frame.to_csv(path, index=False, sep=";")
    return path


@pytest.fixture
def yesterday(tmp_path: Path) -> Data:
    source = write(tmp_path / "yesterday.csv", table(60))
    columns = ColumnNames(user="buyer", item="sku", rating="stars")
    made = prepare_data(
        source, columns=columns, missing=("NA",), min_rating=1.5, min_user_interactions=2, held_out_users=6, seed=7
    )  # fmt: skip
    return made.save(tmp_path / "yesterday")


def test_what_is_not_given_is_as_it_was(yesterday: Data, tmp_path: Path) -> None:
    today = pd.concat([table(60), table(20, first=60)])
    like = read_like(yesterday.folder or "")
    made = prepare_data(write(tmp_path / "today.csv", today), like=like)
    assert made.protocol["options"] == yesterday.protocol["options"]
    assert made.protocol["reading"] == yesterday.protocol["reading"] == {
        "user_column": "buyer", "item_column": "sku", "rating_column": "stars", "missing": ["NA"]
    }  # fmt: skip
    assert made.protocol["like"]["fingerprints"] == [yesterday.fingerprint]
    assert made.protocol["like"]["given"] == []
    assert made.protocol["counts"]["users_known"] == yesterday.split.user_ids.size


def test_users_keep_their_groups_and_no_one_trained_on_is_held_out(yesterday: Data, tmp_path: Path) -> None:
    today = pd.concat([table(60), table(20, first=60)])
    made = prepare_data(write(tmp_path / "today.csv", today), like=read_like(yesterday.folder or "")).split
    before, n = yesterday.split, yesterday.split.train.n_users
    trained = set(before.user_ids[:n].tolist())
    held_out = set(made.user_ids[made.train.n_users :].tolist())
    assert not trained & held_out
    assert set(before.user_ids[n:].tolist()) <= held_out
    assert (made.valid.n_users, made.test.n_users) == (6, 6)


def test_a_table_that_did_not_change_gives_the_same_data_set(yesterday: Data) -> None:
    again = prepare_data(**read_like(yesterday.folder or "").again(), like=yesterday.like())
    assert again.fingerprint == yesterday.fingerprint


def test_what_is_given_wins_and_is_said(yesterday: Data, tmp_path: Path) -> None:
    source = write(tmp_path / "today.csv", table(80).rename(columns={"sku": "article"}))
    made = prepare_data(
        source, columns=ColumnNames(item="article"), min_rating=0.5, like=read_like(yesterday.folder or "")
    )
    assert made.protocol["options"] == {**yesterday.protocol["options"], "min_rating": 0.5}
    assert made.protocol["reading"]["item_column"] == "article"
    like = [line for line in str(made).splitlines() if line.startswith("like")]
    assert like == [
        f"like       {yesterday.folder}: --min-user-interactions 2 --held-out-users 6 --seed 7 --user-column buyer"
        " --rating-column stars --missing NA; newly given: --item-column --min-rating",
        "like       60 users of it in the groups that they had there, 20 new",
    ]


def test_a_preset_goes_over_the_earlier_choices_and_options_over_both(yesterday: Data) -> None:
    options = yesterday.like().options_under("ml-1m", {"held_out_users": 4, "seed": None})
    assert (options.min_rating, options.held_out_users) == (3.5, 4)
    assert yesterday.like().options_under(None, {"seed": 3}).min_rating == 1.5


def test_days_are_a_chain(yesterday: Data, tmp_path: Path) -> None:
    source = write(tmp_path / "today.csv", table(70))
    today = prepare_data(source, like=yesterday.like()).save(tmp_path / "today")
    tomorrow = prepare_data(source, like=read_data(tmp_path / "today").like())
    assert tomorrow.protocol["like"]["fingerprints"] == [today.fingerprint, yesterday.fingerprint]


def test_a_table_in_memory_takes_columns_over_and_what_is_of_files_not(tmp_path: Path) -> None:
    frame = table(60)
    first = prepare_data(
        write(tmp_path / "a.csv", frame), columns=ColumnNames(user="buyer", item="sku"), header=True, encoding="utf-8"
    )  # fmt: skip
    made = prepare_data(frame, like=first.like())
    assert made.protocol["reading"] == {"user_column": "buyer", "item_column": "sku"}
    with pytest.raises(ConfigError, match="was made from a table in memory; give a source"):
        made.like().again()


def test_synthetic_data_is_made_again() -> None:
    first = prepare_data(None, users=100, items=60, seed=3)
    assert prepare_data(**first.like().again(), like=first.like()).fingerprint == first.fingerprint


def test_every_way_of_reading_is_recorded_and_taken_over() -> None:
    told = Reading(
        columns=ColumnNames(user="1", item="2", rating="none", timestamp="4"), source_format="csv", member="a",
        header=False, missing=("NA", ""), encoding="latin-1", max_rows=9,
    )  # fmt: skip
    assert Reading(columns=ColumnNames()).over(told.recorded(), of_a_file=True) == told
    assert json.loads(json.dumps(told.recorded())) == told.recorded()
    anew = Reading(columns=ColumnNames(user="u"), header=True, member="b")
    found = anew.over(told.recorded(), of_a_file=True)
    assert (found.columns.user, found.columns.item, found.header, found.member) == ("u", "2", True, "b")


def test_a_folder_of_an_older_version_gives_its_options(yesterday: Data, tmp_path: Path) -> None:
    path = Path(yesterday.folder or "") / "dataset.json"
    document = read_protocol(path.parent)
    del document["reading"]
    path.write_text(json.dumps(document))
    like = read_like(path.parent)
    assert like.reading == {}
    assert like.options.min_rating == 1.5


def test_there_is_nothing_to_take_over(yesterday: Data, tmp_path: Path) -> None:
    write_pro_sg(yesterday.split, tmp_path / "pro")
    split_already = prepare_data(tmp_path / "pro").save(tmp_path / "read")
    with pytest.raises(ConfigError, match="read as split already, and has no options to take over"):
        read_like(split_already.folder or "")
    with pytest.raises(DataError, match="not a prepared dataset"):
        read_like(tmp_path / "absent")
    with pytest.raises(ConfigError, match="already split; --like has no effect"):
        prepare_data(tmp_path / "pro", like=yesterday.like())


def test_damaged_choices_are_one_line(yesterday: Data) -> None:
    path = Path(yesterday.folder or "") / "dataset.json"
    document = read_protocol(path.parent)
    path.write_text(json.dumps(document | {"options": {"colour": 3}}))
    with pytest.raises(DataError, match=r"dataset\.json is damaged") as refused:
        read_like(path.parent)
    assert "\n" not in str(refused.value)


def test_at_a_uri(yesterday: Data) -> None:
    uri = Path(yesterday.folder or "").as_uri()
    like = read_like(uri)
    assert like.name == uri
    assert like.fingerprints == (yesterday.fingerprint,)
