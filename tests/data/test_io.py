"""The dataset folder: what is written is what is read, and what was changed since is refused in one line."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from distrecvae.data.dataset import HeldOutUsers, Split
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.data.io import load_dataset, read_protocol, save_dataset
from distrecvae.data.stored.tables import load_ids, save_ids
from distrecvae.data.synthetic import synthetic_split
from distrecvae.errors import DataError, ResultsError


@pytest.fixture(scope="module")
def split() -> Split:
    return synthetic_split(n_users=60, n_items=50)


@pytest.fixture
def folder(split: Split, tmp_path: Path) -> Path:
    save_dataset(split, tmp_path / "data", {"source": {"path": "x"}, "counts": {"rows": 3}})
    return tmp_path / "data"


def test_round_trip(split: Split, folder: Path) -> None:
    again = load_dataset(folder)
    assert again.fingerprint == split.fingerprint
    assert again.user_ids.dtype == np.int64
    for one, other in ((again.train, split.train), (again.test.held_out, split.test.held_out)):
        np.testing.assert_array_equal(one.indptr, other.indptr)
        np.testing.assert_array_equal(one.indices, other.indices)
        assert one.indices.dtype == np.int32
        assert one.n_items == other.n_items


def test_protocol_says_how_it_was_made(split: Split, folder: Path) -> None:
    protocol = read_protocol(folder)
    assert protocol["source"] == {"path": "x"}
    assert protocol["fingerprint"] == split.fingerprint
    assert protocol["n_users"] == {"train": 48, "valid": 6, "test": 6}
    assert protocol["n_interactions"]["train"] == split.train.n_interactions
    users = pq.read_table(folder / "users.parquet")
    assert users.column("group").to_pylist() == ["train"] * 48 + ["valid"] * 6 + ["test"] * 6


def test_users_with_nothing_survive(tmp_path: Path) -> None:
    """Held-out users may have empty rows, first and last ones too: a matrix is more than its pairs."""
    empty = InteractionMatrix.from_pairs([], [], n_users=3, n_items=2)
    middle = InteractionMatrix.from_pairs([1], [1], n_users=3, n_items=2)
    train = InteractionMatrix.from_pairs([0, 1], [0, 1], n_users=2, n_items=2)
    ids = np.array(["é", "b", "", "d\n", "e", "f", "g", "h"], dtype=object)
    before = Split(train, HeldOutUsers(middle, empty), HeldOutUsers(empty, empty), ids, np.array([5, -7]))
    save_dataset(before, tmp_path / "d", {})
    after = load_dataset(tmp_path / "d")
    assert after.fingerprint == before.fingerprint
    assert after.valid.fold_in.counts().tolist() == [0, 1, 0]
    assert after.user_ids.tolist() == ids.tolist()


@pytest.mark.parametrize("ids", [np.array([3, 1, 2]), np.array(["x", "007", "y z"], dtype=object)])
def test_ids_keep_kind_and_order(ids: np.ndarray[tuple[int], np.dtype[np.generic]], tmp_path: Path) -> None:
    save_ids(tmp_path / "items.parquet", ids)
    again = load_ids(tmp_path / "items.parquet")
    assert again.tolist() == ids.tolist()
    with pytest.raises(DataError, match="damaged"):
        load_ids(tmp_path / "items.parquet", kind="user_id")


def rewritten(name: str, change: Callable[[pa.Table], pa.Table]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        pq.write_table(change(pq.read_table(folder / name)), folder / name)

    return apply


def edit(**changes: object) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / "dataset.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return apply


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "another version": (edit(format=99), "format 99.*reads formats 1 and 2"),
    "no version": (edit(format=None), "format None"),
    "wrong fingerprint": (edit(fingerprint="0" * 32), "fingerprint .* says 000000000000"),
    "no shape": (edit(n_items="many"), "run `distrecvae prepare` again"),
    "not JSON": (lambda f: (f / "dataset.json").write_text("{"), "cannot be read"),
    "not an object": (lambda f: (f / "dataset.json").write_text("[1]"), "format None"),
    "no dataset.json": (lambda f: (f / "dataset.json").unlink(), "not a prepared dataset"),
    "no folder": (shutil.rmtree, "no such folder"),
    "missing file": (lambda f: (f / "test_fold_in.parquet").unlink(), "test_fold_in.parquet is missing"),
    "truncated": (
        lambda f: (f / "train.parquet").write_bytes(b"PAR1 and no more"),
        "train.parquet is damaged",
    ),
    "other columns": (
        rewritten("train.parquet", lambda t: t.rename_columns(["a", "b"])),
        "train.parquet is damaged",
    ),
    "other types": (
        rewritten("train.parquet", lambda t: t.cast(pa.schema({"user": pa.int64(), "item": pa.int64()}))),
        "must be int32",
    ),
    "a row less": (rewritten("train.parquet", lambda t: t.slice(1)), "387 rows, and 388 are said"),
    "users out of order": (
        rewritten("train.parquet", lambda t: t.take(list(range(t.num_rows))[::-1])),
        "out of order",
    ),
    "an item too many": (rewritten("items.parquet", lambda t: t.slice(1)), "49 rows, and 50 are said"),
    "an id changed": (
        rewritten("users.parquet", lambda t: t.set_column(0, "user_id", pa.array(range(60)))),
        "fingerprint",
    ),
    "an empty id": (
        rewritten("items.parquet", lambda t: pa.table({"item_id": pa.nulls(t.num_rows, pa.int64())})),
        "empty ids",
    ),
    "an item out of range": (
        rewritten(
            "train.parquet", lambda t: t.set_column(1, "item", pa.array([99] * t.num_rows, pa.int32()))
        ),
        "item position 99",
    ),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_refuses_what_was_changed(case: str, folder: Path) -> None:
    change, message = DAMAGE[case]
    change(folder)
    with pytest.raises(DataError, match=message) as caught:
        load_dataset(folder)
    assert "\n" not in str(caught.value)


def test_never_overwrites(split: Split, folder: Path) -> None:
    with pytest.raises(ResultsError, match="already exists"):
        save_dataset(split, folder, {})
    assert load_dataset(folder).fingerprint == split.fingerprint


@pytest.mark.parametrize("at", [1, 3, 7])
def test_a_full_disk_leaves_nothing(
    split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """Wherever the disk fills up, no folder appears and nothing of it is left beside."""
    calls = []
    write = pq.write_table

    def full(table: pa.Table, path: Path, **options: Any) -> None:
        calls.append(path)
        if len(calls) == at:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(table, path, **options)

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(DataError, match="No space left on device"):
        save_dataset(split, tmp_path / "data", {})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_at_a_uri_is_read_as_one_on_disk(split: Split, folder: Path) -> None:
    for uri in (f"file://{folder}", f"file://{folder}/"):
        assert load_dataset(uri).fingerprint == split.fingerprint


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: shutil.rmtree(f), "is not a prepared dataset (no such folder)"),
        (lambda f: (f / "dataset.json").unlink(), "is not a prepared dataset (no dataset.json in it)"),
        (lambda f: (f / "test_fold_in.parquet").unlink(), "/test_fold_in.parquet is missing"),
        (lambda f: (f / "train.parquet").write_bytes(b"PAR1"), "/train.parquet is damaged"),
    ],
)
def test_what_is_wrong_at_a_uri_is_said_of_the_uri(
    change: Callable[[Path], object], words: str, folder: Path
) -> None:
    change(folder)
    uri = f"file://{folder}"
    with pytest.raises(DataError) as refused:
        load_dataset(uri)
    assert str(refused.value).startswith(uri)
    assert words in str(refused.value)
    assert "distrecvae-" not in str(refused.value)
