"""The account of one user or item agrees with the split, row by row."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from distrecvae.data.explaining import Kind, asked, explain
from distrecvae.data.sources.frames import read_frame
from distrecvae.data.split import split_users
from distrecvae.data.splitting.options import SplitOptions
from distrecvae.data.synthetic import synthetic_table
from distrecvae.data.table import InteractionTable
from distrecvae.errors import ConfigError, DataError

OPTIONS = SplitOptions(min_rating=2.5, min_user_interactions=5, min_item_interactions=4, held_out_users=12)


@pytest.fixture(scope="module")
def table() -> InteractionTable:
    """Rows of 90 users and 60 items with ratings from 1 to 5, some of them twice."""
    made = synthetic_table(n_users=90, n_items=60, seed=3)
    frame = pd.DataFrame({"user_id": made.users, "item_id": made.items})
    frame["rating"] = np.random.default_rng(0).integers(1, 6, size=len(frame))
    return read_frame(pd.concat([frame, frame.sample(frac=0.1, random_state=0)]))


@pytest.mark.parametrize("kind", ["user", "item"])
def test_every_row_is_accounted_for(table: InteractionTable, kind: Kind) -> None:
    split, _ = split_users(table, OPTIONS)
    kept = split.user_ids.tolist() if kind == "user" else split.item_ids.tolist()
    ids = table.user_ids if kind == "user" else table.item_ids
    codes = table.users if kind == "user" else table.items
    seen = set()
    for position, id_ in enumerate(ids.tolist()):
        head, *steps = explain(table, OPTIONS, split, kind, str(id_))
        n_rows = int((codes == position).sum())
        assert head.startswith(f"{kind} '{id_}': {n_rows} row")
        seen |= {step.split()[0] for step in steps}
        gone = sum(int(step.split()[1]) for step in steps if step.startswith("  dropped"))
        last = steps[-1]
        assert last.startswith("  left out") is (id_ not in kept), (id_, steps)
        if id_ in kept:
            numbers = [
                int(text) for text in re.findall(r"\d+(?= folded| held| item| train| valid| test)", last)
            ]
            if kind == "item" or "folded" in last:
                assert sum(numbers) == n_rows - gone, steps
            else:
                assert numbers[-1] == n_rows - gone, steps
    assert {"dropped", "left"} <= seen
    assert seen >= ({"training", "validation", "test"} if kind == "user" else {"kept"})


def test_where_the_first_row_stands_is_said(table: InteractionTable) -> None:
    split, _ = split_users(table, OPTIONS)
    row = int(np.flatnonzero(table.users == 7)[0])
    assert f"the first in row {row + 1} " in explain(table, OPTIONS, split, "user", "7")[0]


def test_an_id_that_nobody_has(table: InteractionTable) -> None:
    split, _ = split_users(table, OPTIONS)
    with pytest.raises(DataError, match="no row has the user id '999'"):
        explain(table, OPTIONS, split, "user", "999")


def test_what_is_asked_for() -> None:
    assert asked("user=a=b") == ("user", "a=b")
    assert asked("item= 7 ") == ("item", "7")
    for wrong in ("7", "buyer=7", "user=", "=7"):
        with pytest.raises(ConfigError, match="write --explain user=ID or --explain item=ID"):
            asked(wrong)
