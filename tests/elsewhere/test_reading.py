"""Scores from elsewhere are read from tables of several kinds, and what cannot be meant is refused in a line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from distrecvae.elsewhere.reading import Scores, read_scores
from distrecvae.errors import DataError

FRAME = pd.DataFrame({"user_id": [7, 7, 9], "item_id": [1, 2, 1], "score": [0.5, 0.25, -1.0]})


def rows(scores: Scores) -> set[tuple[str, str, float]]:
    users, items = scores.user_ids[scores.users], scores.item_ids[scores.items]
    return {(str(u), str(i), float(s)) for u, i, s in zip(users, items, scores.scores, strict=True)}


WANTED = {("7", "1", 0.5), ("7", "2", 0.25), ("9", "1", -1.0)}


def native(frame: pd.DataFrame, path: Path) -> None:
    """Write one row a list, as LensKit's native layout has it: its keys, and a list of structures `items`."""
    lists = [
        [
            {"item_id": item, "score": score}
            for item, score in zip(part["item_id"], part["score"], strict=True)
        ]
        for _, part in frame.groupby("user_id")
    ]
    kind = pa.list_(pa.struct([("item_id", pa.int64()), ("score", pa.float32())]))
    users = pa.array(sorted(set(frame["user_id"])), pa.int64())
    pq.write_table(pa.table({"user_id": users, "items": pa.array(lists, kind)}), path)


def as_csv(frame: pd.DataFrame, path: Path) -> None:
    frame.to_csv(path, index=False)


def as_parquet(frame: pd.DataFrame, path: Path) -> None:
    frame.to_parquet(path)


@pytest.mark.parametrize(
    ("name", "write"),
    [("a.csv", as_csv), ("a.parquet", as_parquet), ("a.pq", native)],
)
def test_a_table_is_read_whatever_it_is_written_as(
    name: str, write: Callable[[pd.DataFrame, Path], None], tmp_path: Path
) -> None:
    write(FRAME, tmp_path / name)
    assert rows(read_scores(tmp_path / name)) == WANTED
    assert rows(read_scores(tmp_path)) == WANTED, "a folder with one file"


def test_a_folder_of_parts_is_one_table_and_lenskits_is_found_among_others(tmp_path: Path) -> None:
    FRAME[:2].to_parquet(tmp_path / "part-0.parquet")
    FRAME[2:].to_parquet(tmp_path / "part-1.parquet")
    assert rows(read_scores(tmp_path)) == WANTED
    pd.DataFrame({"user_id": [1], "item_id": [1], "score": [9.0]}).to_parquet(
        tmp_path / "recommendations.parquet"
    )
    assert rows(read_scores(tmp_path)) == {("1", "1", 9.0)}


def test_ranks_are_scores_and_ids_may_be_text(tmp_path: Path) -> None:
    frame = pd.DataFrame({"user_id": ["a", "a"], "item_id": ["x", "y"], "rank": [1, 2]})
    as_csv(frame, tmp_path / "a.csv")
    assert rows(read_scores(tmp_path / "a.csv")) == {("a", "x", -1.0), ("a", "y", -2.0)}


def test_what_has_no_score_is_not_recommended_and_counted(tmp_path: Path) -> None:
    # RecBole masks by minus infinity; LensKit has no score of what a scorer does not know.
    as_parquet(FRAME.assign(score=[0.5, -np.inf, np.nan]), tmp_path / "a.parquet")
    found = read_scores(tmp_path / "a.parquet")
    assert rows(found) == {("7", "1", 0.5)}
    assert found.n_without == 2


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (FRAME.drop(columns="user_id"), "no column user_id"),
        (FRAME.drop(columns="item_id"), r"no column item_id \(it has user_id, score\)"),
        (FRAME.drop(columns="score"), "neither a column score nor rank"),
        (FRAME.assign(score=["a", "b", "c"]), "score has type .*string and must be numbers; write"),
        (FRAME.assign(score=[np.inf, 1, 2]), "infinite; give finite ones"),
        (FRAME.assign(score=np.nan), "has no score"),
        (FRAME.assign(item_id=[1, 1, 1]), "1 pair of user and item twice, such as user 7 with item 1"),
        (FRAME.assign(user_id=[7.5, 7, 9]), "not whole numbers"),
        (FRAME.assign(user_id=pd.Series([None, 7, 9], dtype="Int64")), "1 row without a user_id"),
        (FRAME.rename(columns={"item_id": "items"}).drop(columns="score"), "items has type int64"),
    ],
)
def test_what_cannot_be_meant_is_refused(frame: pd.DataFrame, words: str, tmp_path: Path) -> None:
    as_parquet(frame, tmp_path / "a.parquet")
    with pytest.raises(DataError, match=words) as refused:
        read_scores(tmp_path / "a.parquet")
    assert "\n" not in str(refused.value)
    assert str(tmp_path) in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1 and no more", b"\x00\x01", b'"a\n'])
def test_damaged_files_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.csv") as refused:
        read_scores(tmp_path / "a.csv")
    assert "\n" not in str(refused.value)


def test_nothing_to_read_is_refused_and_recboles_checkpoints_are_called_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_scores(tmp_path / "absent")
    with pytest.raises(DataError, match="no Parquet or CSV file of scores; write them as a table"):
        read_scores(tmp_path)
    (tmp_path / "BPR.pth").touch()
    with pytest.raises(DataError, match="RecBole's checkpoints hold no user's scores"):
        read_scores(tmp_path)
