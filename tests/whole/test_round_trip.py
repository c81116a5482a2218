"""prepare -> export -> prepare is the same data set, whatever the ids; and what changes a fingerprint is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from distrecvae.data.io import load_dataset
from distrecvae.data.prepared import Data, prepare_data
from distrecvae.data.pro_sg import write_pro_sg

IDS: dict[str, Callable[[int], object]] = {
    "numbers": lambda n: n,
    "negative": lambda n: -n,
    "floats": lambda n: float(n),
    "zeros first": lambda n: f"{n:05d}",
    "text": lambda n: f"u {n}",
    "quotes": lambda n: f'"{n}',
    "nothing's names": lambda n: ("NA", "null", "None", "nan", "NULL")[n] if n < 5 else f"x{n}",
    "unicode": lambda n: f"é😀\u2028{n}",
    "huge": lambda n: 2**62 + n,
}


def frame(kind: str) -> pd.DataFrame:
    random = np.random.default_rng(0)
    rows = [(user, int(item)) for user in range(60) for item in random.choice(40, 12, replace=False)]
    return pd.DataFrame(
        {"user_id": [IDS[kind](u) for u, _ in rows], "item_id": [IDS[kind](i) for _, i in rows]}
    )


def same(one: Data, other: Data) -> None:
    assert one.fingerprint == other.fingerprint
    assert one.split.user_ids.tolist() == other.split.user_ids.tolist()
    assert one.split.item_ids.tolist() == other.split.item_ids.tolist()
    assert one.split.user_ids.dtype == other.split.user_ids.dtype


@pytest.mark.parametrize("kind", IDS)
def test_what_was_exported_is_prepared_the_same(kind: str, tmp_path: Path) -> None:
    made = prepare_data(frame(kind), held_out_users=10)
    write_pro_sg(made.split, tmp_path / "pro_sg")
    again = prepare_data(tmp_path / "pro_sg")
    same(made, again)
    saved = again.save(tmp_path / "data")
    same(made, prepare_data(tmp_path / "data"))
    assert load_dataset(str(saved.folder)).fingerprint == made.fingerprint


@pytest.mark.parametrize("kind", IDS)
def test_a_csv_of_the_rows_is_prepared_the_same(kind: str, tmp_path: Path) -> None:
    rows = frame(kind)
    rows.to_csv(tmp_path / "a.csv", index=False)
    rows.to_parquet(tmp_path / "a.parquet")
    made = prepare_data(rows, held_out_users=10)
    same(made, prepare_data(tmp_path / "a.csv", held_out_users=10))
    same(made, prepare_data(tmp_path / "a.parquet", held_out_users=10))


def test_the_order_of_rows_changes_the_fingerprint_and_columns_ratings_and_repeats_do_not() -> None:
    """Items are numbered by first appearance, and a held-out user's rows are drawn in file order."""
    rows = frame("numbers")
    made = prepare_data(rows, held_out_users=10).fingerprint
    other = rows.assign(rating=1.0, note="x")[["note", "item_id", "rating", "user_id"]]
    assert prepare_data(other, held_out_users=10).fingerprint == made
    assert prepare_data(pd.concat([rows, rows.head(50)]), held_out_users=10).fingerprint == made
    assert prepare_data(rows.iloc[::-1], held_out_users=10).fingerprint != made
    assert prepare_data(rows, held_out_users=10, seed=1).fingerprint != made
    assert prepare_data(rows.astype({"user_id": str}), held_out_users=10).fingerprint == made
